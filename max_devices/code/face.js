// What a device shows, and what Max calls. Each device says what it is in one table:
// device = {name, parameters: {varname: default}, buttons: {varname: function}, verbs: {button: verb},
//     menus: {varname: its first item, which stands for none}, styled: [verbs that are asked with the menu style],
//     clips: [letters of those that are kept], displays: [varname], heard: {message: function}, changed(name), tick(time)};
// what it has not it leaves out.

inlets = 2; // 0: controls, 1: [udpreceive]
outlets = 3; // 0: [udpsend] to the daemon, 1: [udpreceive], 2: [udpsend] to our own reply port

var TICK_MS = 50;
var NEARLY = 0.00001;
var MOST_ITEMS = 250; // of a menu: a list of Max's is no longer
var WORDS = ["line", "advice"], PORTS = ["port", "daemon_port", "port_text", "daemon_text"];
var patch = this.patcher;
var values = {}; // the parameters, by name; empty before the bang
var shown = {};
var items = {}; // what each menu lists
var parameters = {}; // the place of each button among Live's parameters
var is_filling = false; // a menu whose items change may speak
var remark = ""; // the last thing said: an error, or what has been done
var osc = null, offer = null;

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
    var words = text.split(" ").filter(function (word) { return word; });
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
    show("line", sentences([osc.state(), not_there(), remark]));
    show("advice", osc.advice());
    for (var button in device.verbs) {
        var verb = device.verbs[button];
        show_once(button, "active", [why_not(verb) || not_there(verb) ? 0 : 1]);
    }
}

// Why a verb cannot be asked for, "" if it can: of what is not known yet the daemon will tell.
function why_not(verb) {
    if (!osc.ready || !osc.connected || offer.can(verb)) {
        return "";
    }
    if (offer.verbs === null) {
        return "One moment.";
    }
    return (chosen.model || "No model in memory") + (chosen.model ? " cannot " : " can ") + verb + ".";
}

function not_there(verb) { // a name that the set has saved, and that is gone; verb: as far as that asks for it
    if (chosen.model && offer.models !== null && offer.models.indexOf(chosen.model) < 0) {
        return "The model " + chosen.model + " is not there: choose another.";
    }
    var is_asked = !verb || device.styled && device.styled.indexOf(verb) >= 0;
    var is_known = verb ? offer.knows(chosen.style, verb) : !offer.styles || offer.styles.indexOf(chosen.style) >= 0;
    if (is_asked && chosen.style && !is_known) {
        return "The style " + chosen.style + " is not there: choose another.";
    }
    return "";
}

function show_once(name, selector, atoms) {
    if (shown[name] !== atoms.join()) {
        shown[name] = atoms.join();
        tell(name, selector, atoms);
    }
}

function fill_menus() { // a name that is gone stays where it is chosen
    var there = { model: offer.models, style: offer.styles };
    for (var menu in device.menus) {
        var list = [device.menus[menu]].concat((there[menu] || []).slice(0, MOST_ITEMS));
        var name = chosen[menu];
        items[menu] = name && list.indexOf(name, 1) < 0 ? list.concat(name) : list;
        is_filling = true;
        tell(menu, "set", [0]); // a place that is no longer there would speak, at once or later
        show_once(menu, "_parameter_range", items[menu].length > 1 ? items[menu] : items[menu].concat("-"));
        tell(menu, "set", [name ? items[menu].indexOf(name, 1) : 0]);
        is_filling = false;
    }
}

function show_ports(are_shown) { // in place of the words
    WORDS.forEach(function (name) { patch.getnamed(name).hidden = are_shown ? 1 : 0; });
    PORTS.forEach(function (name) { patch.getnamed(name).hidden = are_shown ? 0 : 1; });
}

function keep_port(port) {
    if (values.port !== port) {
        values.port = port;
        tell("port", "assign", [port]);
    }
}

// What most requests say, and what most answers do.

