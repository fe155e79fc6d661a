// Playing by hand: pads under fingers, the computer's keys, MIDI where the browser has it. A tap sounds at once and goes
// to the daemon with the beat at which it was heard to fall; what it answers comes with the next bars.

import { element } from "./elements.js";

const PADS = [
  ["kick", "z"], ["snare", "x"], ["closed_hat", "c"], ["open_hat", "v"], ["low_tom", "b"],
  ["mid_tom", "n"], ["high_tom", "m"], ["crash", ","], ["ride", "."],
];
const TAP_BEATS = 0.25, STORE = "vaebridge latency ms", CLICKS = 8, CLICK_SECONDS = 0.5, LEAST_TAPS = 5;

export class Taps {
  constructor({ root, daemon, player, table, drums, say, wake }) {
    Object.assign(this, { root, daemon, player, table, drums, say, wake });
    this.mode = "off";
    player.latencySeconds = Number(localStorage.getItem(STORE) || 0) / 1000;
    this.build();
    addEventListener("keydown", (event) => this.key(event));
    daemon.addEventListener("link", () => this.show(daemon.status.live || "off"));
  }

  build() {
    const modes = Object.entries(this.table.modes).filter(([, { text }]) => !/slot|variation/.test(text));
    this.modes = [["off", { text: "what you tap is only heard" }], ...modes].map(([name, { text }]) => {
      const button = element("button", { type: "button", class: "chip", "data-mode": name, title: text, "aria-pressed": name === "off" }, [name]);
      button.addEventListener("click", () => this.choose(name));
      return button;
    });
    this.about = element("p", { class: "about" }, ["Tap, and choose what becomes of it."]);
    this.pads = PADS.map(([name, key]) => {
      const pad = element("button", { type: "button", class: "tap", "data-tap": name, "aria-keyshortcuts": key }, [
        element("span", {}, [name.replace("_", " ")]), element("kbd", {}, [key]),
      ]);
      pad.addEventListener("pointerdown", (event) => { event.preventDefault(); this.tap(this.drums[name][0], force(event), pad); });
      pad.addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.repeat) this.tap(this.drums[name][0], 100, pad); });
      return pad;
    });
    this.midi = element("button", { type: "button", class: "plain" }, ["Listen to MIDI"]);
    this.midi.hidden = !navigator.requestMIDIAccess;
    this.midi.addEventListener("click", () => this.listenToMidi());
    this.calibration = element("button", { type: "button", class: "plain" }, ["Measure the delay"]);
    this.calibration.addEventListener("click", () => this.calibrate());
    this.delay = element("output", { class: "delay" }, [this.delayText()]);
    this.root.append(
      element("div", { class: "chips", role: "group", "aria-label": "what becomes of the taps" }, this.modes), this.about,
      element("div", { class: "taps" }, this.pads),
      element("div", { class: "row" }, [this.midi, this.calibration, this.delay]),
    );
  }

  delayText() { return `${Math.round(this.player.latencySeconds * 1000)} ms`; }

  async choose(name) {
    await this.wake();
    try {
      await this.daemon.ask("live", ["mode", name]);
      this.show(name);
      if (name === "off") await this.daemon.ask("stop", []);
    } catch (error) { this.say(error.message, true); }
  }

  show(mode) {
    if (mode === this.mode) return;
    this.mode = mode;
    for (const button of this.modes) button.setAttribute("aria-pressed", button.dataset.mode === mode);
    const about = this.table.modes[mode];
    this.about.textContent = about ? `${about.text}.` : "What you tap is only heard.";
  }

  key(event) {
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || /INPUT|SELECT|TEXTAREA/.test(event.target.tagName)) return;
    const place = PADS.findIndex(([, key]) => key === event.key.toLowerCase());
    if (place < 0 || this.root.closest("[hidden]")) return;
    event.preventDefault();
    this.tap(this.drums[PADS[place][0]][0], 100, this.pads[place]);
  }

  async tap(pitch, velocity, pad) {
    const at = performance.now();
    if (!this.player.isAwake) await this.wake();
    this.player.hit(10, pitch, velocity);
    if (pad) { pad.classList.add("hit"); setTimeout(() => pad.classList.remove("hit"), 90); }
    if (this.measured) { this.measured.push(at / 1000); return; }
    const place = this.player.place(at);
    if (!place || this.mode === "off") return;
    const note = [pitch, Math.max(0, place.beat), TAP_BEATS, velocity, 0];
    try { await this.daemon.playedBar(place.n, place.bar.beats, [note]); } catch (error) { this.say(error.message, true); }
  }

  async listenToMidi() {
    try {
      const access = await navigator.requestMIDIAccess();
      const listen = () => { for (const input of access.inputs.values()) input.onmidimessage = ({ data }) => this.message(data); };
      access.onstatechange = listen;
      listen();
      const names = [...access.inputs.values()].map((input) => input.name);
      this.say(names.length ? `listening to ${names.join(", ")}` : "no MIDI input is there yet; one that comes is heard");
    } catch (error) { this.say(`the browser has no MIDI for this page: ${error.message}`, true); }
  }

  message([status, pitch, velocity]) { if ((status & 0xf0) === 0x90 && velocity) this.tap(pitch, velocity); }

  // Click, let tap along, and take the middle of how late the taps are.
  async calibrate() {
    await this.wake();
    const first = this.player.context.currentTime + 0.6, zero = this.player.now() + 0.6;
    for (let click = 0; click < CLICKS; click += 1) {
      this.player.sound.play(10, 37, click % 4 ? 80 : 120, first + click * CLICK_SECONDS, 0.05);
    }
    this.measured = [];
    this.say("tap along with the clicks");
    await new Promise((resolve) => { setTimeout(resolve, (0.6 + CLICKS * CLICK_SECONDS) * 1000); });
    const late = this.measured.map((at) => at - zero - Math.round((at - zero) / CLICK_SECONDS) * CLICK_SECONDS)
      .filter((seconds) => Math.abs(seconds) < 0.2).sort((a, b) => a - b);
    this.measured = undefined;
    if (late.length < LEAST_TAPS) { this.say(`only ${late.length} taps came: tap each click`, true); return; }
    const known = this.player.context.outputLatency || 0;
    this.player.latencySeconds = Math.max(0, late[Math.floor(late.length / 2)] - known);
    localStorage.setItem(STORE, this.player.latencySeconds * 1000);
    this.delay.textContent = this.delayText();
    this.say(`you hear the sound ${this.delayText()} later than the browser says; taps are moved by it`);
  }
}

// How hard a finger or pen presses, where that is known.
function force({ pressure, pointerType }) { return pointerType === "mouse" || !pressure || pressure === 0.5 ? 100 : Math.round(40 + 87 * pressure); }
