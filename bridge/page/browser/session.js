// What one sees: the clip, its results, the corners of the pad, the knobs. One document, which all browsers of the
// page share and each keeps; the newest wins. Undo is each browser's own.

const STORE = "vaebridge session", MOST_UNDONE = 100, SHARE_MS = 60;
const BEGINNING = {
  revision: 0, by: "", base: null, results: [], shown: -1, verb: "", keys: {}, knobs: {}, model: {},
  corners: [null, null, null, null], pad: [0.5, 0.5], ear: "after", name: "",
};

export class Session extends EventTarget {
  constructor(daemon) {
    super();
    this.me = Math.random().toString(36).slice(2);
    this.daemon = daemon;
    this.document = { ...BEGINNING, ...this.stored() };
    this.past = [];
    this.future = [];
    this.isNew = true;  // whoever is here already knows better
    setTimeout(() => { this.isNew = false; }, 1500);
    daemon.addEventListener("peer", ({ detail }) => this.hear(detail));
  }

  get base() { return this.document.base; }
  get result() { return this.document.results[this.document.shown] || null; }
  // What is heard and saved: a result, or the clip as it was.
  get heard() { return this.document.ear === "before" ? this.base : this.result || this.base; }

  // Whether the clip is still that for which something was asked: an answer to what was asked of another comes too late.
  isStill(base) { return isSame(this.base, base); }

  // Change some of it; isStep: undo goes back to what was before. The others are told.
  set(changes, { isStep = false } = {}) {
    this.isNew = false;
    if (isStep) {
      this.past.push(steps(this.document));
      this.past.splice(0, this.past.length - MOST_UNDONE);
      this.future = [];
    }
    this.apply({ ...this.document, ...changes, revision: this.document.revision + 1, by: this.me }, true);
    this.share();
  }

  // Tell the others, not more often than they can look.
  share() {
    if (this.sharing) { this.hasMore = true; return; }
    this.daemon.send("/page/session", this.document);
    this.sharing = setTimeout(() => {
      this.sharing = undefined;
      if (this.hasMore) { this.hasMore = false; this.share(); }
    }, SHARE_MS);
  }

  undo() { this.go(this.past, this.future); }
  redo() { this.go(this.future, this.past); }

  go(from, to) {
    if (!from.length) return;
    to.push(steps(this.document));
    const before = from.pop();
    this.set(before);
  }

  // Another browser is new here, or has changed something.
  hear({ address, values }) {
    if (address === "/page/hello" && this.base) this.daemon.send("/page/session", this.document);
    if (address !== "/page/session" || values[0].by === this.me) return;
    const [other] = values, { revision, by } = this.document;
    if (this.isNew || other.revision > revision || (other.revision === revision && other.by > by)) this.apply(other, false);
  }

  apply(document, isOwn) {
    const before = this.document;
    this.document = document;
    clearTimeout(this.saving);
    this.saving = setTimeout(() => this.save(), 300);
    this.dispatchEvent(new CustomEvent("change", { detail: { before, isOwn } }));
  }

  save() {
    try { localStorage.setItem(STORE, JSON.stringify(this.document)); } catch { /* no room: others have it */ }
  }

  stored() {
    try { return JSON.parse(localStorage.getItem(STORE)) || {}; } catch { return {}; }
  }
}

// What undo takes back.
function steps({ base, results, shown, verb, keys, ear, name }) { return { base, results, shown, verb, keys, ear, name }; }

// Whether two clips have the same notes and length; another browser sends copies, and a new tempo makes one.
function isSame(one, other) {
  if (one === other || !one || !other) return one === other;
  return one.beats === other.beats && JSON.stringify(one.notes) === JSON.stringify(other.notes);
}
