// The results of a verb, to step through while it plays; each can be dragged out as a MIDI file.

import { element } from "./elements.js";
import { START, VELOCITY, PITCH } from "./clip.js";
import { asFile } from "./files.js";

export const CARD = "application/x-vaebridge-clip";

export class Cards {
  constructor({ root, session, say }) {
    Object.assign(this, { root, session, say });
    this.files = new WeakMap();  // of clips, as addresses
    this.held = new WeakMap();   // clips, by their cards
    session.addEventListener("change", () => this.draw());
  }

  // Cards stay where they are while what they hold changes: one that is being pressed must not go away.
  draw() {
    const { results, base, shown, ear, verb } = this.session.document;
    if (!base) return;
    const clips = [[base, results.length ? "before" : "the clip"], ...results.map((clip, i) => [clip, `${verb} ${i + 1}`])];
    while (this.root.children.length > clips.length) this.root.lastChild.remove();
    while (this.root.children.length < clips.length) this.root.append(this.card(this.root.children.length - 1));
    clips.forEach(([clip, label], place) => this.fill(this.root.children[place], clip, label));
    this.mark(shown, ear);
  }

  card(index) {
    const card = element("button", { type: "button", class: "card", role: "radio", draggable: "true", "data-index": index }, [
      element("canvas", { width: 192, height: 72, "aria-hidden": "true" }), element("span"),
    ]);
    card.addEventListener("click", () => this.choose(index));
    card.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (step) { event.preventDefault(); event.stopPropagation(); this.step(step); }
    });
    for (const kind of ["pointerenter", "focus", "pointerdown"]) card.addEventListener(kind, () => this.prepare(this.held.get(card)));
    card.addEventListener("dragstart", (event) => this.drag(event, this.held.get(card), card.textContent));
    return card;
  }

  fill(card, clip, label) {
    card.lastChild.textContent = label;
    if (this.held.get(card) === clip) return;
    this.held.set(card, clip);
    requestAnimationFrame(() => paint(card.firstChild, clip));
  }

  repaint() { for (const card of this.root.children) paint(card.firstChild, this.held.get(card)); }

  mark(shown, ear) {
    const current = ear === "before" ? -1 : shown;
    for (const card of this.root.children) {
      const isCurrent = Number(card.dataset.index) === current;
      card.setAttribute("aria-checked", isCurrent);
      card.tabIndex = isCurrent ? 0 : -1;
    }
  }

  choose(index) { this.session.set(index < 0 ? { ear: "before" } : { ear: "after", shown: index }); }

  step(by) {
    const { results, shown, ear } = this.session.document, count = results.length + 1;
    this.choose((((ear === "before" ? -1 : shown) + 1 + by + count) % count) - 1);
    if (this.root.contains(document.activeElement)) this.root.querySelector("[aria-checked=true]")?.focus();
  }

  // The file is made before the drag begins: a drag waits for nothing.
  prepare(clip) {
    if (!this.files.has(clip)) {
      this.files.set(clip, null);
      asFile(clip).then((blob) => this.files.set(clip, URL.createObjectURL(blob)), (error) => this.say(error.message, true));
    }
  }

  drag(event, clip, label) {
    event.dataTransfer.effectAllowed = "copy";
    event.dataTransfer.setData(CARD, JSON.stringify(clip));
    const url = this.files.get(clip);
    if (url) event.dataTransfer.setData("DownloadURL", `audio/midi:${label.replace(/\W+/g, "-")}.mid:${url}`);
  }
}

function paint(canvas, clip) {
  const context = canvas.getContext("2d"), { width, height } = canvas, css = getComputedStyle(canvas);
  const pitches = clip.notes.map((note) => note[PITCH]), low = Math.min(...pitches), range = Math.max(1, Math.max(...pitches) - low);
  context.clearRect(0, 0, width, height);
  context.fillStyle = css.getPropertyValue("--even");
  for (const note of clip.notes) {
    context.globalAlpha = 0.3 + 0.7 * note[VELOCITY] / 127;
    context.fillRect(4 + note[START] / clip.beats * (width - 10), 6 + (1 - (note[PITCH] - low) / range) * (height - 16), 3, 6);
  }
}
