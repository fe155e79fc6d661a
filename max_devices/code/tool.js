// VAE Generator and VAE Transformation: MIDI Tools of Live 12. Experimental. Live wants its answer within its bang, and
// the daemon needs longer: at first there passes what is there. Once the daemon has answered we bang Live ourselves.
// Whatever Live has in view then, such a bang asks nothing, and gives the answer to nothing but what was asked about.
// More inlets: 2 notes, 3 context, as dictionaries of [live.miditool.in]. Outlet 3: [live.miditool.out].

inlets = 4;
outlets = 4;

var MOST_ANSWERS = 32;
var is_generator = jsarguments[1] === "generator";
var cache = {}, cached = []; // answers by what was asked, and their keys, the oldest first
var context = {};
var subject = null; // what a person last pressed Apply on, see subject_of
var wanted = ""; // the key of the answer that is awaited
var drawn = 0; // the seed where none is set: another at each press, the same while dials move
var due = ""; // the key of the answer that goes to Live at the next tick
var ours = ""; // and of the one that it gets in this bang, which is ours
var out = null;

var device = {
    name: is_generator ? "VAE Generator" : "VAE Transformation",
    parameters: is_generator
        ? { temperature: 1, bars: 2, seed: 0, port: 8711, daemon_port: 8710 }
        : { timing: 1, velocity: 1, seed: 0, port: 8711, daemon_port: 8710 },
    buttons: {},
    verbs: {},
    menus: is_generator ? { style: "any" } : {},
    styled: ["sample"],
    displays: ["light", "line", "advice", "tool_in"],
    changed: dial_moved,
    tick: function () {
        if (due && due === wanted) {
            give(due);
        }
        due = "";
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

function answer(given) {
    var now = subject_of(given);
    if (ours) {
        give_back(now);
        return;
    }
    subject = now;
    drawn = draw_below(LARGEST_SEED + 1);
    wanted = key_of(now);
    if (cache[wanted]) {
        reply_with(wanted);
    } else {
        reply(now.notes);
        ask(wanted, now);
    }
}

// What Live asks about. notes: those given, of a generator those that lie in the selection; left: as we have left them.
function subject_of(given) {
    var clip = live.clip(), time = context.clip || {}, grid = context.grid || {};
    var start = Number(time.time_selection_start) || 0, end = Number(time.time_selection_end) || start;
    if (end <= start && grid.interval > 0) { // a cursor: bars begin on the line before it
        start = end = grid.interval * Math.floor(start / grid.interval + SAME);
    }
    var about = { clip: clip || live.no_clip(), id: live.in_view(), start: start, end: end };
    about.beats_per_bar = clip ? clip.beats_per_bar : MODEL_BAR;
    about.notes = is_generator && clip && end > start ? own_notes(about) : given;
    about.left = about.notes;
    return about;
}

function own_notes(about) {
    return live.notes_in(new LiveAPI("id " + about.id), about.start, about.end - about.start);
}

function is_as_asked(now) {
    return now.id === subject.id && now.start === subject.start && now.end === subject.end &&
        (score.alike(now.notes, subject.notes) || score.alike(now.notes, subject.left));
}

function key_of(about) {
    return JSON.stringify([about.id, about.start, about.end, is_generator ? 0 : about.notes, asked()]);
}

function asked() {
    var names = is_generator ? ["temperature", "style"] : ["timing", "velocity"];
    return settings(names).concat(["seed", values.seed || drawn], is_generator ? ["bars", bars_of(subject)] : []);
}

function dial_moved(name) { // Live applies anew, where it still shows what was asked about
    if (subject !== null && name !== "port" && name !== "daemon_port" && subject.id === live.in_view()) {
        wanted = key_of(subject);
        if (cache[wanted]) {
            due = wanted;
        } else {
            ask(wanted, subject);
        }
    }
}

function ask(key, about) {
    if (!is_generator && about.notes.length === 0) {
        throw new Refusal("Select some notes first.");
    }
    var clip = is_generator ? null : stretch_of(about);
    osc.run({
        verb: is_generator ? "sample" : "humanize",
        slots: is_generator ? {} : { "": clip },
        named: is_generator ? {} : { slot: "" },
        atoms: asked(),
        done: function (results) {
            remember(key, is_generator ? generated(results[0], about) : humanized(clip, results[0].notes));
            due = key === wanted ? key : "";
        },
        fail: say
    });
}

function give(key) { // a bang while Live shows another clip would begin with that one
    if (subject.id !== live.in_view()) {
        say("The answer waits: apply again on that clip.");
        return;
    }
    ours = key;
    tell("tool_in", "bang", []);
    ours = "";
}

function give_back(now) {
    if (is_as_asked(now)) {
        reply_with(ours);
    } else {
        reply(now.notes);
        say("The clip has changed meanwhile: apply again.");
    }
}

function reply_with(key) {
    subject.left = cache[key];
    reply(cache[key]);
    say("Played " + cache[key].length + " notes.");
}

// A transformation: the bars of the clip in which notes were given.

function stretch_of(about) {
    var bar = about.beats_per_bar, line = about.clip.start_time, first = FARTHEST, last = -FARTHEST;
    about.notes.forEach(function (note) {
        first = Math.min(first, note.start_time);
        last = Math.max(last, note.start_time + note.duration);
    });
    var bars_before = Math.floor((first - line) / bar + SAME);
    var clip = {
        start_time: line + bar * bars_before, beats_per_bar: bar, tempo: live.tempo(), live_notes: about.notes
    };
    clip.beats = bar * Math.max(1, Math.ceil((last - clip.start_time) / bar - SAME));
    clip.loop = { start: line - clip.start_time, beats: about.clip.loop.beats, on: about.clip.loop.on };
    clip.notes = about.notes.map(function (note) { return score.told(note, clip); });
    return clip;
}

function humanized(clip, answered) {
    return score.played(clip, live.all(clip), answered);
}

// A generator: what is selected is filled, to its end; without a selection as many bars as are set.

function bars_of(about) {
    var bars = about.end > about.start ? Math.ceil((about.end - about.start) / about.beats_per_bar - SAME) : values.bars;
    return Math.min(MOST_BARS, score.model_bars(bars, about.beats_per_bar));
}

function generated(result, about) {
    var beats = about.end - about.start, scale = context.scale || {};
    var notes = score.in_meter(result, about.beats_per_bar).notes;
    if (beats > 0) {
        notes = notes.filter(function (note) { return note.start < beats - SAME; });
    }
    if (scale.scale_mode && result.parts.length && result.parts[0].channel !== DRUM_CHANNEL) {
        notes = score.in_scale(notes, scale);
    }
    var loop = about.clip.loop, is_loop = loop.on && about.start === about.clip.start_time && beats === loop.beats;
    var how = { from: about.start, floor: about.start, turn: is_loop ? beats : 0 };
    return score.cut(score.composed(notes, how), beats > 0 ? about.end : FARTHEST);
}

function remember(key, notes) {
    cached = cached.filter(function (each) { return each !== key; }).concat(key);
    cache[key] = notes;
    if (cached.length > MOST_ANSWERS) {
        delete cache[cached.shift()];
    }
}

function reply(notes) {
    out = out || new Dict();
    out.parse(JSON.stringify({ notes: notes }));
    outlet(3, "dictionary", out.name);
}
