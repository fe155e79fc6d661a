// The results of a verb, to step through while it plays; each can be dragged out as a MIDI file.

import { element } from "./elements.js";
import { START, VELOCITY, PITCH } from "./clip.js";
import { asFile } from "./files.js";

export const CARD = "application/x-vaebridge-clip";

export class Cards {
  constructor({ root, session, say }) {
    Object.assign(this, { root, session, say });
    this.files = new WeakMap();
    session.addEventListener("change", ({ detail }) => this.draw(detail.before));
  }

  draw(before) {
    const { results, base, shown, ear, verb } = this.session.document;
    if (before && before.results === results && before.base === base && this.root.children.length) {
      this.mark(shown, ear);
      return;
    }
    if (!base) return;
    const had = this.root.contains(document.activeElement);
    const cards = [[base, results.length ? "before" : "the clip"], ...results.map((clip, i) => [clip, `${verb} ${i + 1}`])];
    this.root.replaceChildren(...cards.map(([clip, label], index) => this.card(clip, label, index - 1)));
    this.mark(shown, ear);
    if (had) this.root.querySelector("[aria-checked=true]")?.focus({ preventScroll: true });
  }

  card(clip, label, index) {
    const canvas = element("canvas", { width: 192, height: 72, "aria-hidden": "true" });
    const card = element("button", { type: "button", class: "card", role: "radio", draggable: "true", "data-index": index }, [
      canvas, element("span", {}, [label]),
    ]);
    card.addEventListener("click", () => this.choose(index));
    card.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (step) { event.preventDefault(); event.stopPropagation(); this.step(step); }
    });
    for (const kind of ["pointerenter", "focus", "pointerdown"]) card.addEventListener(kind, () => this.prepare(clip), { once: true });
    card.addEventListener("dragstart", (event) => this.drag(event, clip, label));
    requestAnimationFrame(() => paint(canvas, clip));
    return card;
  }

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
  context.fillStyle = css.getPropertyValue("--even");
  for (const note of clip.notes) {
    context.globalAlpha = 0.3 + 0.7 * note[VELOCITY] / 127;
    context.fillRect(4 + note[START] / clip.beats * (width - 10), 6 + (1 - (note[PITCH] - low) / range) * (height - 16), 3, 6);
  }
}
