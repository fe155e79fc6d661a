// The roll: drums as a grid with their real timing and velocity, other parts as pitches. What was before stands behind
// what came of it; how far a hit has moved is seen. A canvas as large as what is in view, drawn when something changes.

import { PITCH, START, DURATION, VELOCITY, MUTE, DRUM_CHANNEL, areSameNotes, barsOf, channelOf } from "./clip.js";
import { betweenPresses } from "./elements.js";

const STEPS_PER_BEAT = 4, LEAST_BEAT_PIXELS = 26, MOST_PIXELS_PER_BEAT = 400, LEFT = 6, LEAST_HIT_PIXELS = 3, HIT_PIXELS = 7;
const ORDER = ["crash", "ride", "open_hat", "closed_hat", "high_tom", "mid_tom", "low_tom", "snare", "kick"];

export class Roll extends EventTarget {
  constructor(elements, drums) {
    super();
    Object.assign(this, elements);  // canvas, scroller, spacer, ruler, lanes, playhead, readout
    this.drums = drums;
    this.kinds = new Map(Object.entries(drums).flatMap(([kind, pitches]) => pitches.map((pitch) => [pitch, kind])));
    this.before = null; this.clip = null;
    this.selected = new Set(); this.locked = new Set(); this.marked = null;
    this.zoom = 1; this.cursor = { row: 0, step: 0 };
    this.isDrawing = false;
    this.labelLanes = betweenPresses(this.lanes, () => this.labelLanesNow());
    new ResizeObserver(() => this.lay()).observe(this.scroller);
    this.scroller.addEventListener("scroll", () => { this.draw(); this.placeRuler(); });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.listen();
  }

  // What is shown: a clip, and the one before it came about, if there is one.
  show(clip, before) {
    const isOther = clip !== this.clip;
    this.clip = clip; this.before = before && before !== clip ? before : null;
    if (isOther) this.selected = new Set([...this.selected].filter((index) => index < (clip?.notes.length || 0)));
    this.lay();
  }

  // Geometry

  lay() {
    if (!this.clip) return;
    const { width, height } = this.scroller.getBoundingClientRect();
    this.width = Math.floor(width); this.height = Math.floor(this.scroller.clientHeight || height);
    const bars = barsOf(this.clip), beats = bars * this.clip.beatsPerBar;
    const fit = (this.width - LEFT - 8) / beats;
    this.beatPixels = Math.min(MOST_PIXELS_PER_BEAT, Math.max(LEAST_BEAT_PIXELS, fit) * this.zoom);
    if (this.zoom === 1 && fit < LEAST_BEAT_PIXELS) this.beatPixels = LEAST_BEAT_PIXELS;
    this.spacer.style.width = `${Math.max(this.width, Math.ceil(LEFT + beats * this.beatPixels + 8))}px`;
    this.hitPixels = Math.min(HIT_PIXELS, Math.max(LEAST_HIT_PIXELS, this.beatPixels / 9));
    const ratio = devicePixelRatio || 1;
    this.canvas.width = this.width * ratio; this.canvas.height = this.height * ratio;
    this.canvas.style.width = `${this.width}px`; this.canvas.style.height = `${this.height}px`;
    this.rows = this.rowsOf(this.clip);
    this.labelLanes(); this.labelRuler(bars); this.placeRuler(); this.draw();
  }

  rowsOf(clip) {
    const pitched = clip.notes.filter((note, index) => channelOf(clip, index) !== DRUM_CHANNEL);
    const hasDrums = pitched.length < clip.notes.length || !clip.notes.length;
    const rows = [];
    let top = 0;
    if (pitched.length) {
      const pitches = pitched.map((note) => note[PITCH]);
      const low = Math.min(...pitches) - 1, high = Math.max(...pitches) + 1;
      const height = hasDrums ? Math.round(this.height * 0.5) : this.height;
      rows.push({ kind: "pitches", name: "pitches", low, high, top: 0, height });
      top = height;
    }
    if (hasDrums) {
      const height = (this.height - top) / ORDER.length;
      ORDER.forEach((name, index) => rows.push({ kind: "drum", name, top: top + index * height, height }));
    }
    return rows;
  }

