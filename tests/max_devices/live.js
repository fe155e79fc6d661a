// A strict fake of Live's API: what real Live refuses, or quietly ignores, is an error here. Knows no Max.
// Sources: Cycling '74's Live Object Model and LiveAPI pages; what they leave open is taken as the harder of the two.
"use strict";

const READ_FIELDS = [
  "note_id", "pitch", "start_time", "duration", "velocity", "mute", "probability", "velocity_deviation",
  "release_velocity",
];
const RANGES = {
  pitch: [0, 127], start_time: [-1e6, 1e6], duration: [1e-9, 1e6], velocity: [0, 127], mute: [0, 1],
  probability: [0, 1], velocity_deviation: [-127, 127], release_velocity: [0, 127],
};
const DEFAULTS = { velocity: 100, mute: 0, probability: 1, velocity_deviation: 0, release_velocity: 64 };

// since: the first Live that has it; changes: whether it is refused inside a notification.
const FUNCTIONS = {
  Clip: {
    get_notes_extended: { since: 11.0, takes: 4 },
    get_all_notes_extended: { since: 11.1, takes: 0 },
    get_selected_notes_extended: { since: 11.0, takes: 0 },
    get_notes_by_id: { since: 11.0, takes: -1 },
    add_new_notes: { since: 11.0, takes: 1, changes: true },
    apply_note_modifications: { since: 11.0, takes: 1, changes: true },
    remove_notes_extended: { since: 11.0, takes: 4, changes: true },
    remove_notes_by_id: { since: 11.0, takes: -1, changes: true },
  },
  ClipSlot: { create_clip: { since: 11.0, takes: 1, changes: true } },
  Song: {
    begin_undo_step: { since: 11.0, takes: 0, undo_steps: true },
    end_undo_step: { since: 11.0, takes: 0, undo_steps: true },
  },
};
const PROPERTIES = {
  Clip: [
    "is_midi_clip", "loop_start", "loop_end", "start_marker", "end_marker", "length", "signature_numerator",
    "signature_denominator", "name",
  ],
  ClipSlot: ["has_clip"],
  Song: ["tempo"],
  Track: ["name"],
  Device: ["name"],
};
const SETTABLE = { Clip: ["loop_start", "loop_end", "name"], Song: ["tempo"] };

class Live {
  // {version: 11.0, undo_steps: whether this Live groups calls, tracks: number, slots: a track's}
  constructor({ version = 11.0, undo_steps = true, tracks = 2, slots = 4 } = {}) {
    Object.assign(this, { version, undo_steps, notifying: false, depth: 0, grouped: false });
    this.state = { next_id: 100, tempo: 120, clips: {}, detail: 0 };
    this.state.tracks = Array.from({ length: tracks }, () => ({ slots: Array(slots).fill(0), arrangement: [] }));
    this.undo_steps_made = [];
    this.calls = {};
    this.ignored = 0;
    this.deleted = 0;
    this.observers = [];
  }

  // What a person does

  add_clip({ track = 0, slot = 0, arrangement = false, midi = true, start = 0, beats = 8, whole, notes = [] }) {
    const id = this.state.next_id++;
    this.state.clips[id] = {
      is_midi_clip: midi ? 1 : 0, loop_start: start, loop_end: start + beats, name: "",
      start_marker: whole ? whole[0] : start, end_marker: whole ? whole[1] : start + beats,
      signature_numerator: 4, signature_denominator: 4, notes: [], next_note: 1, // each clip counts its notes from 1
    };
    if (arrangement) this.state.tracks[track].arrangement.push(id);
    else this.state.tracks[track].slots[slot] = id;
    for (const note of notes) {
      const whole = { ...DEFAULTS, ...note, note_id: this.state.clips[id].next_note++ };
      this.state.clips[id].notes.push(whole);
    }
    this.state.detail = id;
    return id;
  }

  view(id) {
    this.state.detail = id;
  }

  delete_clip(id) {
    for (const track of this.state.tracks) {
      track.slots = track.slots.map((each) => (each === id ? 0 : each));
      track.arrangement = track.arrangement.filter((each) => each !== id);
    }
    delete this.state.clips[id];
    if (this.state.detail === id) this.state.detail = 0;
  }

  edit(id, { remove = [], change = {}, select = null }) {
    const clip = this.state.clips[id];
    clip.notes = clip.notes.filter((note) => !remove.includes(note.note_id));
    for (const note of clip.notes) {
      Object.assign(note, change[note.note_id]);
      if (select) note.selected = select.includes(note.note_id);
    }
  }

