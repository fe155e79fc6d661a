// Verbs and knobs, from what the daemon lists: its verbs and models, their styles and attributes. A verb asks at once;
// while its result is shown each turn of a knob asks again with the same seed, so that nothing changes but what is meant.

import { rows, clipsOf } from "./osc.js";
import { barsOf, besides, followedBy, kept, withKind } from "./clip.js";
import { betweenPresses, choices, element, slider, toggle, words } from "./elements.js";

const BASE = "page base", KEPT = "page kept", GROUP = "page";
const ELSEWHERE = new Set(["interpolate", "decode"]);  // the pad's
const NO_KNOBS = new Set([
  "model", "seed", "group", "to", "keep", "keep_slot", "only", "start", "beats", "style", "size", "since", "tempo", "slot",
]);
const FIRST = "humanize", RESULTS = 4, TURN_MS = 60;
const NOTE_FOR_NOTE = new Set(["humanize", "groove"]);

export class Verbs extends EventTarget {
  constructor({ daemon, session, roll, table, drums, root, say }) {
    super();
    Object.assign(this, { daemon, session, roll, table, drums, root, say });
    this.names = []; this.models = []; this.able = {}; this.styles = []; this.attributes = [];
    this.chosen = session.document.verb || FIRST;
    this.uploaded = {};
    this.draw = betweenPresses(root, () => this.drawNow());
    session.addEventListener("change", ({ detail }) => { if (!detail.isOwn) this.follow(); });
  }

  // What this daemon has; asked anew whenever it starts.
  async load() {
    this.uploaded = {};
    const [verbs, models] = await Promise.all([this.list("verbs", "verb"), this.list("models", "model")]);
    this.names = verbs.map(([name]) => name);
    this.models = models.map(([name, family, bars, , loaded]) => ({ name, family, bars, loaded: Boolean(loaded) }));
    const able = this.models.map(async ({ name }) => [name, (await this.list("verbs", "verb", "model", name)).flat()]);
    this.able = Object.fromEntries(await Promise.all(able));
    await this.choose([this.chosen, FIRST, ...this.music].find((name) => this.music.includes(name)));
  }

  async list(verb, row, ...keys) {
    return rows((await this.daemon.ask(verb, keys, { quiet: true })).messages, row);
  }

  get music() { return this.names.filter((name) => this.table.verbs[name]?.makesMusic && !ELSEWHERE.has(name)); }
  has(name) { return this.names.includes(name); }
  get knobs() { return this.session.document.knobs[this.chosen] || {}; }
  get model() { return this.session.document.model[this.chosen] || ""; }

  async choose(verb) {
    this.chosen = verb;
    if (!verb) return;
    const { model } = this, of = model ? ["model", model] : ["verb", verb];  // that answers where none is named
    const [styles, attributes] = await Promise.all([
      this.list("styles", "style", ...of).then((all) => all.flat(), () => []),
      this.has("attributes") ? this.list("attributes", "attribute", ...of).catch(() => []) : [],
    ]);
    if (this.chosen !== verb || this.model !== model) return;  // another has been chosen meanwhile
    Object.assign(this, { styles, attributes });
    this.draw();
  }

  follow() {
    const { verb } = this.session.document;
    if (verb && verb !== this.chosen && this.music.includes(verb)) this.choose(verb);
    else this.draw();
  }

  // The panel

