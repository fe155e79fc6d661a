// The map: where clips and styles lie in a model's latent space, in the plane in which the styles are furthest apart.
// The engine says where each lies (encode); a press lets hear what is at a point (decode), also where nothing was.

import { clipsOf, rows } from "./osc.js";
import { kept, START, withKind } from "./clip.js";
import { element } from "./elements.js";

const SLOT = "page map", OF_A_STYLE = 3, SEED = 1, ROUNDS = 60, NUMBERS_PER_MESSAGE = 128, STEP = 0.02, MARGIN = 0.09;

export class MorphMap {
  constructor({ root, daemon, session, drums, say }) {
    Object.assign(this, { root, daemon, session, drums, say });
    this.button = element("button", { type: "button", class: "plain", id: "draw-map" }, ["Draw the map of styles and clips"]);
    this.canvas = element("canvas", { class: "map", tabindex: "0", role: "application",
      "aria-label": "the map: arrows move, Enter lets hear what is there" });
    this.canvas.hidden = true;
    this.about = element("p", { class: "about" }, []);
    this.root.append(this.button, this.about, this.canvas);
    this.cursor = [0.5, 0.5];
    this.button.addEventListener("click", () => this.make());
    this.canvas.addEventListener("pointerdown", (event) => {
      const { width, height } = this.canvas.getBoundingClientRect();
      this.hear([event.offsetX / width, event.offsetY / height]);
    });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  forget() { this.points = undefined; this.canvas.hidden = true; this.about.textContent = ""; }

  // The model whose map it is: in memory, with styles, and able to say where a clip lies and what lies where.
  load(verbs) {
    const able = verbs.models.filter(({ name, loaded }) => loaded && ["encode", "decode", "sample"].every((verb) => verbs.able[name]?.includes(verb)));
    this.models = able.map(({ name, bars }) => ({ name, bars }));
    this.root.hidden = !able.length;
  }

  async make() {
    this.button.disabled = true;
    try {
      for (const model of this.models) {
        const styles = rows((await this.daemon.ask("styles", ["model", model.name], { quiet: true })).messages, "style").flat();
        if (styles.length > 2) { this.model = model; await this.place(styles); break; }
      }
      if (!this.points) this.say("no model in memory has styles to draw a map of", true);
    } catch (error) { this.say(error.message, true); }
    this.button.disabled = false;
  }

  async place(styles) {
    const { name, bars } = this.model, found = [];
    for (const [index, style] of styles.entries()) {
      this.about.textContent = `${style}, ${index + 1} of ${styles.length}`;
      const { messages } = await this.daemon.ask("sample", ["model", name, "style", style, "bars", bars, "count", OF_A_STYLE, "seed", SEED], { quiet: true });
      for (const clip of clipsOf(messages)) found.push({ name: style, isStyle: true, z: await this.encode(clip) });
    }
    const { base, results, corners } = this.session.document;
    const own = [["now", base], ...results.map((clip, i) => [`${i + 1}`, clip]), ...corners.map((clip, i) => ["ABCD"[i], clip])];
    for (const [label, clip] of own) if (clip) found.push({ name: label, z: await this.encode(clip) });
    const known = found.filter(({ z }) => z);
    this.plane = planeOf(known.filter(({ isStyle }) => isStyle).map(({ z }) => z));
    this.points = this.gathered(known.map((point) => ({ ...point, at: this.plane.project(point.z) })));
    this.about.textContent = `${name}: each name is where that style's beats lie; press to hear what is at a point.`;
    this.canvas.hidden = false;
    this.draw();
  }

  // Of a style one point, in the middle of its beats.
  gathered(points) {
    const styles = Map.groupBy(points.filter(({ isStyle }) => isStyle), ({ name }) => name);
    const middle = (own, axis) => own.reduce((sum, { at }) => sum + at[axis], 0) / own.length;
    return [...[...styles].map(([name, own]) => ({ name, isStyle: true, at: [middle(own, 0), middle(own, 1)] })), ...points.filter(({ isStyle }) => !isStyle)];
  }

  // The z of a clip's first window; nothing where the model cannot hear it.
  async encode(clip) {
    const beats = this.model.bars * clip.beatsPerBar, window = clip.beats > beats ? { ...kept(clip, (note) => note[START] < beats), beats } : clip;
    try {
      await this.daemon.upload(SLOT, { ...window, parts: [] }, { quiet: true });
      const { messages } = await this.daemon.ask("encode", ["slot", SLOT, "model", this.model.name], { quiet: true });
      const z = [];
      for (const [first, count, ...numbers] of rows(messages, "latent")) z.splice(first, count, ...numbers);
      return z;
    } catch (error) { if (error.code === "away") throw error; return undefined; }
  }

  // Where a point of the plane is on the canvas, 0..1 both ways, and back.
  get frame() {
    const xs = this.points.map(({ at }) => at[0]), ys = this.points.map(({ at }) => at[1]);
    const side = (values) => [Math.min(...values), Math.max(...values) - Math.min(...values) || 1];
    return [side(xs), side(ys)];
  }
  placed(at) { return this.frame.map(([low, size], axis) => MARGIN + (1 - 2 * MARGIN) * (at[axis] - low) / size); }
  pointAt(place) { return this.frame.map(([low, size], axis) => low + size * (place[axis] - MARGIN) / (1 - 2 * MARGIN)); }

  draw() {
    if (!this.points || this.canvas.hidden) return;
    const { width, height } = this.canvas.getBoundingClientRect(), ratio = devicePixelRatio || 1;
    if (!width) return;
    this.canvas.width = width * ratio; this.canvas.height = height * ratio;
    const context = this.canvas.getContext("2d"), css = getComputedStyle(this.canvas), color = (name) => css.getPropertyValue(`--${name}`);
    context.scale(ratio, ratio);
    context.font = "11px system-ui, sans-serif"; context.textAlign = "center"; context.textBaseline = "middle";
    for (const { name, at, isStyle } of this.points) {
      const [x, y] = this.placed(at);
      context.fillStyle = color(isStyle ? "quiet" : "accent");
      if (!isStyle) { context.beginPath(); context.arc(x * width, y * height, name.length > 1 ? 15 : 9, 0, 7); context.fill(); context.fillStyle = color("on-accent"); }
      context.fillText(name, x * width, y * height);
    }
    const [x, y] = this.cursor;
    context.strokeStyle = color("text"); context.lineWidth = 2;
    context.beginPath(); context.arc(x * width, y * height, 7, 0, 7); context.stroke();
  }

  key(event) {
    const move = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (move) this.cursor = this.cursor.map((value, axis) => Math.min(1, Math.max(0, value + move[axis])));
    else if (event.key === "Enter") this.hear(this.cursor);
    else return;
    event.preventDefault();
    this.draw();
  }

  async hear(place) {
    if (!this.points) return;
    this.cursor = place;
    this.draw();
    const z = this.plane.lift(this.pointAt(place)), { verb, base } = this.session.document;
    const latent = [];
    for (let first = 0; first < z.length; first += NUMBERS_PER_MESSAGE) {
      const some = z.slice(first, first + NUMBERS_PER_MESSAGE);
      latent.push(["latent", [first, some.length, ...some]]);
    }
    try {
      const { keys, messages } = await this.daemon.request([["decode", ["size", z.length, "model", this.model.name, "seed", SEED]], ...latent]);
      if (!this.session.isStill(base)) return;
      const [clip] = clipsOf(messages, { tempo: base.tempo });
      this.session.set(
        { results: [withKind(clip, this.drums)], shown: 0, verb: "map", ear: "after", keys: { seed: keys.seed, model: keys.model, ms: keys.ms } },
        { isStep: verb !== "map" },
      );
    } catch (error) { this.say(error.message, true); }
  }
}

// The two directions in which points differ most (principal components, by power iteration).
export function planeOf(points) {
  const size = points[0].length, mean = Array.from({ length: size }, (_, i) => points.reduce((sum, z) => sum + z[i], 0) / points.length);
  const rest = points.map((z) => z.map((value, i) => value - mean[i])), axes = [];
  for (let axis = 0; axis < 2; axis += 1) {
    let direction = mean.map((_, i) => Math.sin(1 + (axis + 1) * i));
    for (let round = 0; round < ROUNDS; round += 1) {
      const next = new Array(size).fill(0);
      for (const z of rest) { const share = dot(z, direction); z.forEach((value, i) => { next[i] += share * value; }); }
      for (const other of axes) { const share = dot(next, other); other.forEach((value, i) => { next[i] -= share * value; }); }
      const length = Math.sqrt(dot(next, next)) || 1;
      direction = next.map((value) => value / length);
    }
    axes.push(direction);
  }
  return {
    project: (z) => axes.map((axis) => dot(axis, z.map((value, i) => value - mean[i]))),
    lift: ([x, y]) => mean.map((value, i) => value + x * axes[0][i] + y * axes[1][i]),
  };
}

function dot(a, b) { return a.reduce((sum, value, i) => sum + value * b[i], 0); }