  undo() {
    if (!this.undo_steps_made.length) throw new Error("nothing to undo");
    this.state = JSON.parse(this.undo_steps_made.pop());
  }

  // What LiveAPI asks

  find(path) {
    const words = path.split(" ");
    if (words[0] === "id") return this.by_id(Number(words[1]));
    if (path === "live_set") return { type: "Song", id: 1, path };
    if (path === "live_set view detail_clip") return this.by_id(this.state.detail);
    const match = /^live_set tracks (\d+)(?: clip_slots (\d+)( clip)?)?$/.exec(path);
    if (!match) throw new Error(`no such path: ${path}`);
    const track = this.state.tracks[match[1]];
    if (!track) return null;
    if (match[2] === undefined) return { type: "Track", id: 2 + Number(match[1]), path };
    const held = track.slots[match[2]];
    if (held === undefined) return null;
    if (match[3]) return this.by_id(held);
    return { type: "ClipSlot", id: 20 + 10 * match[1] + Number(match[2]), path, track, index: Number(match[2]) };
  }

  by_id(id) {
    const clip = this.state.clips[id];
    if (!clip) return null;
    return { type: "Clip", id, path: this.path_of(id), clip };
  }

  path_of(id) {
    for (const [number, track] of this.state.tracks.entries()) {
      if (track.slots.includes(id)) return `live_set tracks ${number} clip_slots ${track.slots.indexOf(id)} clip`;
      const place = track.arrangement.indexOf(id);
      if (place >= 0) return `live_set tracks ${number} arrangement_clips ${place}`;
    }
    throw new Error(`clip ${id} is nowhere`);
  }

  get(object, property) {
    if (!(PROPERTIES[object.type] || []).includes(property)) throw new Error(`${object.type} has no ${property}`);
    if (object.type === "Song") return [this.state[property]];
    if (object.type === "ClipSlot") return [object.track.slots[object.index] ? 1 : 0];
    if (object.type === "Clip" && property === "length") return [object.clip.loop_end - object.clip.loop_start];
    return [object.type === "Clip" ? object.clip[property] : ""];
  }

  set(object, property, value) {
    if (!(SETTABLE[object.type] || []).includes(property)) throw new Error(`${object.type} cannot set ${property}`);
    this.change(() => {
      if (object.type === "Song") this.state[property] = value;
      else object.clip[property] = value;
    });
    for (const observer of this.observers.filter((each) => each.property === property)) this.notify(observer, value);
  }

  notify(observer, value) {
    this.notifying = true;
    try {
      observer.callback([observer.property, value]);
    } finally {
      this.notifying = false;
    }
  }

  call(object, name, args) {
    const known = (FUNCTIONS[object.type] || {})[name];
    if (!known || (known.undo_steps && !this.undo_steps)) throw new Error(`${object.type} has no function ${name}`);
    if (this.version < known.since) throw new Error(`${name} needs Live ${known.since}`);
    if (known.takes >= 0 && args.length !== known.takes) throw new Error(`${name} takes ${known.takes} arguments`);
    if (args.length > 255) throw new Error(`${name} with ${args.length} arguments: a list of Max holds 256`);
    if (object.type === "Clip" && !object.clip.is_midi_clip) throw new Error(`${name} on an audio clip`);
    this.calls[name] = (this.calls[name] || 0) + 1;
    return known.changes ? this.change(() => this[name](object, ...args)) : this[name](object, ...args);
  }

  functions_of(type) {
    return Object.entries(FUNCTIONS[type] || {})
      .filter(([, known]) => this.version >= known.since && (!known.undo_steps || this.undo_steps))
      .map(([name]) => name);
  }

  change(action) {
    if (this.notifying) {
      throw new Error("Changes cannot be triggered by notifications. You will need to defer your response.");
    }
    const before = JSON.stringify(this.state);
    const result = action();
    if (JSON.stringify(this.state) !== before && !(this.depth && this.grouped)) {
      this.undo_steps_made.push(before);
      this.grouped = this.depth > 0;
    }
    return result;
  }

  // The functions

  begin_undo_step() {
    if (this.depth) throw new Error("begin_undo_step inside an undo step");
    Object.assign(this, { depth: 1, grouped: false });
  }

  end_undo_step() {
    if (!this.depth) throw new Error("end_undo_step without a begin");
    Object.assign(this, { depth: 0, grouped: false });
  }