  drawNow() {
    if (this.root.contains(document.activeElement) && document.activeElement.type === "range") return;
    const focused = document.activeElement?.dataset?.key;
    const about = this.table.verbs[this.chosen];
    if (!about) return;
    this.root.replaceChildren(
      element("div", { class: "verbs", role: "group", "aria-label": "verbs" }, this.music.map((name) => this.verbButton(name))),
      element("p", { class: "about" }, [`${about.text.replace(/\.$/, "")}.`]),
      element("div", { class: "knobs" }, [this.modelChoice(), ...this.extras(), ...this.knobRows(about), ...this.attributeRows(about)]),
      this.styleChips(about),
    );
    if (focused) this.root.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  verbButton(name) {
    const isAble = !this.model || (this.able[this.model] || []).includes(name);
    const button = element("button", {
      type: "button", class: "verb", "data-key": `verb ${name}`, "aria-pressed": name === this.chosen, title: this.table.verbs[name].text,
    }, [name]);
    button.addEventListener("click", async () => {
      if (name !== this.chosen) await this.choose(name);
      this.ask({ isFresh: true });
    });
    if (!isAble && name !== this.chosen) button.classList.add("unable");
    return button;
  }

  modelChoice() {
    const able = this.models.filter(({ name }) => (this.able[name] || []).includes(this.chosen));
    const options = [["", "the daemon's choice"], ...able.map(({ name, loaded }) => [name, loaded ? name : `${name} (to be loaded)`])];
    return choices("model", options, this.model, async (model) => {
      this.session.set({ model: { ...this.session.document.model, [this.chosen]: model } });
      await this.choose(this.chosen);
      this.turn();
    });
  }

  // What a verb needs beside its knobs.
  extras() {
    const slots = this.table.verbs[this.chosen].slots;
    if (this.chosen === "infill") return [element("p", { class: "hint" }, ["Mark bars in the ruler above the clip; else the last one is made anew."])];
    if (!slots.includes("from")) return [];
    const corners = this.session.document.corners.flatMap((clip, i) => (clip ? [[String(i), `the feel of ${"ABCD"[i]}`]] : []));
    if (!corners.length) return [element("p", { class: "hint" }, ["Put the clip whose feel it is to get into a corner of the pad."])];
    return [choices("from", corners, this.knobs.from ?? corners[0][0], (value) => this.turnTo("from", value))];
  }

  knobRows(about) {
    return about.keys.filter(({ name, isAttribute }) => !NO_KNOBS.has(name) && !isAttribute).map((key) => {
      const value = this.knobs[key.name] ?? (key.name === "count" ? RESULTS : key.default);
      const change = (next) => this.turnTo(key.name, next);
      if (key.low === 0 && key.high === 1 && key.kind === "i") return toggle(key, value, change);
      if (key.low !== undefined) return slider(key, value, change);
      return words(key, value, change);
    });
  }

  // Those of the model that answers, density.bass where its parts differ; one that is not touched is not asked for.
  attributeRows(about) {
    return this.attributesOf(about).map(([name, mean, deviation, unit, low, high]) => slider(
      { name, kind: "f", low, high, text: `in standard deviations of ${Number(deviation).toFixed(2)}; 0 is ${Number(mean).toFixed(2)} ${unit}` },
      this.knobs[name], (value) => this.turnTo(name, value),
    ));
  }

  attributesOf(about) {
    const taken = new Set(about.keys.filter(({ isAttribute }) => isAttribute).map(({ name }) => name));
    return this.attributes.filter(([name]) => taken.has(name.split(".")[0]));
  }

  styleChips(about) {
    if (!about.keys.some(({ name }) => name === "style") || !this.styles.length) return "";
    const chip = (style, label) => {
      const button = element("button", { type: "button", class: "chip", "data-key": `style ${style}`, "aria-pressed": (this.knobs.style || "") === style }, [label]);
      button.addEventListener("click", () => { this.turnTo("style", style || undefined); this.draw(); });
      return button;
    };
    const chips = [chip("", "any style"), ...this.styles.map((style) => chip(style, style))];
    if (this.has("learn_style")) chips.push(this.learnButton());
    return element("div", { class: "chips", role: "group", "aria-label": "styles" }, chips);
  }

  learnButton() {
    const button = element("button", { type: "button", class: "chip learn" }, ["+ learn this clip's style"]);
    button.addEventListener("click", async () => {
      const name = prompt("The name of the new style", "mine");
      if (!name) return;
      const chosen = this.roll.selected.size ? kept(this.session.heard, (_, index) => this.roll.selected.has(index)) : this.session.heard;
      try {
        await this.daemon.upload(KEPT, chosen);
        const { keys } = await this.daemon.ask("learn_style", ["name", name, "slots", KEPT]);
        this.say(`learned ${name}${keys.near ? `, near ${keys.near}` : ""}`);
        await this.choose(this.chosen);
      } catch (error) { this.say(error.message, true); }
    });
    return button;
  }

  // Asking

  turnTo(name, value) {
    const of = { ...this.knobs, [name]: value };
    if (value === undefined) delete of[name];
    this.session.set({ knobs: { ...this.session.document.knobs, [this.chosen]: of } });
    this.turn();
  }

  // A knob has moved: ask again, if this verb's result is what is shown; of many turns the last is asked for.
  turn() {
    if (this.session.document.verb !== this.chosen || !this.session.result) return;
    if (this.turning) { this.hasTurned = true; return; }
    this.turning = setTimeout(() => {
      this.turning = undefined;
      if (this.hasTurned) { this.hasTurned = false; this.turn(); }
    }, TURN_MS);
    this.ask({ isFresh: false });
  }

  async ask({ isFresh }) {
    const { session } = this, verb = this.chosen;
    const goesOn = session.document.verb === verb, before = session.base;
    const base = goesOn || !session.result || session.document.ear === "before" ? session.base : session.result;
    try {
      const values = await this.values(verb, base, isFresh);
      if (!values) return;
      const { keys, messages } = await this.daemon.ask(verb, values);
      if (!session.isStill(before)) return;
      const clips = clipsOf(messages, { beatsPerBar: base.beatsPerBar, tempo: verb === "sample" ? keys.tempo || base.tempo : base.tempo })
        .map((clip) => withKind(this.placed(verb, base, clip), this.drums));
      const shown = goesOn ? Math.min(Math.max(session.document.shown, 0), clips.length - 1) : 0;
      session.set(
        { base: base === before ? session.base : base, results: clips, shown, verb, keys: pick(keys, ["seed", "model", "ms", "total_ms"]), ear: "after" },
        { isStep: isFresh },
      );
      if (keys.remark) this.say(keys.remark);
      this.dispatchEvent(new CustomEvent("answered", { detail: { verb, keys } }));
    } catch (error) {
      if (error.code !== "stale") this.say(error.message, true);
    }
  }

  // The keys of a request, after its clips are where it names them; nothing where it cannot be asked.
  async values(verb, base, isFresh) {
    const { table, knobs, roll } = this, about = table.verbs[verb], takes = (name) => about.keys.some((key) => key.name === name);
    const values = [];
    if (about.slots.includes("slot")) { await this.put(BASE, base); values.push("slot", BASE); }
    if (about.slots.includes("from")) {
      const corner = this.session.document.corners[Number(knobs.from ?? this.session.document.corners.findIndex(Boolean))];
      if (!corner) { this.say("put the clip whose feel it is to get into a corner of the pad"); return null; }
      await this.put("page feel", corner);
      values.push("from", "page feel");
    }
    if (verb === "infill") {
      const [first, last] = roll.marked || [barsOf(base) - 1, barsOf(base) - 1];
      values.push("start", first * base.beatsPerBar, "beats", Math.min((last - first + 1) * base.beatsPerBar, base.beats - first * base.beatsPerBar));
    }
    const stays = roll.lockedPitches.join(",");
    if (stays && takes("keep")) values.push("keep", stays);
    if (about.slots.includes("keep_slot") && roll.selected.size && roll.clip === base) {
      await this.put(KEPT, kept(base, (_, index) => roll.selected.has(index)));
      values.push("keep_slot", KEPT);
    }
    if (this.model && takes("model")) values.push("model", this.model);
    const { verb: before, keys } = this.session.document;
    if (!isFresh && before === verb && keys.seed !== undefined) values.push("seed", keys.seed);
    const listed = new Set(this.attributesOf(about).map(([name]) => name));
    for (const { name, isAttribute } of about.keys) if (!isAttribute) listed.add(name);
    const turned = Object.entries({ ...(takes("count") ? { count: RESULTS } : {}), ...knobs });
    for (const [name, value] of turned) {
      if (listed.has(name) && (name === "style" || !NO_KNOBS.has(name)) && value !== "") values.push(name, value);
    }
    return [...values, "group", GROUP];
  }

  async put(slot, clip) {
    if (this.uploaded[slot] === clip) return;
    await this.daemon.upload(slot, clip, { quiet: true });
    this.uploaded[slot] = clip;
  }

  // What came back, where it belongs.
  placed(verb, base, clip) {
    if (verb === "continue") return followedBy(base, clip);
    if (verb === "accompany") return besides(base, clip);
    return NOTE_FOR_NOTE.has(verb) ? { ...clip, parts: clip.parts.length ? clip.parts : base.parts, beats: base.beats } : clip;
  }
}

function pick(values, names) { return Object.fromEntries(names.filter((name) => name in values).map((name) => [name, values[name]])); }
