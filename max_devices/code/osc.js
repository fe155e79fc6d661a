// Requests to the daemon and their answers, the connection, the reply port. Knows no Live and no patcher.
// ES5, for Max's js object: the build joins what all devices share and the device's own file to one.

var LAST_REPLY_PORT = 8799;
var NOTES_PER_MESSAGE = 48;
var ECHO_MS = 300; // in which a device must hear itself, else its port is another's;
var ECHOES = 6; // and so often has it called by then, however slow Max is while it loads a set
var PING_MS = 2000;
var RESEND_MS = 1000; // after 1, 2 and 3 s more
var RESENDS = 3;
var GIVE_UP_MS = 60000; // as long as the daemon lets one request run
var LARGEST_ID = 16777215; // a float32 counts no further
var LARGEST_SEED = 16777215;
var PASSING = { busy: 1, engine_down: 1, cancelled: 1, no_clip: 1 }; // failures that a job may outlive

function now_ms() {
    return new Date().getTime();
}

function draw_below(limit) { // 1..limit - 1
    return 1 + Math.floor(Math.random() * (limit - 1));
}

// One connection. outlet 0 leads to the daemon, 1 to [udpreceive], 2 to our own reply port.
// told: whom it tells what happens, {change(), says(text), port(number), greeted(): a daemon is there, or ready}.
function make_osc(client, told) {
    var me = { port: 0, connected: false, ready: false, model: "", ms: 0 };
    var boot = 0, next_ping = 0, unanswered = 0;
    var token = 0, token_due = 0, calls = 0, hears = false, ports_taken = false;
    var open = {}; // the requests without an answer, by id
    var last_id = draw_below(LARGEST_ID / 2); // the daemon remembers its answers by id: never begin with the same
    var uploaded = {}; // letter of a slot -> the clip that the daemon has there
    var job = null, waiting = [];

    me.tick = function (time) {
        if (!hears) {
            find_port(time);
            return;
        }
        if (time >= next_ping) {
            ping(time);
        }
        resend(time);
        go_on(time);
    };

    // The reply port. Only one program hears it: a device first listens for its own voice.

    me.open = function (port) {
        me.port = port;
        hears = ports_taken = false;
        token = draw_below(LARGEST_ID);
        token_due = now_ms() + ECHO_MS;
        calls = 0;
        uploaded = {};
        outlet(1, "port", port);
        outlet(2, "port", port);
    };

    function find_port(time) {
        if (time < token_due || calls < ECHOES) {
            calls += 1;
            outlet(2, "/vae_self", token);
        } else if (me.port < LAST_REPLY_PORT) {
            me.open(me.port + 1);
        } else if (!ports_taken) {
            ports_taken = true;
            told.change();
        }
    }

    function heard_ourselves(number) {
        if (number === token && !hears) {
            hears = true;
            next_ping = 0;
            told.port(me.port);
            restart_job(); // its slots have new names
        }
    }

    // Requests: sent, sent again while nothing comes, ended once.

    function request(verb, messages, done, fail) {
        last_id = last_id % LARGEST_ID + 1;
        var one = {
            id: last_id, verb: verb, messages: messages, done: done, fail: fail,
            began: now_ms(), sent: 0, results: [], rows: [], end: null
        };
        open[one.id] = one;
        send(one, 0);
        return one;
    }

    function send(one, first) {
        one.sent += 1;
        one.due = now_ms() + RESEND_MS * one.sent;
        for (var i = first; i < one.messages.length; i++) {
            var message = one.messages[i];
            outlet(0, ["/vae/" + message[0], one.id].concat(message[1], ["reply_port", me.port]));
        }
    }

    function ask(verb, atoms, done, fail) {
        return request(verb, [[verb, atoms]], done, fail);
    }
    me.ask = ask;

    function upload(slot, clip, done, fail) {
        var meter = ["beats_per_bar", clip.beats_per_bar, "tempo", clip.tempo];
        var messages = [["clip/begin", [slot, clip.notes.length, clip.beats].concat(meter)]];
        for (var first = 0; first < clip.notes.length; first += NOTES_PER_MESSAGE) {
            messages.push(["clip/notes", chunk(clip.notes.slice(first, first + NOTES_PER_MESSAGE), first)]);
        }
        messages.push(["clip/end", []]);
        return request("clip", messages, done, fail);
    }

    function chunk(notes, first) {
        var atoms = [first, notes.length];
        for (var i = 0; i < notes.length; i++) {
            atoms.push(notes[i].pitch, notes[i].start, notes[i].duration, notes[i].velocity, notes[i].mute);
        }
        return atoms;
    }

    function resend(time) { // the same id and content: the daemon answers from memory
        for (var id in open) {
            var one = open[id], runs = job !== null && job.asked === one && one.verb !== "clip" && one.end === null;
            if (!me.connected || one.verb === "ping" || time < one.due) {
                continue;
            }
            if (one.sent <= RESENDS) {
                send(one, 0);
            } else if (!runs || time - one.began > GIVE_UP_MS) {
                delete open[id];
                one.fail("silence", "The daemon does not answer. Press again.");
            }
        }
    }

    // Answers.

    me.hear = function (address, atoms) {
        var one = open[atoms[0]];
        if (address === "/vae_self") {
            heard_ourselves(atoms[0]);
        } else if (one) { // else it is the end of a second copy
            take(one, address, atoms);
        }
    };

    function take(one, address, atoms) {
        if (address === "/vae/fail") {
            failed(one, atoms[2], String(atoms[3]));
        } else {
            replies.take(one, address, atoms);
        }
        if (one.end && replies.are_whole(one)) {
            delete open[one.id];
            one.done(one);
        }
    }

    function failed(one, code, text) {
        var missing = /the first is (\d+)$/.exec(text);
        if (one.verb === "clip" && one.sent <= RESENDS && (missing || /begin is missing$/.test(text))) {
            send(one, missing ? 1 + Math.floor(Number(missing[1]) / NOTES_PER_MESSAGE) : 0);
            return;
        }
        delete open[one.id];
        one.fail(code, text);
    }

    // The connection: a ping each 2 s. A new boot is another daemon, which knows nothing of us.

    function ping(time) {
        next_ping = time + PING_MS;
        unanswered += 1;
        if (unanswered === 3) {
            me.connected = me.ready = false;
            told.change();
        }
        for (var id in open) {
            if (open[id].verb === "ping") {
                delete open[id];
            }
        }
        ask("ping", [], pinged, nothing);
    }

    function pinged(one) {
        var is_new = !me.connected || one.end.boot !== boot, was_ready = me.ready && !is_new;
        var restarted = one.end.boot !== boot;
        unanswered = 0;
        me.connected = true;
        me.ready = one.end.ready === 1;
        boot = one.end.boot;
        if (restarted) {
            open = {};
            uploaded = {};
        }
        if (is_new || me.ready !== was_ready) {
            greet();
            told.change();
        }
        if (restarted) {
            restart_job();
        }
    }

    function greet() { // while the models warm up the default is not known, and is asked again when a ping says ready
        ask("hello", [client], function (one) {
            me.model = one.end.model || "";
            told.change();
        }, nothing);
        told.greeted();
    }

    function nothing() {
    }

    // A job: clips go up, one request follows. It outlives a daemon that is started anew, and ends once.

    function slot(letter) { // slots are global to the daemon, the port is ours alone
        return "d" + me.port + letter;
    }

    // {verb, slots: {letter: clip}, named: {key: letter of a slot}, atoms: the rest of the request, about: id of a clip,
    // done(results, about), fail(sentence)}. A new job takes the place of one about the same clip, or about none; one
    // about another clip waits for its turn.
    me.run = function (new_job) {
        if (!me.connected) {
            new_job.fail("");
        } else if (is_apart(job, new_job)) {
            waiting = waiting.filter(function (each) { return is_apart(each, new_job); }).concat([new_job]);
        } else {
            me.cancel();
            begin(new_job);
        }
    };

    function is_apart(one, other) {
        return one !== null && one.about && other.about && one.about !== other.about;
    }

    function begin(new_job) {
        job = new_job;
        job.began = now_ms();
        step(job);
    }

    me.cancel = function () {
        var asked = job && open[job.asked.id];
        job = null;
        if (asked) {
            delete open[asked.id];
            ask("cancel", ["target", asked.id], nothing, nothing);
        }
    };

    me.is_busy = function () {
        return job !== null || waiting.length > 0;
    };

    function step(one_job) {
        one_job.due = 0;
        for (var letter in one_job.slots) {
            var clip = one_job.slots[letter];
            if (uploaded[letter] !== clip) {
                delete uploaded[letter]; // cancelled, it leaves open which of the two is there
                one_job.asked = upload(slot(letter), clip, on_upload(one_job, letter), on_fail(one_job));
                return;
            }
        }
        var atoms = [];
        for (var key in one_job.named) {
            atoms.push(key, slot(one_job.named[key]));
        }
        atoms = atoms.concat(one_job.atoms, ["group", "device"]);
        one_job.asked = ask(one_job.verb, atoms, on_done(one_job), on_fail(one_job));
    }

    function on_upload(one_job, letter) {
        return function () {
            uploaded[letter] = one_job.slots[letter];
            step(one_job);
        };
    }

    function on_done(one_job) {
        return function (one) {
            job = null;
            me.ms = now_ms() - one_job.began;
            me.model = one.end.model || me.model;
            one_job.done(one.results, one.end);
        };
    }

    function on_fail(one_job) {
        return function (code, text) {
            if (PASSING[code] && now_ms() - one_job.began < GIVE_UP_MS) {
                uploaded = {};
                one_job.due = now_ms() + RESEND_MS;
                told.says(text);
            } else {
                job = null;
                one_job.fail(text);
            }
        };
    }

    function restart_job() {
        if (job) {
            delete open[job.asked.id];
            step(job);
        }
    }

    function go_on(time) {
        if (job && !me.connected && time - job.began > GIVE_UP_MS) {
            var lost = job;
            waiting = [];
            me.cancel();
            lost.fail("The daemon went away. Start it, then press again.");
        } else if (job && me.connected && job.due && time >= job.due) {
            step(job);
        } else if (!job && waiting.length) {
            begin(waiting.shift());
        }
    }

    // In words.

    me.state = function () {
        if (ports_taken) {
            return "No reply port up to " + LAST_REPLY_PORT + " is free.";
        }
        if (!me.connected) {
            return unanswered < 3 ? "Looking for the daemon." : "Not connected: no daemon answers.";
        }
        if (!me.ready) {
            return "Connected: the models warm up.";
        }
        return "Connected: " + me.model + (me.ms ? " " + me.ms + " ms." : "");
    };

    me.advice = function () {
        if (ports_taken) {
            return "Remove a device, or set Port lower.";
        }
        return me.connected || unanswered < 3 ? "" : "Type in a terminal: vaebridge serve";
    };

    return me;
}
