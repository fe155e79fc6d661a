// The clip in the detail view, Session or Arrangement: read, edited in place, written, put back. Knows no OSC.
// `start` is beats from the clip's loop start, as the daemon counts; Live's `start_time` is from the clip's zero.

var FARTHEST = 1000000; // beats: all of a clip
var APART = 1 / 256; // beats between two notes of a pitch: Live deletes one of two that start together
var SAME = 0.0001; // beats: a float32 on its way to the daemon and back
var IDS_IN_A_CALL = 200;
var MOST_NOTES = 4096;
var MOVED_FIELDS = ["start_time", "velocity", "duration"]; // Live cuts a note where the next of its pitch begins
var NOTE_FIELDS = [
    "pitch", "start_time", "duration", "velocity", "mute", "probability", "velocity_deviation", "release_velocity"
];

function Refusal(sentence) { // what a user can put right
    this.sentence = sentence;
}

var live = (function () {
    var me = {};
    var take = null; // what was last written, and the way back; see me.offer

    // Reading.

    function number(api, property) {
        return Number([].concat(api.get(property))[0]);
    }

    function exists(api) {
        return Number(api.id) !== 0;
    }

    function notes_in(api, start, beats) { // those that start there
        return JSON.parse(api.call("get_notes_extended", 0, 128, start, beats)).notes;
    }

    // The MIDI clip in the detail view, null if there is none. live_notes: Live's; notes: what the daemon is told.
    // What is in its loop, or, where the whole is wanted, what is round it too; loop: where that lies, from `start`.
    me.clip = function (whole) {
        var api = new LiveAPI("live_set view detail_clip");
        if (!exists(api) || !number(api, "is_midi_clip")) {
            return null;
        }
        var place = /live_set tracks (\d+)(?: clip_slots (\d+))?/.exec(api.path);
        var loop_start = number(api, "loop_start"), length = number(api, "length");
        var from = whole ? Math.min(loop_start, number(api, "start_marker")) : loop_start;
        var to = whole ? Math.max(loop_start + length, number(api, "end_marker")) : loop_start + length;
        var clip = {
            id: Number(api.id),
            track: Number(place[1]),
            slot: place[2] === undefined ? -1 : Number(place[2]), // -1: in the Arrangement
            start_time: from,
            beats: to - from,
            loop: { start: loop_start - from, beats: length },
            beats_per_bar: 4 * number(api, "signature_numerator") / number(api, "signature_denominator"),
            tempo: me.tempo()
        };
        clip.live_notes = notes_in(api, clip.start_time, clip.beats);
        clip.notes = clip.live_notes.map(function (note) { return me.told(note, clip.start_time); });
        return clip;
    };

    me.told = function (note, from) {
        return {
            pitch: note.pitch,
            start: note.start_time - from,
            duration: note.duration,
            velocity: Math.max(1, Math.min(127, Math.round(note.velocity))),
            mute: note.mute ? 1 : 0
        };
    };

    me.tempo = function () {
        return number(new LiveAPI("live_set"), "tempo");
    };

    // The clip to ask about; choose(clip) says which places are meant, and is left out where there may be no notes.
    // The same button again begins from the original again, another goes on from what is there.
    // whole: what is round the loop as well.
    me.source = function (button, choose, whole) {
        var clip = me.clip(whole);
        if (clip === null) {
            throw new Refusal("Double-click a MIDI clip first.");
        }
        if (take !== null && take.button === button && take.after === look_of(clip) && is_chosen_again(choose)) {
            return take.clip;
        }
        if (choose && clip.notes.length === 0) {
            throw new Refusal("This clip has no notes in its loop.");
        }
        if (clip.notes.length > MOST_NOTES) {
            throw new Refusal("This clip has more than " + MOST_NOTES + " notes.");
        }
        return clip;
    };

    function is_chosen_again(choose) {
        if (take.mark) {
            return take.selection === String(me.selected_ids(take.id));
        }
        return take.places === undefined || String(take.places) === String(choose(take.clip));
    }

    function look_of(clip) {
        return clip === null ? "" : JSON.stringify([clip.id, clip.start_time, clip.beats, clip.live_notes]);
    }

    // The places in clip.notes of those that are selected in Live's editor.
    me.selected = function (clip) {
        var ids = me.selected_ids(clip.id);
        return places(clip, function (note) { return ids.indexOf(note.note_id) >= 0; });
    };

    me.selected_ids = function (id) {
        var selection = new LiveAPI("id " + id).call("get_selected_notes_extended");
        return JSON.parse(selection).notes.map(function (note) { return note.note_id; });
    };

    me.mark_of = function (clip) { // what was made anew of it, where it has just been asked about
        return take !== null && take.clip === clip ? take.mark : undefined;
    };

    me.with_pitches = function (clip, pitches) {
        return places(clip, function (note) { return pitches.indexOf(note.pitch) >= 0; });
    };

    me.all = function (clip) {
        return places(clip, function () { return true; });
    };

    function places(clip, wanted) {
        var found = [];
        for (var i = 0; i < clip.live_notes.length; i++) {
            if (wanted(clip.live_notes[i])) {
                found.push(i);
            }
        }
        return found;
    }

    // An answer as Live's notes. A note that is the clip's own keeps its id and what the daemon knows nothing of.

    // Note i of the answer is note i of the clip; at: the places that may change.
    me.played = function (clip, at, answer) {
        var notes = clip.live_notes.map(copy);
        at.forEach(function (i) {
            notes[i].is_free = true;
            if (Math.abs(answer[i].start - clip.notes[i].start) > SAME) {
                notes[i].start_time = clip.start_time + answer[i].start;
            }
            if (answer[i].velocity !== clip.notes[i].velocity) {
                notes[i].velocity = answer[i].velocity;
            }
        });
        return kept_apart(notes, clip.start_time, clip.start_time + clip.beats);
    };

    me.composed = function (clip, from, answer, is_there) { // is_there: whether it covers the clip's own notes
        var own = {};
        clip.notes.forEach(function (note, i) { own[key_of(note)] = is_there && clip.live_notes[i]; });
        return kept_apart(answer.map(function (note) {
            if (own[key_of(note)]) {
                return copy(own[key_of(note)]);
            }
            return {
                pitch: note.pitch, start_time: from + note.start, duration: note.duration,
                velocity: note.velocity, mute: note.mute, is_free: true
            };
        }), from, FARTHEST);
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

    // Writing. An offer holds the results of one request: they can be stepped through, the original among them.

    // clip: what was asked about. how: {button, places: of the notes to be edited in place, else all is written anew;
    // new_clip: true to leave the clip alone; go_on: true to write again where the offer before was written;
    // at: beats from the clip's start to where the results go; mark: what was made anew of a whole clip}.
    me.offer = function (clip, results, how) {
        var again = take !== null && (how.new_clip ? how.go_on && take.new_clip : take.clip === clip);
        take = {
            clip: clip, button: how.button, places: how.places, mark: how.mark, new_clip: how.new_clip,
            in_place: !how.new_clip && how.places !== undefined,
            id: how.new_clip ? (again ? take.id : 0) : clip.id, // 0: it is still to be made
            from: how.new_clip ? 0 : clip.start_time + (how.at || 0),
            before: again ? take.before : { notes: [], beats: 0, loop_end: 0 },
            results: [],
            index: 0, last: 1, // what is shown, and the last that was not the original
            after: "", selection: "" // the look of the clip since, and what was selected then
        };
        take.results = results.map(function (result) {
            return { beats: result.beats, notes: written(clip, result.notes, how) };
        });
        return me.show(1);
    };

    function written(clip, answer, how) {
        if (!how.places) {
            return me.composed(clip, take.from, answer, !how.new_clip && !how.at);
        }
        var notes = me.played(clip, how.places, answer);
        return how.new_clip ? from_zero(notes, clip) : notes;
    }

    function from_zero(notes, clip) { // as they stand in another clip, which has ids of its own
        return notes.map(function (note) {
            var other = without_id(note);
            other.start_time -= clip.start_time;
            return other;
        });
    }

    // Put result `index` into the clip, 0 for the original, as one undo step. Returns what happened, in words.
    me.show = function (index) {
        var words = "";
        if (take === null) {
            throw new Refusal("There is no result yet.");
        }
        index = Math.max(0, Math.min(take.results.length, index));
        one_undo_step(function () {
            var api = new LiveAPI("id " + take.id);
            if (take.id === 0) {
                words = make_clip();
            } else if (!exists(api)) {
                throw new Refusal("That clip is gone.");
            } else {
                words = take.in_place ? move_notes(api, index) : replace_notes(api, index);
            }
        });
        take.index = index;
        take.last = index || take.last;
        var view = me.clip(take.mark !== undefined);
        take.after = look_of(view);
        take.selection = take.mark && !take.new_clip ? String(me.selected_ids(take.id)) : "";
        if (!take.new_clip && (view === null || view.id !== take.id)) {
            words += "Another clip is in view now.";
        }
        return words;
    };

    me.next = function (by) {
        return me.show(take === null ? 0 : take.index + by);
    };

    me.flip = function () { // the original against the last result
        return me.show(take === null || take.index === 0 ? (take || {}).last : 0);
    };

    me.keep = function () {
        take = null;
    };

    me.place = function () { // "2 of 8", "original of 8", ""
        return take === null ? "" : (take.index || "original") + " of " + take.results.length;
    };

    // One call: notes keep their ids, and with them MPE and expression. Nothing that is no longer there is touched.
    function move_notes(api, index) {
        var there = {}, changed = [], gone = 0;
        var wanted = index ? take.results[index - 1].notes : take.clip.live_notes;
        notes_in(api, -FARTHEST, 2 * FARTHEST).forEach(function (note) { there[note.note_id] = note; });
        wanted.forEach(function (note) {
            var now = there[note.note_id];
            if (!now) {
                gone += 1;
            } else if (MOVED_FIELDS.some(function (field) { return now[field] !== note[field]; })) {
                MOVED_FIELDS.forEach(function (field) { now[field] = note[field]; });
                changed.push(now);
            }
        });
        if (changed.length) {
            api.call("apply_note_modifications", { notes: changed });
        }
        return gone ? "The clip has changed: " + gone + " notes are gone. " : "";
    }

    // The stretch that the results cover: what stays by its id stays untouched.
    function replace_notes(api, index) {
        var before = remember(api), result = take.results[index - 1], wanted = index ? result.notes : before.notes;
        var there = notes_in(api, take.from, before.beats);
        remove(api, there.filter(is_not_in(wanted)), there.length);
        add(api, wanted.filter(is_not_in(there)));
        var is_longer = index && !take.mark && take.from + result.beats > before.loop_end + SAME;
        var loop_end = is_longer ? take.from + result.beats : before.loop_end;
        if (number(api, "loop_end") !== loop_end) {
            api.set("loop_end", loop_end);
        }
        return "";
    }

    function remember(api) { // what the results cover, as it was before the first of them
        var before = take.before, beats = before.beats;
        if (before.loop_end === 0) {
            before.loop_end = number(api, "loop_end");
        }
        take.results.forEach(function (result) { beats = Math.max(beats, result.beats); });
        if (beats > before.beats) {
            before.notes = before.notes.concat(notes_in(api, take.from + before.beats, beats - before.beats));
            before.beats = beats;
        }
        return before;
    }

    function is_not_in(notes) {
        var ids = {};
        notes.forEach(function (note) { ids[note.note_id] = true; });
        return function (note) { return note.note_id === undefined || !ids[note.note_id]; };
    }

    function remove(api, notes, of) {
        if (notes.length && notes.length === of) {
            api.call("remove_notes_extended", 0, 128, take.from, take.before.beats);
            return;
        }
        for (var i = 0; i < notes.length; i += IDS_IN_A_CALL) {
            var ids = notes.slice(i, i + IDS_IN_A_CALL).map(function (note) { return note.note_id; });
            api.call.apply(api, ["remove_notes_by_id"].concat(ids));
        }
    }

    function add(api, notes) {
        if (notes.length) {
            api.call("add_new_notes", { notes: notes.map(without_id) });
        }
    }

    function without_id(note) {
        var other = {};
        NOTE_FIELDS.forEach(function (field) {
            if (note[field] !== undefined) {
                other[field] = note[field];
            }
        });
        return other;
    }

    // A new clip in the next free slot of the track.

    function make_clip() {
        var track = "live_set tracks " + take.clip.track, slot = free_slot(track, take.clip.slot), beats = 0;
        take.results.forEach(function (result) { beats = Math.max(beats, result.beats); });
        new LiveAPI(track + " clip_slots " + slot).call("create_clip", beats);
        var api = new LiveAPI(track + " clip_slots " + slot + " clip");
        take.id = Number(api.id);
        take.before = { notes: from_zero(take.clip.live_notes, take.clip), beats: beats, loop_end: beats };
        add(api, take.results[0].notes);
        return "Slot " + (slot + 1) + " has it.";
    }

    function free_slot(track, after) {
        var count = new LiveAPI(track).getcount("clip_slots");
        for (var i = 1; i <= count; i++) {
            var slot = (after + i) % count;
            if (!number(new LiveAPI(track + " clip_slots " + slot), "has_clip")) {
                return slot;
            }
        }
        throw new Refusal("No slot of this track is free. Add a scene.");
    }

    // Where there is no clip: an empty one on the device's own track, to be written into a new one.
    me.no_clip = function () {
        var place = /live_set tracks (\d+)/.exec(new LiveAPI("this_device").path);
        if (place === null) {
            throw new Refusal("Put this device on a MIDI track.");
        }
        return { id: 0, track: Number(place[1]), slot: -1, start_time: 0, beats: 0, notes: [], live_notes: [] };
    };

    function one_undo_step(action) { // where this Live can; what edits in place is one call anyway
        var song = new LiveAPI("live_set"), can = song.info.indexOf("begin_undo_step") >= 0;
        if (can) {
            song.call("begin_undo_step");
        }
        try {
            action();
        } finally {
            if (can) {
                song.call("end_undo_step");
            }
        }
    }

    return me;
})();
