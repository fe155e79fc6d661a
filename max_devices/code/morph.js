// VAE Morph: a pad between two or four clips. What is asked while the pad moves goes stale; what is asked last is
// written once the pad rests.

var REST_MS = 300;
var LETTERS = ["a", "b", "c", "d"]; // left and right below, left and right above
var stored = {};
var moved_at = 0, asked_at = 0; // 0: nothing to do
var answer = null;

var device = {
    name: "VAE Morph",
    parameters: { x: 0.5, y: 0.5, target: 0, port: 8711, daemon_port: 8710 },
    buttons: {
        store1: function () { store(0); },
        store2: function () { store(1); },
        store3: function () { store(2); },
        store4: function () { store(3); },
        original: function () { say(live.flip()); }
    },
    verbs: {},
    displays: ["light", "line", "advice"],
    changed: pad_moved,
    tick: tick
};

function store(number) {
    var clip = live.source("", live.all);
    stored[LETTERS[number]] = clip;
    live.keep();
    say("Stored " + clip.notes.length + " notes in " + LETTERS[number].toUpperCase() + ".");
}

function pad_moved(name) {
    if (name === "x" || name === "y") {
        moved_at = now_ms();
        answer = null;
    }
    if (name === "target") {
        live.keep();
    }
}

function tick(time) {
    if (moved_at > asked_at && (!osc.is_busy() || time - moved_at >= REST_MS)) {
        asked_at = moved_at;
        ask();
    }
    if (answer !== null && time - moved_at >= REST_MS) {
        write();
    }
}

function ask() {
    var plane = stored.c !== undefined || stored.d !== undefined;
    var needed = plane ? LETTERS : LETTERS.slice(0, 2);
    needed.forEach(function (letter) {
        if (stored[letter] === undefined) {
            throw new Refusal("Store a clip in " + letter.toUpperCase() + " first.");
        }
    });
    osc.run({
        verb: "interpolate",
        slots: stored,
        atoms: function () {
            var atoms = ["from", osc.slot("a"), "to", osc.slot("b"), "position", values.x];
            return plane ? atoms.concat(["from2", osc.slot("c"), "to2", osc.slot("d"), "position2", values.y]) : atoms;
        },
        done: function (results) { answer = results; },
        fail: say
    });
}

function write() {
    var results = answer, new_clip = values.target === 1;
    answer = null;
    var clip = new_clip ? live.clip() || live.no_clip() : live.source("morph");
    say(sentences(["Morphed.", live.offer(clip, results, { button: "morph", new_clip: new_clip, go_on: true })]));
}
