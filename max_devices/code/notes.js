// Notes as numbers: what the daemon is told of a clip, and its answers as Live's notes. Knows neither Live nor OSC.
// `start` is beats from the clip's start, as the daemon counts; Live's `start_time` is from the clip's zero.

var FARTHEST = 1000000; // beats: all of a clip
var APART = 1 / 256; // beats between two notes of a pitch: Live deletes one of two that start together
var SAME = 0.0001; // beats: a float32 on its way to the daemon and back
var EARLY = 1 / 8; // beats, half of a sixteenth: so early is a first hit at most, and what is earlier is another's
var MODEL_BAR = 4; // beats: every model counts such bars
var MOST_BARS = 64; // of one request
var DRUM_CHANNEL = 10;
var NOTE_FIELDS = [
    "pitch", "start_time", "duration", "velocity", "mute", "probability", "velocity_deviation", "release_velocity"
];

var score = (function () {
    var me = {};

    // What leads into the line of a loop is told as the early first hit that it is.
    me.told = function (note, clip) {
        var start = note.start_time - clip.start_time;
        var is_loop = !clip.whole && clip.loop.on && clip.loop.start === 0 && clip.loop.beats === clip.beats;
        return {
            pitch: note.pitch,
            start: is_loop && start > clip.beats - EARLY && start < clip.beats ? start - clip.beats : start,
            duration: note.duration,
            velocity: Math.max(1, Math.min(127, Math.round(note.velocity))),
            mute: note.mute ? 1 : 0
        };
    };

    // An answer as Live's notes. A note that is the clip's own keeps its id and what the daemon knows nothing of.

    // Note i of the answer is note i of the clip; at: the places that may change.
    me.played = function (clip, at, answer) {
        var notes = clip.live_notes.map(copy), line = clip.start_time + clip.loop.start;
        at.forEach(function (i) {
            notes[i].is_free = true;
            if (Math.abs(answer[i].start - clip.notes[i].start) > SAME) {
                var start_time = clip.start_time + answer[i].start;
                var leads = clip.loop.on && start_time < line && clip.live_notes[i].start_time >= line;
                notes[i].start_time = start_time + (leads ? clip.loop.beats : 0);
            }
            if (answer[i].velocity !== clip.notes[i].velocity) {
                notes[i].velocity = answer[i].velocity;
            }
        });
        return kept_apart(notes, Math.min(clip.start_time, line),
            Math.max(clip.start_time + clip.beats, line + clip.loop.beats));
    };

    // how: {own: the clip whose notes the answer may hold; from: where beat 0 of the answer lies; turn: how much later
    // what is early for that line sounds, which is a loop's length; floor: how early it may be; stay: notes beside it}.
    me.composed = function (answer, how) {
        var known = {};
        (how.own ? how.own.notes : []).forEach(function (note, i) { known[key_of(note)] = how.own.live_notes[i]; });
        var notes = answer.map(function (note) {
            if (known[key_of(note)]) {
                return copy(known[key_of(note)]);
            }
            return {
                pitch: note.pitch, start_time: how.from + note.start + (note.start < 0 ? how.turn : 0),
                duration: note.duration, velocity: note.velocity, mute: note.mute, is_free: true
            };
        });
        return kept_apart((how.stay || []).map(copy).concat(notes), how.floor, FARTHEST);
    };

    function key_of(note) {
        return [note.pitch, Math.round(note.start / SAME), Math.round(note.duration / SAME), note.velocity].join();
    }

    function copy(note) {
        var other = {};
        for (var field in note) {
            other[field] = note[field];
        }
        return other;
    }

    // Free notes move as little as it takes that none of a pitch meets another or leaves the loop.
    function kept_apart(notes, from, to) {
        var order = notes.slice().sort(function (a, b) { return a.start_time - b.start_time; });
        var before = {}, after = {};
        order.forEach(function (note) {
            var earliest = before[note.pitch] === undefined ? from : Math.max(from, before[note.pitch] + APART);
            if (note.is_free) {
                note.start_time = Math.max(earliest, Math.min(note.start_time, to - APART));
            }
            before[note.pitch] = note.start_time;
        });
        order.reverse().forEach(function (note) { // and back, from those that must stay
            var latest = (after[note.pitch] === undefined ? FARTHEST : after[note.pitch]) - APART;
            if (note.is_free) {
                note.start_time = Math.min(note.start_time, latest);
            }
            after[note.pitch] = note.start_time;
            delete note.is_free;
        });
        return notes;
    }

    me.cut = function (notes, end) { // at the end, and where the next of its pitch begins, as Live would
        return notes.map(function (note) {
            var other = copy(note), until = end;
            notes.forEach(function (next) {
                if (next.pitch === note.pitch && next.start_time > note.start_time) {
                    until = Math.min(until, next.start_time);
                }
            });
            other.duration = Math.min(note.duration, until - note.start_time);
            return other;
        });
    };

    // Bars of a model in another meter: each of the clip's bars is the beginning of one of the model's, or of several.

    me.model_bars = function (bars, beats_per_bar) {
        return bars * Math.ceil(beats_per_bar / MODEL_BAR - SAME);
    };

    me.in_meter = function (result, beats_per_bar) {
        var long = me.model_bars(1, beats_per_bar) * MODEL_BAR, notes = [];
        var parts = result.parts.map(function (part) {
            var other = copy(part), own = result.notes.slice(part.first, part.first + part.count);
            other.first = notes.length;
            notes = notes.concat(beginnings(own, long, beats_per_bar));
            other.count = notes.length - other.first;
            return other;
        });
        return {
            beats: result.beats * beats_per_bar / long, parts: parts,
            notes: parts.length ? notes : beginnings(result.notes, long, beats_per_bar)
        };
    };

    function beginnings(notes, long, beats_per_bar) { // of bars that are so long: what is early for a bar belongs to it
        var found = [];
        notes.forEach(function (note) {
            var bar = Math.floor((note.start + EARLY) / long), other = copy(note);
            other.start = note.start - (long - beats_per_bar) * bar;
            if (note.start - long * bar < beats_per_bar) {
                found.push(other);
            }
        });
        return found;
    }

    // Notes of a part that is no drums, in the scale of Live's set.
    me.in_scale = function (notes, scale) {
        return notes.map(function (note) {
            var other = copy(note);
            for (var step = 0; step < 12 && !is_in(scale, other.pitch); step++) { // one down, two up, three down, …
                other.pitch += (step % 2 ? 1 : -1) * (step + 1);
            }
            return is_in(scale, other.pitch) ? other : note;
        });
    };

    function is_in(scale, pitch) {
        return scale.scale_intervals.indexOf((pitch - scale.root_note + 120) % 12) >= 0;
    }

    me.without_id = function (note) {
        var other = {};
        NOTE_FIELDS.forEach(function (field) {
            if (note[field] !== undefined) {
                other[field] = note[field];
            }
        });
        return other;
    };

    me.from_zero = function (notes, clip) { // as they stand in another clip, which has ids of its own
        return notes.map(function (note) {
            var other = me.without_id(note);
            other.start_time -= clip.start_time;
            return other;
        });
    };

    me.is_not_in = function (notes) {
        var ids = {};
        notes.forEach(function (note) { ids[note.note_id] = true; });
        return function (note) { return note.note_id === undefined || !ids[note.note_id]; };
    };

    me.alike = function (one, other) { // whether two lists are the same notes, as they stand
        return look_of(one) === look_of(other);
    };

    function look_of(notes) {
        return notes.map(function (note) {
            var where = [note.start_time, note.duration, note.velocity].map(function (each) { return each.toFixed(3); });
            return [note.pitch].concat(where).join();
        }).sort().join(" ");
    }

    return me;
})();
