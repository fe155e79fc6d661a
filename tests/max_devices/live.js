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
    create_midi_track: { since: 11.0, takes: 1, changes: true },
    create_scene: { since: 11.0, takes: 1, changes: true },
  },
};
const PROPERTIES = {
  Clip: [
    "is_midi_clip", "loop_start", "loop_end", "looping", "start_marker", "end_marker", "length",
    "signature_numerator", "signature_denominator", "name", "color_index",
  ],
  ClipSlot: ["has_clip"],
  Song: ["tempo"],
  Track: ["name", "has_midi_input"],
  Device: ["name", "can_have_drum_pads"],
  DeviceParameter: ["name", "automation_state"],
};
const SETTABLE = {
  Clip: ["loop_start", "loop_end", "name", "color_index"], Song: ["tempo"], Track: ["name"],
};

class Live {
  // {version: 11.0, undo_steps: whether this Live groups calls, tracks: how many, or [{name, midi, drum_rack}],
  // slots: a track's}
  constructor({ version = 11.0, undo_steps = true, tracks = 2, slots = 4 } = {}) {
    Object.assign(this, { version, undo_steps, notifying: false, is_open: false, grouped: false, next_id: 100 });
    this.state = { tempo: 120, tracks: [], scenes: slots, clips: {}, detail: 0 };
    const named = Array.isArray(tracks) ? tracks : Array(tracks).fill({});
    named.forEach((track) => this.add_track(track));
    this.undo_steps_made = [];
    this.parameter_steps = 0; // what a patch, not a person, has changed of what Live saves
    this.calls = {};
    this.edits = 0; // calls that have changed something
    this.renamed = 0; // tracks: each is an undo step of its own, whatever groups it
    this.ignored = 0;
    this.deleted = 0;
    this.observers = [];
    this.cycle = null; // of a MIDI Tool: the clip, and its notes as the cycle began
  }

  // What a person does

  add_track({ name, midi = 1, drum_rack = 0, at = this.state.tracks.length } = {}) {
    const id = this.next_id++;
    const slots = Array(this.state.scenes).fill(0);
    const track = { id, name: name || `${id}-MIDI`, midi, drum_rack, slots, arrangement: [], lane: [] };
    this.state.tracks.splice(at, 0, track);
    return id;
  }

  add_clip({
    track = 0, slot = 0, arrangement = false, lane = false, midi = true, start = 0, beats = 8, whole, looping = 1,
    meter = [4, 4], selection, notes = [],
  }) {
    const id = this.next_id++;
    this.state.clips[id] = {
      is_midi_clip: midi ? 1 : 0, loop_start: start, loop_end: start + beats, looping, name: "", color_index: 0,
      start_marker: whole ? whole[0] : start, end_marker: whole ? whole[1] : start + beats,
      signature_numerator: meter[0], signature_denominator: meter[1], selection: selection || [start, start + beats],
      notes: [], next_note: 1, // each clip counts its notes from 1
    };
    const { slots, arrangement: line, lane: takes } = this.state.tracks[track];
    if (lane) takes.push(id);
    else if (arrangement) line.push(id);
    else slots[slot] = id;
    for (const note of notes) {
      const complete = { ...DEFAULTS, ...note, note_id: this.state.clips[id].next_note++ };
      this.state.clips[id].notes.push(complete);
    }
    this.view(id);
    return id;
  }

  view(id) { // and whatever a person does beside a MIDI Tool ends its cycle
    this.state.detail = id;
    this.cycle = null;
  }

  select(id, start, end) { // a stretch of time
    this.state.clips[id].selection = [start, end];
    this.cycle = null;
  }

  close() { // and open the set again: everything has another id
    const ids = new Map(Object.keys(this.state.clips).map((id) => [Number(id), this.next_id++]));
    const renamed = (id) => ids.get(id) || 0;
    this.state.clips = Object.fromEntries([...ids].map(([old, id]) => [id, this.state.clips[old]]));
    for (const track of this.state.tracks) {
      for (const list of ["slots", "arrangement", "lane"]) track[list] = track[list].map(renamed);
    }
    for (const clip of Object.values(this.state.clips)) {
      for (const note of clip.notes) note.note_id += 1000;
      clip.next_note += 1000;
    }
    this.state.detail = renamed(this.state.detail);
    Object.assign(this, { undo_steps_made: [], parameter_steps: 0, is_open: false, cycle: null });
    return Object.fromEntries(ids);
  }

  delete_clip(id) {
    for (const track of this.state.tracks) {
      track.slots = track.slots.map((each) => (each === id ? 0 : each));
      track.arrangement = track.arrangement.filter((each) => each !== id);
    }
    this.cycle = null;
    delete this.state.clips[id];
    if (this.state.detail === id) this.state.detail = 0;
  }

