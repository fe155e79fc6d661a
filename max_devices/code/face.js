// What a device shows, and what Max calls. Each device says what it is in one table:
// device = {name, parameters: {varname: default}, buttons: {varname: function}, verbs: {button: verb},
//     displays: [varname], changed(name), tick(time)}; verbs, changed and tick where it has them.

inlets = 2; // 0: controls, 1: [udpreceive]
outlets = 3; // 0: [udpsend] to the daemon, 1: [udpreceive], 2: [udpsend] to our own reply port

var TICK_MS = 50;
var NEARLY = 0.00001;
var patch = this.patcher;
var values = {}; // the parameters, by name; empty before the bang
var shown = {};
var remark = ""; // the last thing said: an error, or what has been done
var osc = null;

function attempt(action) { // a refusal is said; anything else is a bug, and Max's console shows it
    try {
        action();
    } catch (error) {
        if (!(error instanceof Refusal)) {
            throw error;
        }
        say(error.sentence);
    }
}

// What is shown goes out word by word, numbers as numbers: Max never forgets a symbol.

function tell(name, selector, atoms) {
    var object = patch.getnamed(name);
    object.message.apply(object, [selector].concat(atoms));
}

function show(name, text) {
    if (shown[name] !== text) {
        shown[name] = text;
        tell(name, "set", words_of(text));
    }
}

function words_of(text) {
    var words = text.split(" ");
    for (var i = 0; i < words.length; i++) {
        words[i] = /^\d+$/.test(words[i]) ? Number(words[i]) : words[i];
    }
    return words;
}

function say(text) {
    remark = text;
    refresh();
}

function refresh() {
    show_once("light", "int", [osc.connected ? 1 : 0]);
    show("line", sentences([osc.state(), remark]));
    show("advice", osc.advice());
    for (var button in device.verbs) {
        if (osc.verbs.length) {
            show_once(button, "active", [osc.verbs.indexOf(device.verbs[button]) < 0 ? 0 : 1]);
        }
    }
}

function show_once(name, selector, atoms) {
    if (shown[name] !== atoms.join()) {
        shown[name] = atoms.join();
        tell(name, selector, atoms);
    }
}

function fill_menu(name, items) {
    if (name === "model") {
        osc.ask_styles(chosen("model", osc.models));
    }
    if (device.parameters[name] !== undefined) {
        show_once(name, "_parameter_range", items);
    }
}

function keep_port(port) {
    if (values.port !== port) {
        values.port = port;
        tell("port", "assign", [port]);
    }
}

// What most requests say, and what most answers do.

function chosen(name, items) { // the item of a menu whose first stands for none
    return items[values[name] - 1] || "";
}

function settings(names) { // keys and values; what is at "none" is left out
    var named = { model: chosen("model", osc.models), style: chosen("style", osc.styles), seed: values.seed };
    var atoms = [];
    for (var i = 0; i < names.length; i++) {
        var value = named[names[i]] === undefined ? values[names[i]] : named[names[i]];
        if (value || value === 0 && names[i] !== "seed") {
            atoms.push(names[i], value);
        }
    }
    return atoms;
}

function told_of(about) { // what a done says beside the notes
    return sentences([about.as && "As taps.", about.remark]);
}

function sentences(parts) {
    return parts.filter(function (part) { return part; }).join(" ");
}

// What Max calls.

var clock = new Task(function () {
    var time = now_ms();
    osc.tick(time);
    if (device.tick) {
        attempt(function () { device.tick(time); });
    }
}, this);

function bang() { // from live.thisdevice: only now is there a Live
    for (var name in device.parameters) {
        var saved = patch.getnamed(name).getvalueof();
        saved = typeof saved === "object" ? saved[0] : saved;
        values[name] = typeof saved === "number" ? saved : device.parameters[name];
    }
    osc = osc || make_osc(device.name, { change: refresh, says: say, port: keep_port, menu: fill_menu });
    outlet(0, "port", values.daemon_port);
    osc.open(values.port);
    refresh();
    clock.cancel();
    clock.interval = TICK_MS;
    clock.repeat();
}

function anything() {
    var atoms = arrayfromargs(arguments);
    if (osc === null) {
        return;
    }
    if (inlet === 1) {
        attempt(function () { osc.hear(messagename, atoms); });
    } else if (messagename === "press") {
        attempt(device.buttons[atoms[0]]);
    } else if (Math.abs(values[messagename] - atoms[0]) > NEARLY) { // a dial repeats its pad in a float32
        values[messagename] = atoms[0];
        changed(messagename);
    }
}

function changed(name) {
    if (name === "port") {
        osc.open(values.port);
    } else if (name === "daemon_port") {
        outlet(0, "port", values.daemon_port);
    } else if (name === "model") {
        osc.ask_styles(chosen("model", osc.models));
    }
    if (device.changed) {
        attempt(function () { device.changed(name); });
    }
}

function notifydeleted() {
    clock.cancel();
}
