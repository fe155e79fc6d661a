// VAE Bridge: every verb for the clip in the detail view.

var MAX_NAME_BYTES = 64; // of the key only
var STEP = 1 / 4; // beats: a sixteenth
var PADS = [ // the drum classes, and the General MIDI pitches that count as each
    [36, 35],
    [38, 27, 28, 31, 32, 33, 34, 37, 39, 40, 56, 65, 66, 75, 85],
    [42, 44, 54, 68, 69, 70, 71, 73, 78, 80, 22],
    [46, 67, 72, 74, 79, 81, 26],
    [45, 29, 41, 43, 61, 64, 84],
    [48, 47, 60, 63, 77, 86, 87],
    [50, 30, 62, 76, 83],
    [49, 52, 55, 57, 58],
    [51, 53, 59, 82]
];
var SELECTED = 1, CHOSEN_PADS = 2; // of the parameter notes
var NEW_CLIP = 1; // of the parameter target
var IN_SLOT = { slot: "" };

var device = {
    name: "VAE Bridge",
    parameters: {
        temperature: 1, amount: 1, similarity: 0.7, position: 0.5, bars: 2, count: 1, seed: 0,
        notes: 0, pad1: 1, pad2: 1, pad3: 1, pad4: 1, pad5: 1, pad6: 1, pad7: 1, pad8: 1, pad9: 1, target: 0,
        port: 8711, daemon_port: 8710
    },
    buttons: {
        generate: generate, humanize: humanize, drumify: drumify, fill: fill, vary: vary, morph: morph,
        "continue": go_on, infill: infill, groove: groove,
        store_a: function () { store("a"); }, store_b: function () { store("b"); }, die: die,
        previous: function () { step_by(-1); }, next: function () { step_by(1); }, original: flip, keep: keep
    },
    verbs: {
        generate: "sample", humanize: "humanize", drumify: "drumify", fill: "fill", vary: "vary", morph: "interpolate",
        "continue": "continue", infill: "infill", groove: "groove"
    },
    menus: { model: "default", style: "any" },
    styled: ["sample", "humanize", "drumify"],
    clips: ["a", "b"],
    displays: ["light", "line", "advice", "result"]
};

// The buttons.

function generate() {
    var clip = clip_to_fill("generate"), beats_per_bar = clip.beats_per_bar || MODEL_BAR;
    var bars = ["bars", Math.min(MOST_BARS, score.model_bars(values.bars, beats_per_bar))];
    ask("generate", clip, {}, {}, bars, ["style"], { beats_per_bar: beats_per_bar });
}

function humanize() {
    var clip = take.source("humanize", chosen_places), places = chosen_places(clip);
    var atoms = ["timing", values.amount, "velocity", values.amount].concat(only(clip));
    ask("humanize", clip, { "": clip }, IN_SLOT, atoms, ["style"], { places: places });
}

function drumify() {
    var clip = take.source("drumify", live.all);
    ask("drumify", clip, { "": clip }, IN_SLOT, [], ["style"], {});
}

function fill() {
    var clip = take.source("fill", live.all);
    ask("fill", clip, { "": clip }, IN_SLOT, [], [], {});
}

function vary() {
    var clip = take.source("vary", live.all);
    ask("vary", clip, { "": clip }, IN_SLOT, [], ["similarity"], {});
}

function go_on() {
    var clip = take.source("continue", live.all);
    ask("continue", clip, { "": clip }, IN_SLOT, [], ["bars"], { at: clip.beats });
}

function infill() {
    var clip = take.source("infill", undefined, true), mark = take.mark_of(clip) || marked(clip);
    var atoms = ["start", mark.start, "beats", mark.beats].concat(stays(clip, mark));
    ask("infill", clip, { "": clip }, IN_SLOT, atoms, [], { mark: mark });
}

function morph() {
    if (!stored.a || !stored.b) {
        throw new Refusal("Store a clip in A and one in B first.");
    }
    var clip = clip_to_fill("morph"), letter = letter_of(clip);
    if (letter && values.target !== NEW_CLIP) {
        throw new Refusal("Clip " + letter + " is in view: open the clip to fill.");
    }
    ask("morph", clip, { a: stored.a, b: stored.b }, { from: "a", to: "b" }, [], ["position"], {});
}

function groove() { // note for note, as humanize
    if (!stored.a) {
        throw new Refusal("Store a clip in A first: its feel is what the notes get.");
    }
    var clip = take.source("groove", chosen_places), places = chosen_places(clip);
    var slots = { "": clip, a: stored.a }, atoms = ["timing", values.amount, "velocity", values.amount];
    ask("groove", clip, slots, { slot: "", from: "a" }, atoms, [], { places: places });
}