function settings(names) { // keys and values; what is at "none" is left out
    var named = { model: chosen.model || "", style: chosen.style || "" };
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
    if (osc.ready) {
        offer.tick(time);
    }
    if (device.tick) {
        attempt(function () { device.tick(time); });
    }
}, this);

function bang() { // from live.thisdevice: only now is there a Live
    for (var name in device.parameters) {
        var saved = atoms_of(name)[0];
        values[name] = typeof saved === "number" ? saved : device.parameters[name];
    }
    osc = osc || make_osc(device.name, { change: refresh, says: say, port: keep_port, greeted: look_around });
    offer = offer || make_offer(osc.ask, device.styled || [], function () {
        fill_menus();
        refresh();
    });
    kept_names().forEach(function (name) { recall(name, atoms_of("kept_" + name)); });
    fill_menus();
    outlet(0, "port", values.daemon_port);
    osc.open(values.port);
    refresh();
    clock.cancel();
    clock.interval = TICK_MS;
    clock.repeat();
}

function atoms_of(name) {
    return [].concat(patch.getnamed(name).getvalueof());
}

function kept_names() {
    return Object.keys(device.menus || {}).concat(device.clips || []);
}

function look_around() {
    offer.of(chosen.model || "");
}

function anything() {
    var atoms = arrayfromargs(arguments);
    if (osc === null) {
        return;
    }
    if (inlet === 1) {
        attempt(function () { osc.hear(messagename, atoms); });
    } else if (messagename === "press") {
        attempt(function () { push(atoms[0]); });
    } else if (messagename === "gear") {
        show_ports(atoms[0] === 1);
    } else if (messagename === "kept") {
        recall(atoms[0], atoms.slice(1));
        names_changed();
    } else if (device.heard && device.heard[messagename]) {
        attempt(function () { device.heard[messagename](atoms[0]); });
    } else if (device.menus && device.menus[messagename] !== undefined) {
        pick(messagename, atoms[0]);
    } else if (Math.abs(values[messagename] - atoms[0]) > NEARLY) { // a dial repeats its pad in a float32
        values[messagename] = atoms[0];
        changed(messagename);
    }
}

// A press may come from a mapped key, which knows no grey, or from an envelope, which nobody has asked for anything:
// it would change whatever clip is in view when it passes.
function push(button) {
    var verb = device.verbs[button];
    if (is_automated(button)) {
        throw new Refusal("An envelope presses no button: take it away.");
    }
    if (verb && not_there(verb)) {
        throw new Refusal(not_there() ? "" : not_there(verb)); // what the line says already it says once
    }
    if (verb && why_not(verb)) {
        throw new Refusal(why_not(verb));
    }
    device.buttons[button]();
}

function is_automated(button) {
    if (parameters[button] === undefined) {
        parameters[button] = parameter_of("press " + button.replace("_", " "));
    }
    var path = "this_device parameters " + parameters[button];
    return parameters[button] >= 0 && live.number(new LiveAPI(path), "automation_state") === 1;
}

function parameter_of(name) { // its place among those that Live could automate
    var count = new LiveAPI("this_device").getcount("parameters");
    for (var i = 0; i < count; i++) {
        if (live.name(new LiveAPI("this_device parameters " + i)).toLowerCase() === name) {
            return i;
        }
    }
    return -1;
}

function pick(menu, place) { // the first item stands for none
    var name = place > 0 ? items[menu][place] || "" : "";
    if (!is_filling && name !== (chosen[menu] || "")) {
        choose(menu, name);
        names_changed();
        tell_device(menu);
    }
}

function names_changed() {
    look_around();
    fill_menus();
    refresh();
}

function changed(name) {
    if (name === "port") {
        osc.open(values.port);
    } else if (name === "daemon_port") {
        outlet(0, "port", values.daemon_port);
    }
    tell_device(name);
}

function tell_device(name) {
    if (device.changed) {
        attempt(function () { device.changed(name); });
    }
}

function notifydeleted() {
    clock.cancel();
    undo.rest();
}
