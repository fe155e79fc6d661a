// Clips as the page keeps them: {notes: [[pitch, start, duration, velocity, mute]…], beats, beatsPerBar, tempo,
// parts: [[channel, program, first, count, name]…]}. Values: nothing here changes one, each function makes another.

export const PITCH = 0, START = 1, DURATION = 2, VELOCITY = 3, MUTE = 4;
export const DRUM_CHANNEL = 10;

export function channelOf(clip, index) {
  const part = (clip.parts || []).find(([, , first, count]) => index >= first && index < first + count);
  return part ? part[0] : clip.areDrums === false ? 1 : DRUM_CHANNEL;
}

export function barsOf(clip) { return Math.max(1, Math.ceil(clip.beats / clip.beatsPerBar - 1e-6)); }

// A clip of whose pitches most are in the drum map is drums, unless its parts say otherwise.
export function withKind(clip, drums) {
  if (clip.parts?.length) return clip;
  const known = new Set(Object.values(drums).flat());
  const inside = clip.notes.filter((note) => known.has(note[PITCH])).length;
  return { ...clip, areDrums: 2 * inside >= clip.notes.length };
}

// The notes of another behind the last bar; parts of one name and channel are one.
export function followedBy(clip, other) {
  const begin = barsOf(clip) * clip.beatsPerBar;
  const moved = { ...other, notes: other.notes.map((note) => [note[0], Math.max(0, note[1] + begin), ...note.slice(2)]) };
  return { ...together([clip, moved]), beats: begin + other.beats };
}

// The clip with the parts of another, as long as it is.
export function besides(clip, other) { return { ...together([clip, other]), beats: clip.beats }; }

function together(clips) {
  if (!clips.some((clip) => clip.parts?.length)) return { ...clips[0], notes: clips.flatMap((clip) => clip.notes) };
  const found = new Map();
  for (const clip of clips) {
    for (const [channel, program, first, count, name] of partsOf(clip)) {
      const key = `${channel} ${name}`;
      if (!found.has(key)) found.set(key, { channel, program, name, notes: [] });
      found.get(key).notes.push(...clip.notes.slice(first, first + count));
    }
  }
  const notes = [], parts = [];
  for (const part of found.values()) {
    parts.push([part.channel, part.program, notes.length, part.notes.length, part.name]);
    notes.push(...part.notes);
  }
  return { ...clips[0], notes, parts };
}

export function partsOf(clip) {
  if (clip.parts?.length) return clip.parts;
  const drums = clip.areDrums !== false;
  return [[drums ? DRUM_CHANNEL : 1, 0, 0, clip.notes.length, drums ? "drums" : "lead"]];
}

export function without(clip, gone) { return kept(clip, (_, index) => !gone.has(index)); }

export function kept(clip, keeps) {
  const indices = clip.notes.map((_, index) => index).filter((index) => keeps(clip.notes[index], index));
  let first = 0;
  const parts = (clip.parts || []).map(([channel, program, from, count, name]) => {
    const left = indices.filter((index) => index >= from && index < from + count).length;
    const part = [channel, program, first, left, name];
    first += left;
    return part;
  });
  return { ...clip, notes: indices.map((index) => clip.notes[index]), parts };
}

export function withNote(clip, note, channel = DRUM_CHANNEL) {
  const index = (clip.parts || []).findIndex((part) => part[0] === channel);
  if (index < 0) return { ...clip, notes: [...clip.notes, note] };
  const [, , first, count] = clip.parts[index], at = first + count;
  const parts = clip.parts.map((part, i) =>
    i === index ? [part[0], part[1], first, count + 1, part[4]]
      : part[2] >= at ? [part[0], part[1], part[2] + 1, part[3], part[4]] : part);
  return { ...clip, notes: [...clip.notes.slice(0, at), note, ...clip.notes.slice(at)], parts };
}

// Whether note i of one is note i of the other, played differently: then both are laid over each other.
export function areSameNotes(clip, other) {
  return clip.notes.length === other.notes.length && clip.notes.every((note, i) => note[0] === other.notes[i][0]);
}
