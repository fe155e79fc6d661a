// What comes back for one request, in whatever order: results of notes and parts, rows of names, the done. Knows no OSC
// but its addresses. A request has results: [], rows: [] and end: null, which is the keys of its done.

var ATOMS_PER_NOTE = 5;

var replies = (function () {
    var me = {};

    me.take = function (one, address, atoms) {
        if (address === "/vae/part") {
            take_part(result_of(one, atoms[1]), atoms);
        } else if (address === "/vae/notes/begin") {
            result_of(one, atoms[1]).total = atoms[2];
            result_of(one, atoms[1]).beats = atoms[3];
        } else if (address === "/vae/notes") {
            take_notes(result_of(one, atoms[1]), atoms);
        } else if (address === "/vae/verb" || address === "/vae/model" || address === "/vae/style") {
            var name = String(atoms[1]);
            one.rows = one.rows.indexOf(name) < 0 ? one.rows.concat([name]) : one.rows;
        } else if (address === "/vae/done") {
            one.end = keys_of(atoms);
        }
    };

    function result_of(one, index) {
        one.results[index] = one.results[index] || { total: -1, beats: 0, come: 0, notes: [], parts: [] };
        return one.results[index];
    }

    function take_notes(result, atoms) {
        var first = atoms[2], count = atoms[3];
        for (var i = 0; i < count; i++) {
            var note = atoms.slice(4 + ATOMS_PER_NOTE * i, 4 + ATOMS_PER_NOTE * (i + 1));
            result.come += result.notes[first + i] ? 0 : 1;
            result.notes[first + i] = {
                pitch: note[0], start: note[1], duration: note[2], velocity: note[3], mute: note[4]
            };
        }
    }

    function take_part(result, atoms) {
        result.parts[atoms[2]] = {
            channel: atoms[3], program: atoms[4], first: atoms[5], count: atoms[6], name: String(atoms[7])
        };
    }

    function keys_of(atoms) { // id VERB [key value]…
        var keys = {};
        for (var i = 2; i + 1 < atoms.length; i += 2) {
            keys[atoms[i]] = atoms[i + 1];
        }
        return keys;
    }

    me.are_whole = function (one) { // what is lost comes again with the next copy
        var parts = 0;
        for (var i = 0; i < (one.end.results || 0); i++) {
            if (!one.results[i] || one.results[i].come !== one.results[i].total) {
                return false;
            }
            parts += one.results[i].parts.filter(function () { return true; }).length;
        }
        return parts >= (one.end.parts || 0) && one.rows.length >= (one.end.count || 0);
    };

    return me;
})();