  x(beat) { return LEFT + beat * this.beatPixels - this.scroller.scrollLeft; }
  beatAt(x) { return (x + this.scroller.scrollLeft - LEFT) / this.beatPixels; }
  rowAt(y) { return this.rows.findIndex((row) => y >= row.top && y < row.top + row.height); }

  rowOf(index, clip = this.clip) {
    if (channelOf(clip, index) !== DRUM_CHANNEL) return this.rows.find((row) => row.kind === "pitches");
    const name = this.kinds.get(clip.notes[index][PITCH]) || "snare";
    return this.rows.find((row) => row.name === name);
  }

  // The rectangle of a note of a clip.
  box(index, clip = this.clip) {
    const note = clip.notes[index], row = this.rowOf(index, clip);
    if (!row) return null;
    const x = this.x(note[START]);
    if (row.kind === "pitches") {
      const step = row.height / (row.high - row.low + 1);
      return { x, y: row.top + (row.high - note[PITCH]) * step, w: Math.max(4, note[DURATION] * this.beatPixels - 1),
        h: Math.max(3, step - 1), row };
    }
    const room = row.height - 4, h = Math.max(3, room * note[VELOCITY] / 127);
    return { x, y: row.top + 2 + room - h, w: this.hitPixels, h, row };
  }

  // Drawing

  draw() {
    if (!this.clip || !this.rows) return;
    const context = this.canvas.getContext("2d"), ratio = devicePixelRatio || 1, css = getComputedStyle(this.canvas);
    const color = (name) => css.getPropertyValue(`--${name}`);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    this.drawGrid(context, color);
    if (this.before) this.drawBefore(context, color);
    this.drawNotes(context, color);
    if (document.activeElement === this.canvas) this.drawCursor(context, color);
    this.framesDrawn = (this.framesDrawn || 0) + 1;
  }

  drawGrid(context, color) {
    const { beatsPerBar } = this.clip, beats = barsOf(this.clip) * beatsPerBar;
    this.rows.forEach((row, index) => {
      context.fillStyle = color(index % 2 ? "row" : "row-other");
      context.fillRect(0, row.top, this.width, row.height);
    });
    if (this.marked) {
      context.fillStyle = color("mark");
      const [first, last] = this.marked;
      context.fillRect(this.x(first * beatsPerBar), 0, (last - first + 1) * beatsPerBar * this.beatPixels, this.height);
    }
    const first = Math.max(0, Math.floor(this.beatAt(0) * STEPS_PER_BEAT));
    const last = Math.min(beats * STEPS_PER_BEAT, Math.ceil(this.beatAt(this.width) * STEPS_PER_BEAT));
    const showsSteps = this.beatPixels >= 40;
    for (let step = first; step <= last; step += 1) {
      const beat = step / STEPS_PER_BEAT, isBar = beat % beatsPerBar === 0, isBeat = step % STEPS_PER_BEAT === 0;
      if (!isBeat && !showsSteps) continue;
      context.fillStyle = color(isBar ? "line-bar" : isBeat ? "line-beat" : "line-step");
      context.fillRect(Math.round(this.x(beat)), 0, 1, this.height);
    }
  }

  inView(box) { return box && box.x + box.w >= -2 && box.x <= this.width + 2; }

  drawBefore(context, color) {
    context.strokeStyle = color("before"); context.lineWidth = 1;
    this.before.notes.forEach((note, index) => {
      const box = this.box(index, this.before);
      if (this.inView(box)) context.strokeRect(box.x + 0.5, box.y + 0.5, box.w - 1, box.h - 1);
    });
  }