  create_clip(slot, beats) {
    if (slot.track.slots[slot.index]) throw new Error("create_clip on a slot that has a clip");
    if (!(beats > 0)) throw new Error(`create_clip with ${beats} beats`);
    const { detail } = this.state;
    const id = this.add_clip({ track: this.state.tracks.indexOf(slot.track), slot: slot.index, beats });
    this.state.detail = detail;
    return ["id", id];
  }

  get_notes_extended({ clip }, from_pitch, pitch_span, from_time, time_span) {
    return read(clip.notes.filter(inside(from_pitch, pitch_span, from_time, time_span)));
  }

  get_all_notes_extended({ clip }) {
    return read(clip.notes);
  }

  get_selected_notes_extended({ clip }) {
    return read(clip.notes.filter((note) => note.selected));
  }

  get_notes_by_id({ clip }, ...ids) {
    return read(clip.notes.filter((note) => ids.includes(note.note_id)));
  }

  add_new_notes({ clip }, dictionary) {
    const ids = [];
    for (const note of notes_of(dictionary)) {
      check_fields(note, ["pitch", "start_time", "duration"], Object.keys(RANGES));
      const whole = { ...DEFAULTS, ...note, mute: Number(note.mute || 0), note_id: clip.next_note++ };
      ids.push(whole.note_id);
      clip.notes.push(whole);
      this.settle(clip, new Set([whole.note_id]));
    }
    return ids;
  }

  apply_note_modifications({ clip }, dictionary) {
    const there = new Map(clip.notes.map((note) => [note.note_id, note]));
    const notes = notes_of(dictionary);
    for (const note of notes) check_fields(note, READ_FIELDS, READ_FIELDS);
    if (notes.some((note) => !there.has(note.note_id))) {
      this.ignored += 1; // the whole dictionary
      return;
    }
    for (const note of notes) Object.assign(there.get(note.note_id), note);
    this.settle(clip, new Set(notes.map((note) => note.note_id)));
  }

  remove_notes_extended({ clip }, ...area) {
    const goes = inside(...area);
    clip.notes = clip.notes.filter((note) => !goes(note));
  }

  remove_notes_by_id({ clip }, ...ids) {
    clip.notes = clip.notes.filter((note) => !ids.includes(note.note_id));
  }

  // Notes of a pitch never overlap: one is cut where the next begins, and gives way where both begin together.
  settle(clip, fresh) {
    const order = [...clip.notes].sort((a, b) => a.pitch - b.pitch || a.start_time - b.start_time);
    const gone = new Set();
    order.forEach((note, index) => {
      const next = order[index + 1];
      if (!next || next.pitch !== note.pitch) return;
      if (next.start_time === note.start_time) gone.add(fresh.has(note.note_id) ? next : note);
      else note.duration = Math.min(note.duration, next.start_time - note.start_time);
    });
    this.deleted += gone.size;
    clip.notes = clip.notes.filter((note) => !gone.has(note));
  }
}

function read(notes) {
  const sorted = [...notes].sort((a, b) => a.start_time - b.start_time || a.pitch - b.pitch);
  return JSON.stringify({ notes: sorted.map((note) => Object.fromEntries(READ_FIELDS.map((f) => [f, note[f]]))) });
}

function inside(from_pitch, pitch_span, from_time, time_span) {
  if (!(pitch_span > 0 && time_span > 0)) throw new Error("an area of notes without a size");
  return ({ pitch, start_time }) =>
    pitch >= from_pitch && pitch < from_pitch + pitch_span &&
    start_time >= from_time && start_time < from_time + time_span;
}

function notes_of(dictionary) {
  if (typeof dictionary !== "object" || Object.keys(dictionary).join() !== "notes") {
    throw new Error('notes are passed as {notes: [...]}: a string would be a symbol that stays');
  }
  if (!dictionary.notes.length) throw new Error("a dictionary without notes");
  return dictionary.notes;
}

function check_fields(note, required, allowed) {
  const missing = required.filter((field) => note[field] === undefined);
  const unknown = Object.keys(note).filter((field) => !allowed.includes(field));
  if (missing.length || unknown.length) throw new Error(`a note lacks [${missing}] and has unknown [${unknown}]`);
  for (const [field, [low, high]] of Object.entries(RANGES)) {
    if (note[field] !== undefined && !(Number(note[field]) >= low && Number(note[field]) <= high)) {
      throw new Error(`a note's ${field} is ${note[field]}`);
    }
  }
}

module.exports = { Live };
