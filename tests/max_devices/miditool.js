// A strict fake of what Live does with a MIDI Tool: a cycle begins with the clip in view, its notes and its selection;
// while it lasts, every answer takes the place of the one before. Knows no Max.
// Sources: Cycling '74's pages of live.miditool.in and live.miditool.out; a generator is given no notes.
"use strict";

const REQUIRED = ["pitch", "start_time", "duration"];

function selected(clip) {
  const [start, end] = clip.selection;
  return clip.notes.filter((note) => note.start_time >= start && note.start_time < end);
}

function plain({ selected: _, mpe: __, ...note }) {
  return { ...note };
}

// What live.miditool.in says when it is banged: {notes, context}, null where no MIDI clip is in view.
function begin_or_go_on(live, is_generator) {
  const clip = live.state.clips[live.state.detail];
  if (!clip || !clip.is_midi_clip) return null;
  if (!live.cycle || live.cycle.id !== live.state.detail) {
    live.cycle = { id: live.state.detail, notes: JSON.parse(JSON.stringify(clip.notes)), said: null };
    live.cycle.said = { notes: is_generator ? [] : selected(clip).map(plain), context: context_of(live, clip) };
  }
  return live.cycle.said;
}

function context_of(live, clip) {
  const [start, end] = clip.selection;
  const notes = selected(clip);
  const bounds = notes.length ? {
    first_note_start: Math.min(...notes.map((note) => note.start_time)),
    last_note_end: Math.max(...notes.map((note) => note.start_time + note.duration)),
    lowest_pitch: Math.min(...notes.map((note) => note.pitch)),
    highest_pitch: Math.max(...notes.map((note) => note.pitch)),
  } : {};
  return {
    clip: { time_selection_start: start, time_selection_end: end, ...bounds },
    scale: live.scale || { scale_mode: 0, root_note: 0, scale_intervals: [0, 2, 4, 5, 7, 9, 11], scale_name: "Major" },
    grid: { enabled: 1, interval: 0.25 },
  };
}

function answer(live, is_generator, notes) { // what a tool says takes the place of what was selected
  const { id, notes: before, said } = live.cycle;
  const clip = live.state.clips[id];
  for (const note of notes) {
    const missing = REQUIRED.filter((field) => !Number.isFinite(note[field]));
    if (missing.length) throw new Error(`The Note dictionary received from Max was malformed: ${missing} is missing`);
  }
  live.change(() => {
    const goes = new Set((is_generator ? selected({ ...clip, notes: before }) : said.notes).map((note) => note.note_id));
    const old = new Map(before.map((note) => [note.note_id, note]));
    clip.notes = before.filter((note) => !goes.has(note.note_id)).map((note) => ({ ...note }));
    for (const note of notes) {
      const whole = { ...(old.get(note.note_id) || {}), velocity: 100, mute: 0, ...note };
      if (!old.has(note.note_id)) whole.note_id = clip.next_note++;
      clip.notes.push(whole);
      live.settle(clip, new Set([whole.note_id]));
    }
  });
}

module.exports = { begin_or_go_on, answer };
