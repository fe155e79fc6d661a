// The conversation with the daemon: OSC messages as lists, over a websocket to the page's process.
//
// Events: "link" (the state of the conversation has changed), "reboot" (a daemon that knows nothing of us),
// "bar", "playing", "peer" (from another browser), "line" (what was asked and answered).

const RETRY_MS = 2500, TRIES = 4, BEAT_MS = 2000, SILENT_MS = 5000, NOTES_PER_MESSAGE = 48;
const TOPICS = ["notes", "play", "status"];

export class Refused extends Error {
  constructor(code, text) { super(text); this.code = code; }
}

export class Daemon extends EventTarget {
  constructor(url) {
    super();
    this.url = url;
    this.link = "connecting";  // connecting, away, warming or ready
    this.status = {};
    this.pending = new Map();
    this.nextId = 1;
    this.outgoing = [];
    this.told = {};            // the notes that are being told, by result
    this.heardAt = 0;
    this.pauseMs = 250;
    setInterval(() => this.beat(), BEAT_MS);
    this.connect();
  }

  // The websocket

  connect() {
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.onopen = () => { this.pauseMs = 250; this.greet(); };
    socket.onmessage = (event) => { for (const message of JSON.parse(event.data)) this.take(message); };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.setLink("connecting");
      this.giveUp("the page has lost its daemon");
      setTimeout(() => this.connect(), this.pauseMs);
      this.pauseMs = Math.min(2 * this.pauseMs, 2000);
    };
  }

  get isOpen() { return this.socket.readyState === WebSocket.OPEN; }

  send(address, ...values) {
    if (!this.isOpen) return;
    this.outgoing.push([address, ...values]);
    if (this.outgoing.length === 1) queueMicrotask(() => this.flush());
  }

  flush() {
    const frame = this.outgoing;
    this.outgoing = [];
    if (this.isOpen) this.socket.send(JSON.stringify(frame));
  }

  // Whether the daemon is there

  greet() {
    this.boot = undefined;
    this.beat();
  }

  beat() {
    if (!this.isOpen) return;
    if (this.heardAt && performance.now() - this.heardAt > SILENT_MS) this.setLink("away");
    if (!this.hasAskedStatus || performance.now() - this.hasAskedStatus > SILENT_MS) {
      this.hasAskedStatus = performance.now();
      this.ask("status", [], { quiet: true, patient: false })
        .then(({ keys }) => this.takeStatus(keys), () => {})
        .finally(() => { this.hasAskedStatus = 0; });
    }
    this.retry();
  }

  takeStatus(keys) {
    this.status = { ...this.status, ...keys };
    const isNew = this.boot !== keys.boot;
    this.boot = keys.boot;
    if (isNew) {
      this.ask("hello", ["vaebridge page"], { quiet: true }).catch(() => {});
      for (const topic of TOPICS) this.ask("subscribe", ["topic", topic], { quiet: true }).catch(() => {});
    }
    const wasReady = this.readyBoot === keys.boot;
    this.setLink(keys.ready ? "ready" : "warming");
    if (keys.ready && !wasReady) {
      this.readyBoot = keys.boot;
      this.dispatchEvent(new CustomEvent("reboot"));
    }
    this.dispatchEvent(new CustomEvent("link"));
  }

  setLink(link) {
    if (this.link === link) return;
    this.link = link;
    if (link === "away" || link === "connecting") { this.readyBoot = undefined; this.boot = undefined; }
    this.dispatchEvent(new CustomEvent("link"));
  }

  // Requests

  // One request and all that comes back: {keys, messages}. Refused says why not, in the daemon's words.
  ask(verb, values = [], options = {}) { return this.request([[verb, values]], options); }

  // Several messages under one id; they are sent again while nothing comes back.
  request(parts, { quiet = false, patient = true, timeoutMs = 65000 } = {}) {
    const id = this.nextId++;
    const messages = parts.map(([verb, values]) => [`/vae/${verb}`, id, ...values]);
    if (!quiet) for (const each of messages) this.tell(each, true);
    return new Promise((resolve, reject) => {
      if (!this.isOpen) { reject(new Refused("away", "the daemon is not there")); return; }
      this.pending.set(id, {
        messages, resolve, reject, quiet, patient, came: [], verb: parts[0][0],
        begun: performance.now(), sentAt: performance.now(), tries: 1, timeoutMs,
      });
      for (const each of messages) this.send(...each);
    });
  }

  upload(slot, clip, options = {}) {
    const { notes, beats, beatsPerBar = 4, tempo = 120, parts = [] } = clip;
    const messages = [["clip/begin", [slot, notes.length, beats, "beats_per_bar", beatsPerBar, "tempo", tempo]]];
    messages.push(...chunks(notes));
    parts.forEach((part, index) => {
      const [channel, program, first, count, name] = part;
      messages.push(["clip/part", [index, channel, program, first, count, name || "part"]]);
    });
    messages.push(["clip/end", []]);
    return this.request(messages, options);
  }

  // A bar, or a piece of one, that was played here: n as /vae/bar counts.
  playedBar(n, beats, notes) {
    return this.request([["live/bar", [n, notes.length, beats]], ...chunks(notes), ["clip/end", []]]);
  }

  retry() {
    const now = performance.now();
    for (const [id, each] of this.pending) {
      if (now - each.begun > each.timeoutMs) this.end(id, new Refused("timeout", "the daemon does not answer"));
      else if (now - each.sentAt > RETRY_MS && each.tries < TRIES) {
        each.tries += 1; each.sentAt = now;
        for (const message of each.messages) this.send(...message);
      } else if (!each.patient && now - each.begun > SILENT_MS) {
        this.end(id, new Refused("away", "the daemon does not answer"));
        this.setLink("away");
      }
    }
  }

  end(id, error) {
    const each = this.pending.get(id);
    this.pending.delete(id);
    if (each && error) each.reject(error);
  }

  giveUp(why) { for (const id of [...this.pending.keys()]) this.end(id, new Refused("away", why)); }

  // What comes

  take(message) {
    const [address, ...values] = message;
    if (address.startsWith("/page/")) { this.takeOwn(address, values); return; }
    this.heardAt = performance.now();
    const pushed = PUSHES[address];
    if (pushed) { pushed(this, values, message); return; }
    if (values[0] === 0) { this.takeBarNotes(address, values); return; }
    const each = this.pending.get(values[0]);
    if (!each) return;
    each.sentAt = performance.now();
    if (address === "/vae/done") this.takeDone(values, each, message);
    else if (address === "/vae/fail") {
      if (!each.quiet) this.tell(message, false);
      this.end(values[0], new Refused(values[2], values[3]));
    } else each.came.push(message);
  }

  takeDone(values, each, message) {
    const [id, , ...rest] = values;
    const keys = Object.fromEntries(pairs(rest));
    if (lacks(each.came, keys) && each.tries < TRIES) {  // a repeat is answered from memory
      each.tries += 1; each.came = [];
      for (const part of each.messages) this.send(...part);
      return;
    }
    this.pending.delete(id);
    if (!each.quiet) this.tell(message, false);
    each.resolve({ keys, messages: each.came });
  }

  takeOwn(address, values) {
    if (address === "/page/daemon") this.setLink("away");
    else this.dispatchEvent(new CustomEvent("peer", { detail: { address, values } }));
  }

  takeBarNotes(address, values) {
    if (address === "/vae/fail") this.tell([address, ...values], false);
    if (!this.bar) return;
    if (address === "/vae/notes/begin") { this.bar.total = values[2]; this.bar.parts = []; this.bar.notes = []; }
    if (address === "/vae/part") this.bar.parts.push(values.slice(3));
    if (address === "/vae/notes") this.bar.notes.push(...fives(values.slice(4)));
    if (address === "/vae/notes/end") {
      const bar = this.bar;
      this.bar = undefined;
      this.dispatchEvent(new CustomEvent("bar", { detail: bar }));
    }
  }

  tell(message, isAsked) {
    this.dispatchEvent(new CustomEvent("line", { detail: { message, isAsked, at: new Date() } }));
  }
}