function clip_to_fill(button) {
    return values.target === NEW_CLIP ? live.clip() || live.no_clip() : take.source(button);
}

function die() {
    tell("seed", "float", [draw_below(LARGEST_SEED + 1)]);
}

// Results.

function step_by(by) {
    say(take.next(by));
    show("result", take.place());
}

function flip() {
    say(take.flip());
    show("result", take.place());
}

function keep() {
    take.keep();
    show("result", take.place());
    say("Kept.");
}

// Requests.

// clip: what the answer is written to; slots: what goes up; named: which of them a key means; atoms, and names of
// parameters that become keys: what else is asked; how: as take.offer has it, and beats_per_bar of what is made.
function ask(button, clip, slots, named, atoms, names, how) {
    how.button = button;
    how.new_clip = values.target === NEW_CLIP;
    how.seen = take.look(clip, how);
    osc.run({
        verb: device.verbs[button],
        slots: slots,
        named: named,
        atoms: atoms.concat(settings(["model", "seed", "temperature", "count"].concat(names))),
        about: clip.id,
        done: function (results, about) {
            var words = take.offer(clip, how.beats_per_bar ? in_meter(results, how.beats_per_bar) : results, how);
            show("result", take.place());
            say(sentences(["Seed " + about.seed, words, told_of(about)]));
        },
        fail: say
    });
    say("");
}

function in_meter(results, beats_per_bar) {
    return results.map(function (result) { return score.in_meter(result, beats_per_bar); });
}

function chosen_places(clip) {
    var places = live.all(clip);
    if (values.notes === SELECTED) {
        places = live.selected(clip);
    } else if (values.notes === CHOSEN_PADS) {
        places = live.with_pitches(clip, pitches());
    }
    if (places.length === 0) {
        throw new Refusal(values.notes === SELECTED ? "Select some notes first." : "No note is on the chosen pads.");
    }
    return places;
}

function pitches() {
    var wanted = [];
    for (var i = 0; i < PADS.length; i++) {
        wanted = values["pad" + (i + 1)] ? wanted.concat(PADS[i]) : wanted;
    }
    return wanted;
}

// What is to be made anew: {start, beats, pitches: of what is selected there, none if all is}. The beats of the notes
// that are selected in Live's editor, which tells of no other selection, else those of the loop.
function marked(clip) {
    var selected = live.selected(clip).map(function (i) { return clip.notes[i]; });
    if (selected.length) {
        return around(clip, selected);
    }
    if (live.selected_ids(clip.id).length) {
        throw new Refusal("The selected notes lie outside the clip.");
    }
    return { start: clip.loop.start, beats: clip.loop.beats, pitches: [] };
}

function around(clip, selected) { // from the first start to the step in which the last note ends
    var first = Math.min.apply(null, selected.map(function (note) { return note.start; })), end = first + STEP;
    selected.forEach(function (note) {
        end = Math.max(end, Math.ceil((note.start + note.duration - SAME) / STEP) * STEP);
    });
    var mark = { start: first, beats: end - first, pitches: [] };
    if (inside(clip, mark).length > selected.length) {
        mark.pitches = selected.map(function (note) { return note.pitch; });
    }
    return mark;
}

function inside(clip, mark) {
    return clip.notes.filter(function (note) {
        return note.start >= mark.start && note.start < mark.start + mark.beats;
    });
}

function stays(clip, mark) { // in the mark: the pads that are not wanted, and what else is played there
    var wanted = values.notes === CHOSEN_PADS ? pitches() : pads_of(mark.pitches), others = [];
    if (values.notes !== CHOSEN_PADS && mark.pitches.length === 0) {
        return [];
    }
    PADS.forEach(function (pad) { others = wanted.indexOf(pad[0]) < 0 ? others.concat(pad[0]) : others; });
    inside(clip, mark).forEach(function (note) {
        if (wanted.indexOf(note.pitch) < 0 && others.indexOf(note.pitch) < 0) {
            others.push(note.pitch);
        }
    });
    return others.length ? ["keep"].concat(others) : [];
}

function pads_of(wanted) { // the pitches of each pad on which one of those is, and those
    return PADS.reduce(function (found, pad) {
        return pad.some(function (pitch) { return wanted.indexOf(pitch) >= 0; }) ? found.concat(pad) : found;
    }, wanted);
}

function only(clip) { // the model hears the whole clip and plays these; too many to name are told apart here
    var here = [];
    if (values.notes === CHOSEN_PADS) {
        pitches().forEach(function (pitch) {
            if (live.with_pitches(clip, [pitch]).length) {
                here.push(pitch);
            }
        });
    }
    return here.length && here.join().length <= MAX_NAME_BYTES ? ["only", here.join()] : [];
}
