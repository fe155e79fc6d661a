// The last minutes as they were heard: bars as they were told, and the seeds of what was asked meanwhile, as one file.

import { DRUM_CHANNEL } from "./clip.js";
import { download } from "./files.js";

const MOST_SECONDS = 300, MOST_NOTES = 4000;

export class Capture {
  constructor({ player, session, button, say }) {
    this.bars = new Map();  // by their lines, in seconds
    this.seeds = [];
    player.addEventListener("bar", ({ detail }) => this.take(detail));
    session.addEventListener("change", ({ detail }) => this.note(session.document, detail.before));
    button.addEventListener("click", async () => {
      const clip = this.clip();
      if (!clip) { say("nothing has been played yet"); return; }
      try {
        await download(clip, "vaebridge-played.mid", `played with vaebridge: ${this.seeds.map(({ text }) => text).join("; ")}`);
        say(`${Math.round(clip.beats / clip.beatsPerBar)} bars were kept`);
      } catch (error) { say(error.message, true); }
    });
  }

  // A bar told again is what was heard before that and what is heard after.
  take(bar) {
    const now = performance.now() / 1000, seconds = bar.beats * 60 / bar.tempo;
    const key = [...this.bars.keys()].find((line) => Math.abs(line - bar.line) < seconds / 4) ?? bar.line;
    const before = this.bars.get(key);
    const heard = before ? before.notes.filter(({ at }) => at < now) : [];
    const notes = bar.notes.map((note, index) => ({
      note, channel: bar.parts.find(([, , first, count]) => index >= first && index < first + count)?.[0] ?? DRUM_CHANNEL,
      at: bar.line + note[1] * 60 / bar.tempo,
    }));
    this.bars.set(key, { line: bar.line, beats: bar.beats, tempo: bar.tempo, notes: [...heard, ...notes.filter(({ at }) => !before || at >= now)] });
    for (const [each, { line }] of this.bars) if (line < now - MOST_SECONDS) this.bars.delete(each);
  }

  note({ keys, verb }, before) {
    if (keys?.seed === undefined || keys === before?.keys) return;
    this.seeds.push({ text: `${verb} seed ${keys.seed}`, at: performance.now() });
    this.seeds.splice(0, this.seeds.length - 12);
  }

  // All bars of the present tempo in a row, from the first that was heard on, by channel.
  clip() {
    const bars = [...this.bars.values()].filter(({ line, notes }) => line < performance.now() / 1000 && notes.length).sort((a, b) => a.line - b.line);
    if (!bars.length) return null;
    const { tempo, beats, line: zero } = bars[0], channels = new Map();
    let count = 0, end = beats;
    for (const bar of bars) {
      const begin = Math.round((bar.line - zero) * tempo / 60 / beats) * beats;
      if (count + bar.notes.length > MOST_NOTES) break;
      count += bar.notes.length; end = Math.max(end, begin + bar.beats);
      for (const { note, channel } of bar.notes) {
        if (!channels.has(channel)) channels.set(channel, []);
        channels.get(channel).push([note[0], Math.max(0, begin + note[1]), ...note.slice(2)]);
      }
    }
    const notes = [], parts = [];
    for (const [channel, own] of channels) { parts.push([channel, 0, notes.length, own.length, `channel ${channel}`]); notes.push(...own); }
    return { notes, parts, beats: end, beatsPerBar: beats, tempo };
  }
}
