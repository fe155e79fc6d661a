// VAE Morph: a pad between two or four clips, which fills a third. A person chooses that one: by dragging the pad while
// it is in view, or with Here. Dials, and the envelopes that move them, go on there, whatever is in view by then.
// What is asked while something moves goes stale; what is asked last is written once it rests.

var REST_MS = 300;
var WRITE_MS = 1000; // and while an envelope moves on, so often
var GESTURE_MS = 4000; // positions that follow one another so soon are one undo step,
var LONGEST_GESTURE_MS = 30000; // but not for ever
var NEW_CLIP = 1; // of the parameter target
var LETTERS = ["a", "b", "c", "d"]; // left and right below, left and right above
var FIRST_AIM = "Open the clip to fill and press Here.";
var aim = null; // what is filled: {id: of a clip, 0 for a new one}
var dragged_at = 0, is_refused = false; // of the hand on the pad
var moved_at = 0, asked_at = 0, written_at = 0, began_at = 0; // 0: nothing to do, or no undo step open
var answer = null;

var device = {
    name: "VAE Morph",
    parameters: { x: 0.5, y: 0.5, target: 0, port: 8711, daemon_port: 8710 },
    buttons: {
        store1: function () { store("a"); },
        store2: function () { store("b"); },
        store3: function () { store("c"); },
        store4: function () { store("d"); },
        here: here,
        original: function () { say(take.flip()); }
    },
    verbs: {},
    clips: LETTERS,
    displays: ["light", "line", "advice"],
    heard: { pad_x: function (value) { dragged("x", value); }, pad_y: function (value) { dragged("y", value); } },
    changed: changed_to,
    tick: tick
};

// What is filled.

function here() {
    var clip = live.clip();
    if (clip === null) {
        throw new Refusal("Double-click a MIDI clip first.");
    }
    aim_at(clip.id);
    say("The pad fills this clip.");
}

function aim_at(id) {
    if (aim === null || aim.id !== id) { // what was asked for the one before is not for this one
        osc.cancel();
        answer = null;
        asked_at = moved_at;
        undo.rest();
        take.keep();
    }
    aim = { id: id };
}

function dragged(name, value) {
    var time = now_ms(), is_new = time - dragged_at > REST_MS;
    dragged_at = time;
    if (is_new) {
        is_refused = true;
        grasp();
        is_refused = false;
    }
    if (!is_refused) {
        values[name] = value;
        moved_at = time;
    }
}

function grasp() { // the stored clips are not what lies between them
    var clip = live.clip(), letter = clip ? letter_of(clip) : "";
    if (values.target === NEW_CLIP) {
        if (take.is_gone()) { // a hand makes another, an envelope does not
            take.keep();
        }
        aim_at(0);
    } else if (clip !== null && (!letter || aim !== null && aim.id === clip.id)) {
        aim_at(clip.id);
    } else if (aim === null) {
        throw new Refusal(letter ? "Clip " + letter + " is in view: " + FIRST_AIM : "Double-click a MIDI clip first.");
    }
}

function changed_to(name) {
    if (name === "x" || name === "y") {
        moved_at = now_ms();
    } else if (name === "target") {
        aim = null;
        undo.rest();
        take.keep();
    }
}

// When something is asked, and when it is written.

function tick(time) {
    var rests = time - moved_at >= REST_MS;
    if (moved_at > asked_at && (!osc.is_busy() || rests)) {
        asked_at = moved_at;
        ask();
    }
    if (answer !== null && (rests ? asked_at === moved_at && !osc.is_busy() : time - written_at >= WRITE_MS)) {
        write(time);
    }
    if (began_at && (time - Math.max(moved_at, written_at) >= GESTURE_MS || time - began_at >= LONGEST_GESTURE_MS)) {
        began_at = 0;
        undo.rest();
    }
}

function ask() {
    var plane = stored.c !== undefined || stored.d !== undefined;
    var needed = plane ? LETTERS : LETTERS.slice(0, 2), slots = {};
    needed.forEach(function (letter) {
        if (stored[letter] === undefined) {
            throw new Refusal("Store a clip in " + letter.toUpperCase() + " first.");
        }
        slots[letter] = stored[letter];
    });
    if (aim === null) {
        throw new Refusal(FIRST_AIM);
    }
    osc.run({
        verb: "interpolate",
        slots: slots,
        named: plane ? { from: "a", to: "b", from2: "c", to2: "d" } : { from: "a", to: "b" },
        atoms: ["position", values.x].concat(plane ? ["position2", values.y] : []),
        done: function (results) { answer = results; },
        fail: say
    });
}

function write(time) {
    var results = answer;
    answer = null;
    if (aim === null) {
        return;
    }
    written_at = time;
    var how = { button: "morph", new_clip: aim.id === 0, go_on: true, gesture: true };
    var clip = how.new_clip ? live.no_clip() : take.source("morph", undefined, false, aim.id);
    say(sentences(["Morphed.", take.offer(clip, results, how)]));
    began_at = began_at || time;
}