  drawNotes(context, color) {
    const tints = { early: color("early"), late: color("late"), even: color("even"), bass: color("bass") };
    const paired = this.before && areSameNotes(this.before, this.clip);
    this.clip.notes.forEach((note, index) => {
      const box = this.box(index);
      if (!this.inView(box)) return;
      const moved = paired ? note[START] - this.before.notes[index][START] : note[START] - nearestStep(note[START]);
      const isDrum = box.row.kind === "drum";
      context.globalAlpha = note[MUTE] ? 0.15 : 0.4 + 0.6 * note[VELOCITY] / 127;
      context.fillStyle = isDrum ? (Math.abs(moved) < 0.008 ? tints.even : moved < 0 ? tints.early : tints.late)
        : note[PITCH] < 52 ? tints.bass : tints.even;
      context.fillRect(box.x, box.y, box.w, box.h);
      if (isDrum && Math.abs(moved) >= 0.008) {  // how far it has moved
        const from = this.x(note[START] - moved), bottom = box.row.top + box.row.height - 2;
        context.globalAlpha = 1;
        context.fillRect(Math.min(from, box.x), bottom - 1, Math.abs(box.x - from) + 1, 2);
      }
      context.globalAlpha = 1;
      if (this.selected.has(index) || this.isLocked(index)) {
        context.strokeStyle = color(this.selected.has(index) ? "select" : "lock"); context.lineWidth = 2;
        context.strokeRect(box.x - 2, box.y - 2, box.w + 4, box.h + 4);
      }
    });
  }

  drawCursor(context, color) {
    const row = this.rows[this.cursor.row];
    context.strokeStyle = color("select"); context.lineWidth = 2;
    context.strokeRect(this.x(this.cursor.step / STEPS_PER_BEAT), row.top + 1, this.beatPixels / 4, row.height - 2);
  }

  // The beat that plays; undefined where nothing does.
  placePlayhead(beat) {
    const x = beat === undefined ? -9 : this.x(beat);
    this.playhead.hidden = beat === undefined || x < 0 || x > this.width;
    if (!this.playhead.hidden) this.playhead.style.transform = `translateX(${x}px)`;
  }

  // Lanes and ruler: buttons, so that a finger, a key and a reader find them

  labelLanesNow() {
    const key = this.rows.map((row) => `${row.name} ${Math.round(row.top)}`).join();
    if (this.lanesKey !== key) {
      this.lanesKey = key;
      this.lanes.replaceChildren(...this.rows.map((row) => {
        const button = document.createElement("button");
        button.className = "lane"; button.type = "button"; button.dataset.lane = row.name;
        button.style.top = `${row.top}px`; button.style.height = `${row.height}px`;
        button.textContent = row.name.replace("_", " ");
        button.disabled = row.kind !== "drum";
        button.addEventListener("click", () => this.toggleLock(row.name));
        return button;
      }));
    }
    for (const button of this.lanes.children) {
      const isLocked = this.locked.has(button.dataset.lane);
      button.setAttribute("aria-pressed", isLocked);
      button.title = isLocked ? "stays as it is" : "press: stays as it is";
    }
  }

  labelRuler(bars) {
    while (this.ruler.children.length > bars) this.ruler.lastChild.remove();
    while (this.ruler.children.length < bars) {
      const button = document.createElement("button"), bar = this.ruler.children.length;
      button.className = "bar-number"; button.type = "button"; button.textContent = bar + 1;
      button.setAttribute("aria-label", `mark bar ${bar + 1}`); button.title = "mark for infill";
      button.addEventListener("click", (event) => this.mark(bar, event.shiftKey));
      this.ruler.append(button);
    }
    for (const [bar, button] of [...this.ruler.children].entries()) {
      button.setAttribute("aria-pressed", Boolean(this.marked && bar >= this.marked[0] && bar <= this.marked[1]));
      button.style.width = `${this.clip.beatsPerBar * this.beatPixels}px`;
    }
  }

  placeRuler() { this.ruler.style.transform = `translateX(${LEFT - this.scroller.scrollLeft}px)`; }

  mark(bar, goesOn = false) {
    const [first, last] = this.marked || [bar, bar];
    const isWithin = this.marked && bar >= first && bar <= last;
    const touches = this.marked && (bar === first - 1 || bar === last + 1);
    if (isWithin && first === last) this.marked = null;
    else if (isWithin) this.marked = bar === first ? [first + 1, last] : [first, bar - (bar === last ? 1 : 0)];
    else this.marked = goesOn || touches ? [Math.min(first, bar), Math.max(last, bar)] : [bar, bar];
    this.lay(); this.dispatchEvent(new Event("mark"));
  }

