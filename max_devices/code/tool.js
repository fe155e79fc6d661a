// VAE Generator and VAE Transformation: MIDI Tools of Live 12. Experimental: Live wants its answer at once, so the
// first time the notes pass as they are and the daemon is asked; its answer waits in a cache for Live's next bang.
// More inlets: 2 notes, 3 context, as dictionaries of [live.miditool.in]. Outlet 3: [live.miditool.out].

inlets = 4;
outlets = 4;

var MOST_ANSWERS = 32;
var is_generator = jsarguments[1] === "generator";
var cache = {}, cached = []; // answers by what was asked, and their keys, the oldest first
var context = {};
var wanted = ""; // the key that Live waits for
var again = false; // whether Live is to be banged at the next tick
var out = null;

var device = {
    name: is_generator ? "VAE Generator" : "VAE Transformation",
    parameters: is_generator
        ? { temperature: 1, style: 0, bars: 2, seed: 0, port: 8711, daemon_port: 8710 }
        : { timing: 1, velocity: 1, seed: 0, port: 8711, daemon_port: 8710 },
    buttons: {},
    verbs: {},
    displays: ["light", "line", "advice", "tool_in"],
    changed: function () { again = wanted !== ""; }, // Live applies anew
    tick: function () {
        if (again) {
            again = false;
            tell("tool_in", "bang", []);
        }
    }
};

function dictionary(name) {
    var content = JSON.parse(new Dict(name).stringify());
    if (inlet === 3) {
        context = content;
    } else if (inlet === 2 && osc !== null) {
        attempt(function () { answer(content.notes || []); });
    }
}

function answer(notes) {
    wanted = JSON.stringify([notes, context.clip, asked()]);
    if (cache[wanted]) {
        reply(cache[wanted]);
        say("Played " + cache[wanted].length + " notes.");
        return;
    }
    if (!is_generator) {
        reply(notes);
    }
    ask(wanted, notes);
}

function asked() {
    return settings(is_generator ? ["temperature", "style", "bars", "seed"] : ["timing", "velocity", "seed"]);
}

function ask(key, notes) {
    if (!is_generator && notes.length === 0) {
        throw new Refusal("Select some notes first.");
    }
    var from = start_of(), clip = is_generator ? null : clip_of(notes, from), now = asked();
    osc.run({
        verb: is_generator ? "sample" : "humanize",
        slots: is_generator ? {} : { "": clip },
        atoms: function () { return (is_generator ? [] : ["slot", osc.slot("")]).concat(now); },
        done: function (results) {
            remember(key, is_generator ? generated(results[0].notes, from) : played(notes, clip, results[0].notes));
            again = key === wanted;
        },
        fail: say
    });
}

function start_of() { // where the time selection begins
    return context.clip ? Number(context.clip.time_selection_start) || 0 : 0;
}

function clip_of(notes, from) {
    var first = from, last = from;
    notes.forEach(function (note) {
        first = Math.min(first, note.start_time);
        last = Math.max(last, note.start_time + note.duration);
    });
    first = 4 * Math.floor(first / 4); // the model counts bars
    return {
        start_time: first, beats: 4 * Math.ceil((last - first) / 4) || 4, beats_per_bar: 4, tempo: live.tempo(),
        notes: notes.map(function (note) { return live.told(note, first); })
    };
}

function played(notes, clip, answered) {
    return live.played({ live_notes: notes, notes: clip.notes, start_time: clip.start_time, beats: clip.beats },
        live.all({ live_notes: notes }), answered);
}

function generated(notes, from) {
    return live.composed({ notes: [] }, from, notes, false);
}

function remember(key, notes) {
    cache[key] = notes;
    cached.push(key);
    if (cached.length > MOST_ANSWERS) {
        delete cache[cached.shift()];
    }
}

function reply(notes) {
    out = out || new Dict();
    out.parse(JSON.stringify({ notes: notes }));
    outlet(3, "dictionary", out.name);
}
