// The pad: four clips in its corners, and what lies between them under the finger. It asks while it moves, and what
// comes is in the next bar.

import { clipsOf } from "./osc.js";
import { withKind } from "./clip.js";
import { element } from "./elements.js";
import { CARD } from "./cards.js";
import { clipsIn, takeDrops } from "./files.js";

const NAMES = "ABCD", SLOTS = [...NAMES].map((name) => `page ${name}`), MOVE_MS = 70;

export class Pad {
  constructor({ root, daemon, session, drums, say }) {
    Object.assign(this, { root, daemon, session, drums, say });
    this.uploaded = [];
    this.build();
    session.addEventListener("change", () => this.draw());
    this.draw();
  }

  forget() { this.uploaded = []; }

  build() {
    this.field = element("div", { class: "pad-field" });
    this.dot = element("div", { class: "pad-dot" });
    this.field.append(this.dot);
    this.corners = [...NAMES].map((name, index) => {
      const button = element("button", { type: "button", class: `corner corner-${name}`, "data-corner": name });
      button.addEventListener("click", () => this.set(index, this.session.heard));
      takeDrops(button, {
        accept: (data) => { const card = data.getData(CARD); if (card) this.set(index, JSON.parse(card)); return card; },
        onFile: async (file) => {
          try { this.set(index, withKind((await clipsIn(file)).clips[0].clip, this.drums)); } catch (error) { this.say(error.message, true); }
        },
      });
      return button;
    });
    const axis = (label, index) => {
      const range = element("input", { type: "range", min: 0, max: 1, step: 0.01, "aria-label": label });
      range.addEventListener("input", () => { const to = [...this.session.document.pad]; to[index] = Number(range.value); this.moveTo(to); });
      return range;
    };
    this.across = axis("from A to B", 0); this.down = axis("from A and B to C and D", 1);
    this.down.classList.add("down");
    this.fill = element("button", { type: "button", class: "plain", id: "fill-corners" }, ["Fill the corners with new beats"]);
    this.fill.addEventListener("click", () => this.fillCorners());
    const [a, b, c, d] = this.corners;
    this.root.append(element("div", { class: "pad" }, [a, b, this.field, c, d]), element("div", { class: "axes" }, [
      element("label", {}, ["A – B", this.across]), element("label", {}, ["AB – CD", this.down]),
    ]), this.fill);
    const point = (event) => {
      const { left, top, width, height } = this.field.getBoundingClientRect();
      const within = (value) => Math.min(1, Math.max(0, value));
      this.moveTo([within((event.clientX - left) / width), within((event.clientY - top) / height)]);
    };
    this.field.addEventListener("pointerdown", (event) => { this.field.setPointerCapture(event.pointerId); point(event); });
    this.field.addEventListener("pointermove", (event) => { if (event.buttons) point(event); });
  }

  draw() {
    const { corners, pad: [x, y] } = this.session.document;
    this.corners.forEach((button, index) => {
      const clip = corners[index];
      button.classList.toggle("filled", Boolean(clip));
      button.textContent = clip ? `${NAMES[index]} · ${clip.notes.length}` : `${NAMES[index]} +`;
      button.setAttribute("aria-label", `${NAMES[index]}: ${clip ? `${clip.notes.length} notes` : "empty"}; press to put the clip here`);
    });
    const isPlane = Boolean(corners[2] && corners[3]);
    this.dot.style.left = `${x * 100}%`; this.dot.style.top = `${(isPlane ? y : 0.5) * 100}%`;
    this.field.classList.toggle("ready", Boolean(corners[0] && corners[1]));
    this.across.value = x; this.down.value = y; this.down.disabled = !isPlane;
  }

  set(index, clip) {
    if (!clip) return;
    const corners = [...this.session.document.corners];
    corners[index] = clip;
    this.session.set({ corners });
  }

  async fillCorners() {
    try {
      const { base } = this.session, { messages } = await this.daemon.ask("sample", ["bars", 2, "count", 4]);
      const corners = clipsOf(messages, { tempo: base?.tempo }).map((clip) => withKind(clip, this.drums));
      this.session.set({ corners });
      this.moveTo(this.session.document.pad);
    } catch (error) { this.say(error.message, true); }
  }

  moveTo(pad) {
    this.session.set({ pad });
    if (this.moving) { this.hasMoved = true; return; }
    this.moving = setTimeout(() => {
      this.moving = undefined;
      if (this.hasMoved) { this.hasMoved = false; this.moveTo(this.session.document.pad); }
    }, MOVE_MS);
    this.ask();
  }

  async ask() {
    const { corners, pad: [x, y], verb, keys, base } = this.session.document;
    if (!corners[0] || !corners[1]) { this.say("put clips into A and B, or fill the corners"); return; }
    const isPlane = Boolean(corners[2] && corners[3]);
    try {
      for (const [index, clip] of corners.entries()) {
        if (!clip || this.uploaded[index] === clip) continue;
        await this.daemon.upload(SLOTS[index], clip, { quiet: true });
        this.uploaded[index] = clip;
      }
      const [a, b, c, d] = SLOTS;
      const values = ["from", a, "to", b, "position", x, ...(isPlane ? ["from2", c, "to2", d, "position2", y] : [])];
      const goesOn = verb === "morph", seed = goesOn && keys.seed !== undefined ? ["seed", keys.seed] : [];
      const answer = await this.daemon.ask("interpolate", [...values, ...seed, "group", "page pad"]);
      if (!this.session.isStill(base)) return;
      const [clip] = clipsOf(answer.messages, { beatsPerBar: corners[0].beatsPerBar, tempo: base?.tempo || corners[0].tempo });
      this.session.set(
        { base: this.session.base || corners[0], results: [withKind(clip, this.drums)], shown: 0, verb: "morph", ear: "after",
          keys: { seed: answer.keys.seed, model: answer.keys.model, ms: answer.keys.ms } },
        { isStep: !goesOn },
      );
    } catch (error) { if (error.code !== "stale") this.say(error.message, true); }
  }
}