  toggleLock(name) {
    if (!this.locked.delete(name)) this.locked.add(name);
    this.labelLanes(); this.draw();
    this.dispatchEvent(new CustomEvent("lock", { detail: name }));
  }

  isLocked(index) {
    const row = this.rowOf(index);
    return row?.kind === "drum" && this.locked.has(row.name);
  }

  // The pitches of the clip whose lanes stay as they are.
  get lockedPitches() {
    const pitches = this.clip.notes.filter((_, index) => this.isLocked(index)).map((note) => note[PITCH]);
    return [...new Set(pitches)].sort((a, b) => a - b);
  }

  // Fingers, mouse and keys

  listen() {
    this.canvas.addEventListener("pointerdown", (event) => this.press(event));
    this.canvas.addEventListener("pointermove", (event) => this.move(event));
    this.canvas.addEventListener("pointerup", (event) => this.release(event));
    this.canvas.addEventListener("pointercancel", () => { this.pressed = null; this.draw(); });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    for (const kind of ["focus", "blur"]) this.canvas.addEventListener(kind, () => this.draw());
    this.canvas.addEventListener("wheel", (event) => {
      if (event.ctrlKey) { event.preventDefault(); this.zoomBy(event.deltaY < 0 ? 1.2 : 1 / 1.2); }
      else { this.scroller.scrollLeft += event.deltaX || (event.shiftKey ? event.deltaY : 0); }
    }, { passive: false });
  }

  zoomBy(factor) { this.zoom = Math.min(16, Math.max(1, this.zoom * factor)); this.lay(); }

  noteAt(x, y, slack = 6) {
    const rowIndex = this.rowAt(y);
    let best = -1, nearest = slack;
    this.clip.notes.forEach((_, index) => {
      const box = this.box(index);
      if (!box || this.rows.indexOf(box.row) !== rowIndex) return;
      if (box.row.kind === "pitches" && (y < box.y - 2 || y > box.y + box.h + 2)) return;
      const distance = Math.max(box.x - x, x - box.x - box.w, 0);
      if (distance < nearest) { nearest = distance; best = index; }
    });
    return best;
  }

  press(event) {
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    const { offsetX: x, offsetY: y } = event;
    this.pressed = { x, y, note: this.noteAt(x, y, event.pointerType === "touch" ? 14 : 6), scroll: this.scroller.scrollLeft,
      isTouch: event.pointerType === "touch", hasMoved: false };
  }

  move(event) {
    const { offsetX: x, offsetY: y } = event;
    if (!this.pressed) { this.tell(this.noteAt(x, y)); return; }
    if (Math.hypot(x - this.pressed.x, y - this.pressed.y) > 6) this.pressed.hasMoved = true;
    if (!this.pressed.hasMoved) return;
    if (this.pressed.isTouch) { this.scroller.scrollLeft = this.pressed.scroll + this.pressed.x - x; return; }
    const [left, right] = [this.pressed.x, x].sort((a, b) => a - b), [top, bottom] = [this.pressed.y, y].sort((a, b) => a - b);
    this.selected = new Set(this.clip.notes.map((_, index) => index).filter((index) => {
      const box = this.box(index);
      return box && box.x + box.w >= left && box.x <= right && box.y + box.h >= top && box.y <= bottom;
    }));
    this.draw(); this.dispatchEvent(new Event("select"));
  }

  release(event) {
    const pressed = this.pressed;
    this.pressed = null;
    if (!pressed || pressed.hasMoved) return;
    const row = this.rowAt(pressed.y), step = Math.floor(this.beatAt(event.offsetX) * STEPS_PER_BEAT + 0.25);
    this.cursor = { row: Math.max(0, row), step: Math.max(0, Math.min(step, this.steps - 1)) };
    if (this.isDrawing) this.toggleHit(pressed.note);
    else if (pressed.note >= 0) this.toggleSelected(pressed.note);
    else this.selected = new Set();
    this.draw(); this.dispatchEvent(new Event("select"));
  }

