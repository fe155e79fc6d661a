// What a device sees of Live's set: the clip in the detail view, Session or Arrangement, and the tracks. Changes
// nothing, and knows no OSC.

var MOST_NOTES = 4096;
var KIT = [35, 59]; // the pitches between which General MIDI has the drums of a kit

function Refusal(sentence) { // what a user can put right
    this.sentence = sentence;
}

var live = (function () {
    var me = {};

    me.number = function (api, property) {
        return Number([].concat(api.get(property))[0]);
    };

    me.name = function (api) { // with spaces, in one atom or several
        return [].concat(api.get("name")).join(" ");
    };

    me.exists = function (api) {
        return Number(api.id) !== 0;
    };

    me.notes_in = function (api, start, beats) { // those that start there
        return JSON.parse(api.call("get_notes_extended", 0, 128, start, beats)).notes;
    };

    me.tempo = function () {
        return me.number(new LiveAPI("live_set"), "tempo");
    };

    // The MIDI clip in the detail view, or of that id; null if there is none. live_notes: Live's; notes: what the daemon is told.
    // What is in its loop, or, where the whole is wanted, what is round it too; loop: where that lies, from `start`.
    me.clip = function (whole, id) {
        var api = new LiveAPI(id ? "id " + id : "live_set view detail_clip");
        if (!me.exists(api) || !me.number(api, "is_midi_clip")) {
            return null;
        }
        var loop_start = me.number(api, "loop_start"), length = me.number(api, "length");
        var from = whole ? Math.min(loop_start, me.number(api, "start_marker")) : loop_start;
        var to = whole ? Math.max(loop_start + length, me.number(api, "end_marker")) : loop_start + length;
        var clip = {
            id: Number(api.id),
            whole: whole === true,
            start_time: from,
            beats: to - from,
            loop: { start: loop_start - from, beats: length, on: me.number(api, "looping") === 1 },
            beats_per_bar: 4 * me.number(api, "signature_numerator") / me.number(api, "signature_denominator"),
            tempo: me.tempo()
        };
        clip.live_notes = me.notes_in(api, clip.start_time, clip.beats);
        clip.notes = clip.live_notes.map(function (note) { return score.told(note, clip); });
        return clip;
    };

    me.in_view = function () { // the id of the clip in the detail view, 0 if there is none
        return Number(new LiveAPI("live_set view detail_clip").id);
    };

    // Where there is no clip: an empty one, to be written into a new one.
    me.no_clip = function () {
        return { id: 0, start_time: 0, beats: 0, loop: { start: 0, beats: 0, on: true }, notes: [], live_notes: [] };
    };

    // The places in clip.notes of those that are selected in Live's editor.
    me.selected = function (clip) {
        var ids = me.selected_ids(clip.id);
        return places(clip, function (note) { return ids.indexOf(note.note_id) >= 0; });
    };

    me.selected_ids = function (id) {
        var selection = new LiveAPI("id " + id).call("get_selected_notes_extended");
        return JSON.parse(selection).notes.map(function (note) { return note.note_id; });
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

    // Tracks, by their number as it is now: tracks come, go and move.

    me.own_track = function () {
        var number = track_of(new LiveAPI("this_device"));
        if (number < 0 || !me.number(new LiveAPI("live_set tracks " + number), "has_midi_input")) {
            throw new Refusal("Put this device on a MIDI track.");
        }
        return number;
    };

    function track_of(api) { // -1: on none, as in a take lane
        var place = /live_set tracks (\d+)/.exec(api.path);
        return place === null ? -1 : Number(place[1]);
    }

    me.slot_of = function (id) { // the scene in which a clip lies, -1 in the Arrangement, or nowhere
        var place = /clip_slots (\d+)/.exec(new LiveAPI("id " + id).path);
        return place === null ? -1 : Number(place[1]);
    };

    // The first scene after that one in which none of these tracks has a clip. -1 for a track that is still to be made.
    me.free_scene = function (tracks, after) {
        var paths = tracks.filter(function (track) { return track >= 0; }).map(function (track) {
            return "live_set tracks " + track;
        });
        var count = new LiveAPI("live_set").getcount("scenes");
        for (var i = 1; i <= count; i++) {
            var scene = (after + i) % count;
            if (paths.every(function (path) { return !has_clip(path, scene); })) {
                return scene;
            }
        }
        throw new Refusal("No slot of this track is free. Add a scene.");
    };

    function has_clip(path, scene) {
        return me.number(new LiveAPI(path + " clip_slots " + scene), "has_clip") === 1;
    }

    me.track_named = function (name, taken) { // a MIDI track that has these words in its name, -1 if there is none
        var count = new LiveAPI("live_set").getcount("tracks");
        for (var i = 0; i < count; i++) {
            var track = new LiveAPI("live_set tracks " + i);
            var words = words_of_name(me.name(track));
            if (words.indexOf(words_of_name(name)) >= 0 && taken.indexOf(i) < 0 && me.number(track, "has_midi_input")) {
                return i;
            }
        }
        return -1;
    };

    function words_of_name(name) {
        return " " + name.toLowerCase().split(/[\s\-_.,:;()]+/).join(" ") + " ";
    }

    me.has_drum_rack = function (track) {
        var path = "live_set tracks " + track, count = new LiveAPI(path).getcount("devices");
        for (var i = 0; i < count; i++) {
            if (me.number(new LiveAPI(path + " devices " + i), "can_have_drum_pads")) {
                return true;
            }
        }
        return false;
    };

    me.is_drums = function (clip) { // by its track, else by where most of its notes lie
        var track = track_of(new LiveAPI("id " + clip.id));
        var low = clip.notes.filter(function (note) { return note.pitch >= KIT[0] && note.pitch <= KIT[1]; });
        return track >= 0 && me.has_drum_rack(track) || low.length > 0 && 2 * low.length >= clip.notes.length;
    };

    return me;
})();