const PUSHES = {
  "/vae/bar": (daemon, [n, start, beats, tempo]) => {
    daemon.bar = { n, start, beats, tempo, notes: [], parts: [], at: performance.now() };
  },
  "/vae/state": (daemon, values) => {
    daemon.status = { ...daemon.status, ...Object.fromEntries(pairs(values)) };
    daemon.dispatchEvent(new CustomEvent("link"));
  },
  "/vae/playing": (daemon, [slot]) => daemon.dispatchEvent(new CustomEvent("playing", { detail: slot })),
  "/vae/clip/gone": () => {},
  "/vae/beat": () => {},
};

// The clips among the messages of an answer.
export function clipsOf(messages, like = {}) {
  const clips = new Map();
  for (const [address, , result, ...values] of messages) {
    if (address === "/vae/notes/begin") {
      clips.set(result, { beatsPerBar: 4, tempo: 120, ...like, notes: [], beats: values[1], parts: [] });
    }
    if (address === "/vae/part") clips.get(result)?.parts.push(values.slice(1));
    if (address === "/vae/notes") {
      fives(values.slice(2)).forEach((note, index) => { clips.get(result).notes[values[0] + index] = note; });
    }
  }
  return [...clips.values()];
}

// Rows of one kind among the messages: the arguments after the id.
export function rows(messages, name) {
  return messages.filter(([address]) => address === `/vae/${name}`).map((message) => message.slice(2));
}

function* pairs(values) { for (let i = 0; i + 1 < values.length; i += 2) yield [values[i], values[i + 1]]; }

function fives(atoms) {
  const notes = [];
  for (let i = 0; i + 4 < atoms.length; i += 5) notes.push(atoms.slice(i, i + 5));
  return notes;
}

function chunks(notes) {
  const messages = [];
  for (let first = 0; first < notes.length; first += NOTES_PER_MESSAGE) {
    const some = notes.slice(first, first + NOTES_PER_MESSAGE);
    messages.push(["clip/notes", [first, some.length, ...some.flat()]]);
  }
  return messages;
}

function lacks(messages, keys) {
  const ends = rows(messages, "notes/end");
  if (keys.results !== undefined && ends.length < keys.results) return true;
  const counted = new Map();
  for (const [result, , count] of rows(messages, "notes")) counted.set(result, (counted.get(result) || 0) + count);
  return ends.some(([result, total]) => (counted.get(result) || 0) < total);
}