  get steps() { return Math.ceil(this.clip.beats * STEPS_PER_BEAT); }

  toggleSelected(index) {
    if (!this.selected.delete(index)) this.selected.add(index);
    this.tell(index);
  }

  // Put a hit where the cursor is, or take one away.
  toggleHit(index = this.hitAtCursor()) {
    const row = this.rows[this.cursor.row];
    if (index < 0 && row.kind !== "drum") return;
    const detail = index >= 0 ? { remove: new Set([index]) }
      : { add: [this.drums[row.name][0], this.cursor.step / STEPS_PER_BEAT, 1 / STEPS_PER_BEAT, 100, 0] };
    this.dispatchEvent(new CustomEvent("edit", { detail }));
  }

  hitAtCursor() {
    const row = this.rows[this.cursor.row];
    return this.clip.notes.findIndex((note, index) =>
      this.rowOf(index) === row && Math.round(note[START] * STEPS_PER_BEAT) === this.cursor.step);
  }

  key(event) {
    const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (moves) {
      this.cursor.row = Math.min(this.rows.length - 1, Math.max(0, this.cursor.row + moves[0]));
      this.cursor.step = Math.min(this.steps - 1, Math.max(0, this.cursor.step + moves[1]));
      const x = this.x(this.cursor.step / STEPS_PER_BEAT);
      if (x < 20 || x > this.width - 40) this.scroller.scrollLeft += x - this.width / 2;
    } else if (event.key === "Enter") this.toggleHit();
    else if (event.key === "s") { const hit = this.hitAtCursor(); if (hit >= 0) this.toggleSelected(hit); }
    else if (event.key === "Delete" || event.key === "Backspace") this.removeSelected();
    else if (event.key === "m") this.mark(Math.floor(this.cursor.step / STEPS_PER_BEAT / this.clip.beatsPerBar));
    else if (event.key === "l") this.toggleLock(this.rows[this.cursor.row].name);
    else if (event.key === "+" || event.key === "-") this.zoomBy(event.key === "+" ? 1.4 : 1 / 1.4);
    else return;
    event.preventDefault();
    this.tell(this.hitAtCursor()); this.draw();
  }

  removeSelected() {
    if (!this.selected.size) return;
    const gone = this.selected;
    this.selected = new Set();
    this.dispatchEvent(new CustomEvent("edit", { detail: { remove: gone } }));
  }

  // Say of a hit where it is, how far that is from the grid or from before, and how loud it is.
  tell(index) {
    const row = this.rows[this.cursor.row], { beatsPerBar } = this.clip;
    const place = (beat) => `${Math.floor(beat / beatsPerBar) + 1}.${Math.floor(beat % beatsPerBar) + 1}`;
    if (index < 0) {
      this.readout.textContent = document.activeElement === this.canvas
        ? `${row.name.replace("_", " ")} ${place(this.cursor.step / 4)}.${this.cursor.step % 4 + 1}` : "";
      return;
    }
    const note = this.clip.notes[index], paired = this.before && areSameNotes(this.before, this.clip);
    const from = paired ? this.before.notes[index][START] : nearestStep(note[START]);
    const ms = (note[START] - from) * 60000 / this.clip.tempo, was = paired ? this.before.notes[index][VELOCITY] : 0;
    const name = this.rowOf(index).kind === "drum" ? this.rowOf(index).name.replace("_", " ") : `pitch ${note[PITCH]}`;
    const moved = Math.abs(ms) < 0.5 ? "on the grid" : `${Math.abs(ms).toFixed(0)} ms ${ms < 0 ? "early" : "late"}`;
    this.readout.textContent =
      `${name}, ${place(from + 1e-6)}: ${moved}, velocity ${was && was !== note[VELOCITY] ? `${was} → ` : ""}${note[VELOCITY]}`;
  }
}

function nearestStep(beat) {
  const straight = Math.round(beat * 4) / 4, triplet = Math.round(beat * 3) / 3;
  return Math.abs(beat - straight) <= Math.abs(beat - triplet) + 0.04 ? straight : triplet;
}