  edit(id, { remove = [], change = {}, select = null }) {
    const clip = this.state.clips[id];
    this.cycle = null;
    clip.notes = clip.notes.filter((note) => !remove.includes(note.note_id));
    for (const note of clip.notes) {
      Object.assign(note, change[note.note_id]);
      if (select) note.selected = select.includes(note.note_id);
    }
  }

  undo() {
    if (!this.undo_steps_made.length) throw new Error("nothing to undo");
    this.state = JSON.parse(this.undo_steps_made.pop());
    Object.assign(this, { is_open: false, grouped: false, cycle: null });
  }

  // What LiveAPI asks

  find(path) {
    const words = path.split(" ");
    if (words[0] === "id") return this.by_id(Number(words[1]));
    if (path === "live_set") return { type: "Song", id: 1, path };
    if (path === "live_set view detail_clip") return this.by_id(this.state.detail);
    const match = /^live_set tracks (\d+)(?: (?:devices (\d+)|clip_slots (\d+)( clip)?))?$/.exec(path);
    if (!match) throw new Error(`no such path: ${path}`);
    const [, number, device, slot, clip] = match;
    const track = this.state.tracks[number];
    if (!track) return null;
    if (device !== undefined) return { type: "Device", id: 8000 + track.id, path, drum_rack: track.drum_rack };
    if (slot === undefined) return { type: "Track", id: track.id, path, track };
    const held = track.slots[slot];
    if (held === undefined) return null;
    if (clip) return this.by_id(held);
    return { type: "ClipSlot", id: 20 + 10 * number + Number(slot), path, track, index: Number(slot) };
  }

  count(object, children) {
    if (object.type === "Song" && children === "tracks") return this.state.tracks.length;
    if (object.type === "Song" && children === "scenes") return this.state.scenes;
    if (object.type === "Track" && children === "devices") return object.track.drum_rack ? 1 : 0;
    if (object.type === "Track" && children === "clip_slots") return object.track.slots.length;
    throw new Error(`${object.type} has no ${children}`);
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
      if (track.lane.includes(id)) return `live_set take_lanes 0 arrangement_clips ${track.lane.indexOf(id)}`;
    }
    throw new Error(`clip ${id} is nowhere`);
  }

  get(object, property) {
    if (!(PROPERTIES[object.type] || []).includes(property)) throw new Error(`${object.type} has no ${property}`);
    if (object.type === "Song") return [this.state[property]];
    if (object.type === "ClipSlot") return [object.track.slots[object.index] ? 1 : 0];
    if (object.type === "Track") return [property === "name" ? object.track.name : object.track.midi];
    if (object.type === "DeviceParameter") return String(object.state[property]).split(" "); // one atom or several
    if (object.type === "Device") return [property === "name" ? "" : object.drum_rack];
    if (object.type === "Clip" && property === "length") return [object.clip.loop_end - object.clip.loop_start];
    return [object.type === "Clip" ? object.clip[property] : ""];
  }

  set(object, property, value) {
    if (!(SETTABLE[object.type] || []).includes(property)) throw new Error(`${object.type} cannot set ${property}`);
    if (object.type === "Track") {
      this.undo_steps_made.push(JSON.stringify(this.state));
      this.renamed += 1;
      object.track.name = value;
      return;
    }
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
    if (JSON.stringify(this.state) === before) return result;
    this.edits += 1;
    if (!(this.is_open && this.grouped)) this.undo_steps_made.push(before);
    this.grouped = this.is_open;
    return result;
  }

  // The functions

  begin_undo_step() { // does not count: where a step is open it goes on, whoever began it
    if (!this.is_open) Object.assign(this, { is_open: true, grouped: false });
  }

  end_undo_step() {
    Object.assign(this, { is_open: false, grouped: false });
  }

  create_midi_track(song, at) {
    if (at !== -1) throw new Error("create_midi_track anywhere but at the end");
    return ["id", this.add_track()];
  }

  create_scene(song, at) {
    if (at !== -1) throw new Error("create_scene anywhere but at the end");
    this.state.scenes += 1;
    for (const track of this.state.tracks) track.slots.push(0);
    return ["id", this.next_id++];
  }

  create_clip(slot, beats) {
    if (slot.track.slots[slot.index]) throw new Error("create_clip on a slot that has a clip");
    if (!(beats > 0)) throw new Error(`create_clip with ${beats} beats`);
    const { detail } = this.state;
    if (!slot.track.midi) throw new Error("create_clip on a track of audio");
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
