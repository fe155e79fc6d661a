// Sounds the bars that the daemon tells ahead of time, by the audio clock: no timer stands between a note and its
// moment. A bar that is told again takes the place of what has not sounded of it.

const ELSEWHERE_SECONDS = 0.25;  // by more than this the song has moved, by less its message has come late
const STALLED_SECONDS = 0.05;    // by more than this the audio clock has stood still, by less it has been read late
const MOST_SHIFT_SECONDS = 0.005, LEAN_EARLIER = 0.3, LEAN_LATER = 0.02;  // how what is expected follows what is seen
const SAME_TEMPO = 0.0005;
const SOON_SECONDS = 0.004;   // what is to sound within this is left as it is
const KEPT_BARS = 3, TOO_LATE_SECONDS = 0.05;

// When each note of a bar sounds: {when, seconds, channel, note}, in seconds from the bar's line.
export function moments(bar) {
  const beat = 60 / bar.tempo;
  return bar.notes.map((note, index) => {
    const part = bar.parts.find(([, , first, count]) => index >= first && index < first + count);
    return { when: note[1] * beat, seconds: note[2] * beat, channel: part ? part[0] : 10, note };
  });
}

// What is seen of a clock or a line comes late, never early; what is expected leans towards it by a little, and earlier
// sooner than later. Beyond `most` it is what is seen.
function followed(expected, seen, most) {
  const error = seen - expected;
  if (!(Math.abs(error) <= most)) return seen;
  return expected + Math.max(-MOST_SHIFT_SECONDS, Math.min(MOST_SHIFT_SECONDS, error * (error < 0 ? LEAN_EARLIER : LEAN_LATER)));
}

export class Player extends EventTarget {
  constructor(makeSound) {
    super();
    this.makeSound = makeSound;
    this.bars = new Map();
    this.muted = false;
    this.latencySeconds = 0;   // how late what sounds is heard, beyond what the browser knows
    this.cuts = 0;             // notes that came too late to be sounded
    this.lag = NaN;            // the audio clock's zero in seconds of performance.now(); it is read in steps of a block
  }

  // From a click or a key on, as browsers want it.
  async wake() {
    if (!this.context) {
      this.context = new AudioContext({ latencyHint: "interactive" });
      this.sound = this.makeSound(this.context);
    }
    if (this.context.state !== "running") await this.context.resume();
    for (const bar of this.bars.values()) if (!bar.voices.length) this.schedule(bar, []);
    this.dispatchEvent(new Event("awake"));
  }

  get isAwake() { return this.context?.state === "running"; }

  now() { return performance.now() / 1000; }

  // A bar has been told: {n, start, beats, tempo, notes, parts, at}.
  take(told) {
    const before = this.bars.get(told.n), last = this.bars.get(told.n - 1);
    const bar = { ...told, line: this.lineOf(told, before, last), voices: [] };
    const sounded = before ? this.drop(before) : [];
    this.bars.set(told.n, bar);
    for (const n of this.bars.keys()) if (n < told.n - KEPT_BARS || n > told.n + KEPT_BARS) this.bars.delete(n);
    if (this.isAwake) this.schedule(bar, sounded);
    this.dispatchEvent(new CustomEvent("bar", { detail: bar }));
  }

  // Where the bar begins, in seconds of performance.now(). A message may come late, never early; music does neither:
  // in one tempo a bar begins where the one before has ended.
  lineOf({ start, at, tempo }, before, last) {
    const told = at / 1000 + start, known = before || last;
    if (!known || Math.abs(known.tempo / tempo - 1) > SAME_TEMPO) return told;
    return followed(before ? before.line : last.line + last.beats * 60 / last.tempo, told, ELSEWHERE_SECONDS);
  }

  // Take back what has not sounded of a bar; what has.
  drop(bar) {
    const soon = this.isAwake ? this.context.currentTime + SOON_SECONDS : 0;
    const sounded = bar.voices.filter((each) => each.when <= soon);
    for (const each of bar.voices) if (each.when > soon) each.voice.stop();
    return sounded;
  }

  schedule(bar, sounded) {
    this.lag = followed(this.lag, this.now() - this.context.currentTime, STALLED_SECONDS);
    const zero = bar.line - this.lag;
    const has = new Set(sounded.map((each) => each.key));
    bar.voices = sounded;
    for (const { when, seconds, channel, note } of moments(bar)) {
      const at = zero + when, key = `${channel} ${note[0]} ${note[1].toFixed(3)}`;
      if (has.has(key)) continue;
      if (at < this.context.currentTime - TOO_LATE_SECONDS) { this.cuts += 1; continue; }
      const moment = Math.max(at, this.context.currentTime);
      const voice = this.muted ? SILENT : this.sound.play(channel, note[0], note[3], moment, seconds);
      bar.voices.push({ when: moment, voice, key });
    }
  }

  // Sound something at once, as under a finger.
  hit(channel, pitch, velocity, seconds = 0.25) {
    if (this.isAwake) this.sound.play(channel, pitch, velocity, this.context.currentTime, seconds);
  }

  silence() {
    for (const bar of this.bars.values()) for (const each of bar.voices) each.voice.stop();
    this.bars.clear();
  }

  // The bar that is heard at a moment of performance.now() and the beat in it; undefined where nothing plays.
  place(milliseconds) {
    const now = milliseconds / 1000 - this.outputSeconds;
    for (const bar of this.bars.values()) {
      const beat = (now - bar.line) * bar.tempo / 60;
      if (beat >= -1e-9 && beat < bar.beats) return { n: bar.n, beat, bar };
    }
    return undefined;
  }

  get outputSeconds() { return (this.context?.outputLatency || 0) + this.latencySeconds; }
}

const SILENT = { stop() {} };
