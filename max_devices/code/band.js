// Results of several parts: which notes are whose, and on which track each is at home.

var band = (function () {
    var me = {};

    // What goes to one clip, and what is for others: the parts of a band, each by its name, and a melody whose clip is
    // full of drums.
    me.voices_of = function (clip, results, how) {
        var first = results[0].parts.filter(Boolean), found = [];
        var is_band = first.length > 1 || first.length === 1 && first[0].channel !== DRUM_CHANNEL &&
            (how.new_clip ? live.has_drum_rack(live.own_track()) : live.is_drums(clip));
        if (how.places || !is_band) {
            return [{ name: "", channel: DRUM_CHANNEL, results: results }];
        }
        results.forEach(function (result, i) {
            var free = found.slice(); // two parts of one name are two voices
            result.parts.filter(Boolean).forEach(function (part) {
                var voice = free.filter(function (each) { return each.name === name_of(part); })[0];
                if (voice === undefined) {
                    voice = new_voice(part, results);
                    found.push(voice);
                }
                free = free.filter(function (each) { return each !== voice; });
                voice.results[i].notes = result.notes.slice(part.first, part.first + part.count);
            });
        });
        return found;
    };

    function name_of(part) {
        return part.name || (part.channel === DRUM_CHANNEL ? "drums" : "channel " + part.channel);
    }

    function new_voice(part, results) {
        return {
            name: name_of(part), channel: part.channel,
            results: results.map(function (result) { return { beats: result.beats, notes: [] }; })
        };
    }

    me.track_for = function (target, taken) { // -1: it is still to be made
        if (!target.name) {
            return live.own_track();
        }
        var named = live.track_named(target.name, taken), own = live.own_track();
        return named < 0 && target.channel === DRUM_CHANNEL && taken.indexOf(own) < 0 ? own : named;
    };

    me.new_track = function (target) {
        var song = new LiveAPI("live_set");
        song.call("create_midi_track", -1);
        var number = song.getcount("tracks") - 1;
        new LiveAPI("live_set tracks " + number).set("name", target.name);
        return number;
    };

    return me;
})();
