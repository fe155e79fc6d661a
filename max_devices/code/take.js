// What a device changes in the set: the results of one request, which can be stepped through, the original among
// them. A clip is edited in place, written anew, or made. Knows no OSC.

var IDS_IN_A_CALL = 200;
var MOVED_FIELDS = ["start_time", "velocity", "duration"]; // Live cuts a note where the next of its pitch begins
var COLOURS = [14, 9, 2, 11, 5, 12, 0, 7]; // of Live's palette, for the clips of a band

var take = (function () {
    var me = {};
    var now = null; // what was last written, and the way back; see me.offer

    // The clip to ask about: the one in view, or of that id. choose(clip) says which places are meant, and is left out
    // where there may be no notes. The same button again begins from the original again, another goes on from what is
    // there. whole: what is round the loop as well.
    me.source = function (button, choose, whole, id) {
        var clip = live.clip(whole, id);
        if (clip === null) {
            throw new Refusal(id ? "That clip is gone." : "Double-click a MIDI clip first.");
        }
        if (now !== null && now.button === button && now.after === look_of(clip) && is_chosen_again(choose)) {
            return now.clip;
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
        if (now.mark) {
            return now.selection === String(live.selected_ids(now.clip.id));
        }
        return now.places === undefined || String(now.places) === String(choose(now.clip));
    }

    function look_of(clip) {
        return clip === null ? "" : JSON.stringify([clip.id, clip.start_time, clip.beats, clip.live_notes]);
    }

    me.mark_of = function (clip) { // what was made anew of it, where it has just been asked about
        return now !== null && now.clip === clip ? now.mark : undefined;
    };

    // clip: what was asked about. how: {button, places: of the notes to be edited in place, else all is written anew;
    // new_clip: true to leave the clip alone; go_on: true to write again where the offer before was written;
    // at: beats from the clip's start to where the results go; mark: what was made anew of a whole clip;
    // seen: me.look at the press; gesture: true where more is to come into the same undo step, until undo.rest}.
    me.offer = function (clip, results, how) {
        if (how.seen && has_changed(how.seen, me.look(clip, how), how.places)) { // what was drawn meanwhile is not lost
            throw new Refusal("The clip has changed meanwhile: press again.");
        }
        var voices = band.voices_of(clip, results, how), is_made = how.new_clip === true || voices[0].name !== "";
        var again = now !== null && now.is_made === is_made && (is_made ? how.go_on === true : now.clip === clip);
        var before = again && now.targets.length === voices.length ? now.targets : [];
        now = {
            clip: clip, button: how.button, places: how.places, mark: how.mark, is_made: is_made,
            in_place: !is_made && how.places !== undefined,
            targets: voices.map(function (voice, i) { return target_of(clip, voice, how, is_made, before[i]); }),
            count: results.length,
            index: 0, last: 1, // what is shown, and the last that was not the original
            after: "", selection: "" // the look of the clip since, and what was selected then
        };
        return me.show(1, how.gesture);
    };

    // How what would be changed looks now, by the ids of its notes; null where nothing would be, or where it is gone.
    me.look = function (clip, how) {
        var api = new LiveAPI("id " + clip.id), from = from_of(clip, how), look = {};
        if (how.new_clip || !clip.id || !live.exists(api)) {
            return null;
        }
        var beats = how.mark ? seam_of(clip, how) + how.mark.beats - from : FARTHEST;
        var there = how.places ? live.notes_in(api, -FARTHEST, 2 * FARTHEST) : live.notes_in(api, from, beats);
        there.forEach(function (note) {
            look[note.note_id] = how.places ? JSON.stringify([note.pitch, note.start_time, note.velocity, note.duration])
                : JSON.stringify(note);
        });
        return how.places ? of_places(clip, how.places, look) : look;
    };

    function of_places(clip, places, look) {
        var own = {};
        places.forEach(function (place) {
            var id = clip.live_notes[place].note_id;
            own[id] = look[id];
        });
        return own;
    }

    // A note that is gone is none that would be moved in its place; what is written anew would be without it.
    function has_changed(seen, look, places) {
        if (look === null || !places) {
            return look !== null && JSON.stringify(seen) !== JSON.stringify(look);
        }
        return Object.keys(look).some(function (id) {
            return look[id] !== undefined && seen[id] !== look[id];
        });
    }

    function seam_of(clip, how) { // where beat 0 of what is made anew lies, in Live's time
        return clip.start_time + (how.mark ? how.mark.start : how.at || 0);
    }

    function from_of(clip, how) { // and what may be early for it
        return seam_of(clip, how) - (how.at || how.mark && how.mark.start >= EARLY ? EARLY : 0);
    }

    // One for each clip that is written. id: 0 while it is still to be made; from: where what is written begins, in
    // Live's time; before: what was there, as far as results have gone; results: of each its notes, and where it ends.
    function target_of(clip, voice, how, is_made, before) {
        var seam = is_made ? 0 : seam_of(clip, how), from = is_made ? 0 : from_of(clip, how);
        return {
            name: voice.name, channel: voice.channel, from: from,
            id: is_made ? (before ? before.id : 0) : clip.id,
            before: before ? before.before : { notes: [], end: from, loop_end: 0 },
            results: voice.results.map(function (result) {
                var end = seam + (how.mark && !is_made ? how.mark.beats : result.beats);
                return { end: end, notes: written(clip, result.notes, how, is_made, { from: from, seam: seam, end: end }) };
            })
        };
    }

    function written(clip, answer, how, is_made, span) {
        if (how.places) {
            var notes = score.played(clip, how.places, answer);
            return is_made ? score.from_zero(notes, clip) : notes;
        }
        if (is_made) {
            return score.composed(answer, { from: 0, floor: 0, turn: span.end });
        }
        if (how.at) { // an early first hit sounds before the seam
            var lead = clip.live_notes.filter(function (note) {
                return note.start_time >= span.from && note.start_time < span.seam;
            });
            return score.composed(answer, { from: span.seam, floor: span.from, turn: 0, stay: lead });
        }
        var line = clip.start_time + clip.loop.start, covers = span.end >= line + clip.loop.beats - SAME;
        var leads = clip.loop.on && span.seam <= line && covers; // else what lies before the line is not ours
        var composed = score.composed(answer, {
            own: clip, from: clip.start_time, floor: clip.start_time, turn: leads ? span.end - line : 0
        });
        return how.mark ? composed.filter(function (note) { // all else came back as it was
            return note.start_time >= span.from - SAME && note.start_time < span.end - SAME;
        }) : composed;
    }

    // Put result `index` into its clips, 0 for the original, as one undo step. Returns what happened, in words.
    me.show = function (index, goes_on) {
        var words = "";
        if (now === null) {
            throw new Refusal("There is no result yet.");
        }
        index = Math.max(0, Math.min(now.count, index));
        undo.step(function () { words = put(index); }, goes_on);
        now.index = index;
        now.last = index || now.last;
        now.after = now.clip.id ? look_of(live.clip(now.mark !== undefined, now.clip.id)) : "";
        now.selection = now.mark && now.after ? String(live.selected_ids(now.clip.id)) : "";
        if (!now.is_made && live.in_view() !== now.clip.id) {
            words += "Another clip is in view now.";
        }
        return words;
    };

    function put(index) {
        if (now.targets[0].id === 0) {
            return make_clips();
        }
        var there = now.targets.filter(is_there);
        if (there.length === 0) {
            throw new Refusal("That clip is gone.");
        }
        return there.map(function (target) {
            var api = new LiveAPI("id " + target.id);
            return now.in_place ? move_notes(api, target, index) : replace_notes(api, target, index);
        }).join("");
    }

    function is_there(target) {
        return live.exists(new LiveAPI("id " + target.id));
    }

    me.is_gone = function () { // whether every clip that was written is: deleted, or its making undone
        return now !== null && now.targets[0].id !== 0 && !now.targets.some(is_there);
    };

    me.next = function (by) {
        return me.show(now === null ? 0 : now.index + by);
    };

    me.flip = function () { // the original against the last result
        return me.show(now === null || now.index === 0 ? (now || {}).last : 0);
    };

    me.keep = function () {
        now = null;
    };

    me.place = function () { // "2 of 8", "original of 8", ""
        return now === null ? "" : (now.index || "original") + " of " + now.count;
    };

    // One call: notes keep their ids, and with them MPE and expression. Nothing that is no longer there is touched.
    function move_notes(api, target, index) {
        var there = {}, changed = [], gone = 0;
        var wanted = index ? target.results[index - 1].notes : now.clip.live_notes;
        live.notes_in(api, -FARTHEST, 2 * FARTHEST).forEach(function (note) { there[note.note_id] = note; });
        wanted.forEach(function (note, i) { // in the order of the clip's own
            var is = there[note.note_id], is_meant = now.places.indexOf(i) >= 0;
            if (!is) {
                gone += is_meant ? 1 : 0;
            } else if (is_meant ? differs(is, note, MOVED_FIELDS) : was_cut(is, note)) {
                MOVED_FIELDS.forEach(function (field) { is[field] = note[field]; });
                changed.push(is);
            }
        });
        if (changed.length) {
            api.call("apply_note_modifications", { notes: changed });
        }
        return gone ? "The clip has changed: " + gone + " notes are gone. " : "";
    }

    function differs(one, other, fields) {
        return fields.some(function (field) { return one[field] !== other[field]; });
    }

    function was_cut(is, note) { // by Live, for one of ours; else it is as somebody has moved it since
        return now.after !== "" && is.duration < note.duration && !differs(is, note, ["start_time", "velocity"]);
    }

    // The stretch that the results cover: what stays by its id stays untouched.
    function replace_notes(api, target, index) {
        var before = remember(api, target), result = target.results[index - 1];
        var wanted = index ? result.notes : before.notes;
        var beats = before.end - target.from, there = live.notes_in(api, target.from, beats);
        remove(api, there.filter(score.is_not_in(wanted)), there.length, target.from, beats);
        add(api, wanted.filter(score.is_not_in(there)));
        var is_longer = index && !now.mark && result.end > before.loop_end + SAME;
        var loop_end = is_longer ? result.end : before.loop_end;
        if (live.number(api, "loop_end") !== loop_end) {
            api.set("loop_end", loop_end);
        }
        return "";
    }

    function remember(api, target) { // what the results cover, as it was before the first of them
        var before = target.before, end = before.end;
        if (before.loop_end === 0) {
            before.loop_end = live.number(api, "loop_end");
        }
        target.results.forEach(function (result) { end = Math.max(end, result.end); });
        if (end > before.end) {
            before.notes = before.notes.concat(live.notes_in(api, before.end, end - before.end));
            before.end = end;
        }
        return before;
    }

    function remove(api, notes, of, from, beats) {
        if (notes.length && notes.length === of) {
            api.call("remove_notes_extended", 0, 128, from, beats);
            return;
        }
        for (var i = 0; i < notes.length; i += IDS_IN_A_CALL) {
            var ids = notes.slice(i, i + IDS_IN_A_CALL).map(function (note) { return note.note_id; });
            api.call.apply(api, ["remove_notes_by_id"].concat(ids));
        }
    }

    function add(api, notes) {
        if (notes.length) {
            api.call("add_new_notes", { notes: notes.map(score.without_id) });
        }
    }

    // New clips, all in one scene: on the device's own track, or of a band each on the track that has its name. Drums go
    // to the device's own track where none is called so; for what is left tracks are made.

    function make_clips() {
        var tracks = [], after = now.clip.id ? live.slot_of(now.clip.id) : -1;
        now.targets.forEach(function (target) { tracks.push(band.track_for(target, tracks)); });
        var scene = live.free_scene(tracks, after);
        now.targets.forEach(function (target, i) { make_clip(target, tracks[i] < 0 ? band.new_track(target) : tracks[i], scene); });
        var names = now.targets.map(function (target) { return target.name; }).join(", ");
        return names ? "Scene " + (scene + 1) + " has " + names + "." : "Slot " + (scene + 1) + " has it.";
    }

    function make_clip(target, track, scene) {
        var slot = "live_set tracks " + track + " clip_slots " + scene, end = 0;
        target.results.forEach(function (result) { end = Math.max(end, result.end); });
        new LiveAPI(slot).call("create_clip", end);
        var api = new LiveAPI(slot + " clip");
        target.id = Number(api.id);
        target.before = {
            notes: target.name ? [] : score.from_zero(now.clip.live_notes, now.clip), end: end, loop_end: end
        };
        if (target.name) {
            api.set("name", target.name);
            api.set("color_index", COLOURS[now.targets.indexOf(target) % COLOURS.length]);
        }
        add(api, target.results[0].notes);
    }

    return me;
})();
