// A strict fake of Max round one js object: its globals, its patcher, its two kinds of UDP object on real sockets.
// The script sees ES5 and nothing more. Every text that Max would keep as a symbol is counted, and so are the undo steps
// that one message to the script makes: where Live groups calls it is one at most.
"use strict";

const dgram = require("dgram");
const vm = require("vm");
const { es5_world } = require("./es5.js");
const miditool = require("./miditool.js");
const { decode, encode } = require("./wire.js");

const HOST = "127.0.0.1";
const MOST_ATOMS = 256;
const LONGEST_LIST = 32767;
const MESSAGES = {
  "live.comment": ["set"],
  led: ["int"],
  "live.menu": ["int", "set", "assign", "_parameter_range"],
  "live.tab": ["int", "set", "assign"],
  "live.numbox": ["int", "float", "set", "assign"],
  "live.dial": ["float", "set", "assign"],
  "live.text": ["int", "set", "active"],
  "live.miditool.in": ["bang"],
  pattr: ["list"],
};
const HIDDEN = 2; // of parameter_invisible: not saved, not automated, no undo step
// One device. told(device): something is shown; traffic: what goes over the wire, of all devices.
class Device {
  constructor({ live, boxes, saved, version, track, args, speed, daemon_port, told, traffic }) {
    Object.assign(this, { live, boxes, version, track, speed, told, traffic });
    this.is_generator = args[0] === "generator";
    this.values = { ...saved }; // of parameters, and the lists that a pattr keeps
    this.shown = {};
    this.errors = [];
    this.depth = 0;
    this.automated = {}; // the controls that an envelope moves
    this.loading = true;
    this.has_live = false;
    this.timers = new Set();
    this.dictionaries = {};
    this.lose = { out: [], in: [] };
    this.ports = { 0: daemon_port, 2: 0 };
    this.sender = dgram.createSocket("udp4");
    this.receiver = null;
    this.context = this.make_context(args);
  }

  load(code) {
    this.run(() => vm.runInContext(code, this.context));
    this.loading = false;
    this.inlets = this.context.inlets;
    this.outlets = this.context.outlets;
  }

  start() { // the bang of live.thisdevice
    this.has_live = true;
    this.message(0, "bang", []);
  }

  evaluate(expression) {
    return vm.runInContext(expression, this.context);
  }

  close() {
    this.message(0, "notifydeleted", []);
    if (this.timers.size) this.errors.push("a Task runs on after the device was deleted");
    this.timers.forEach(clearInterval);
    this.sender.close();
    if (this.receiver) this.receiver.close();
  }

  run(action) {
    const { live } = this;
    const before = live.undo_steps_made.length - live.renamed;
    this.depth += 1;
    try {
      return action();
    } catch (error) {
      this.errors.push(String((error && error.stack) || error));
    } finally {
      this.depth -= 1;
      const made = live.undo_steps_made.length - live.renamed - before;
      if (!this.depth && live.undo_steps && made > 1) this.errors.push(`one press made ${made} undo steps`);
    }
  }

  // What comes in: a function of that name, else anything.
  message(inlet, selector, atoms) {
    if (inlet >= this.inlets) this.errors.push(`a message to inlet ${inlet}`);
    this.note_symbols([selector, ...atoms]);
    const { inlet: inlet_before, messagename: name_before } = this.context;
    Object.assign(this.context, { inlet, messagename: selector });
    const named = this.context[selector];
    this.run(() => (typeof named === "function" ? named(...atoms) : this.context.anything(...atoms)));
    Object.assign(this.context, { inlet: inlet_before, messagename: name_before });
  }

  set(name, value) { // a person, or Live's automation, moves a control
    this.values[name] = value;
    this.message(0, name, [value]);
  }

  choose(name, item) { // a person picks it in a menu
    const place = ((this.shown[name] || {})._parameter_range || []).indexOf(item);
    if (place < 0) throw new Error(`${item} is not in the menu ${name}`);
    this.set(name, place);
  }

  press(name, from_afar = false) { // from_afar: by a mapped key or an envelope, which a grey button may let through
    if (!from_afar && this.shown[name] && this.shown[name].active === 0) throw new Error(`${name} is greyed`);
    this.message(0, "press", [name]);
  }

  saved() { // what the set keeps of it
    const keeps = Object.entries(this.boxes).filter(([, box]) => box.visibility < HIDDEN).map(([name]) => name);
    return Object.fromEntries(keeps.filter((name) => this.values[name] !== undefined).map((name) => [name, this.values[name]]));
  }

  parameters() { // as Live lists them: what can be automated
    return Object.entries(this.boxes).filter(([, box]) => box.visibility === 0);
  }

  find(path) {
    const at = this.live.state.tracks.findIndex((track) => track.id === this.track);
    const own = `live_set tracks ${at} devices 0`;
    const [, number] = /^this_device(?: parameters (\d+))?$/.exec(path) || [];
    if (number === undefined) return { type: "Device", id: 9000, path: own };
    const [name, box] = this.parameters()[number];
    const state = { name: box.long_name, automation_state: this.automated[name] ? 1 : 0 };
    return { type: "DeviceParameter", id: 9001 + Number(number), path: `${own} parameters ${number}`, state };
  }

  note_symbols(atoms) {
    for (const atom of atoms) {
      if (typeof atom === "string") this.traffic.symbols.add(atom);
      else if (typeof atom !== "number" || !Number.isFinite(atom)) throw new Error(`no atom: ${String(atom)}`);
    }
  }

  // What goes out

  outlet(number, ...given) {
    const [selector, ...atoms] = given.flatMap((each) => (Array.isArray(each) ? [...each] : [each]));
    if (number >= this.context.outlets) throw new Error(`there is no outlet ${number}`);
    if (typeof selector !== "string") throw new Error(`outlet ${number} without a selector`);
    this.note_symbols([selector, ...atoms]);
    if (number === 1) this.listen(selector, atoms);
    else if (number === 3) this.tool_out(selector, atoms);
    else if (selector === "port") this.ports[number] = atoms[0];
    else this.send(number, selector, atoms);
  }

  send(number, address, atoms) {
    if (!address.startsWith("/")) throw new Error(`udpsend does not know ${address}`);
    const content = encode(address, atoms);
    if (number === 0) {
      this.traffic.sent += 1;
      this.traffic.messages = [...this.traffic.messages.slice(-500), [address, ...atoms]];
      this.count(content, atoms);
      if (take_one(this.lose.out, address)) return;
    }
    this.sender.send(content, this.ports[number], HOST);
  }

  count(content, atoms) {
    this.traffic.largest = Math.max(this.traffic.largest, content.length);
    this.traffic.most_atoms = Math.max(this.traffic.most_atoms, atoms.length + 1);
  }

  listen(selector, [port]) {
    if (selector !== "port") throw new Error(`udpreceive does not know ${selector}`);
    if (this.receiver) this.receiver.close();
    const socket = dgram.createSocket("udp4");
    this.receiver = socket;
    socket.on("error", () => { // udpreceive: could not bind, one line in the console
      if (this.receiver === socket) this.receiver = null;
      socket.close();
    });
    socket.on("message", (content) => this.hear(content));
    socket.bind({ address: HOST, port, exclusive: true });
  }

  hear(content) {
    const [address, ...atoms] = decode(content);
    if (address.startsWith("/vae/")) {
      this.traffic.heard += 1;
      this.count(content, atoms);
      if (take_one(this.lose.in, address)) return;
    }
    this.message(1, address, atoms);
  }

  // The patcher

  named(name) {
    const box = this.boxes[name];
    if (!box) throw new Error(`no box is named ${name}`);
    const device = this;
    return {
      message: (selector, ...atoms) => this.tell(name, box, selector, atoms),
      getvalueof: () => (box.what === "pattr" ? this.values[name] || [0] : [this.values[name]]),
      set hidden(is_hidden) {
        device.shown[name] = { ...device.shown[name], hidden: is_hidden };
      },
    };
  }

  tell(name, { what, visibility }, selector, atoms) {
    if (!(MESSAGES[what] || []).includes(selector)) throw new Error(`${what} ${name} does not know ${selector}`);
    if (atoms.length >= (what === "pattr" ? LONGEST_LIST : MOST_ATOMS)) throw new Error(`${name} is sent ${atoms.length} atoms`);
    this.note_symbols([selector, ...atoms]);
    if (atoms.includes("")) throw new Error(`${name} is sent an empty symbol`);
    if (what === "live.miditool.in") return this.tool_cycle();
    if (what === "pattr") {
      this.live.parameter_steps += 1;
      this.values[name] = atoms;
      return;
    }
    const shown = (this.shown[name] = this.shown[name] || {});
    shown[selector] = selector === "set" ? atoms.join(" ") : selector === "_parameter_range" ? atoms : atoms[0];
    if (selector === "_parameter_range" && this.values[name] >= atoms.length) this.clamp(name, visibility, atoms.length - 1);
    if (selector === "set" && what === "live.menu") [this.values[name]] = atoms; // in silence
    if (["int", "float", "assign"].includes(selector) && this.values[name] !== undefined) {
      this.move(name, visibility, atoms[0]);
    }
    this.told();
  }

  clamp(name, visibility, value) { // it speaks at once, or in Max's own time: nobody says which
    this.move(name, visibility, value);
    setImmediate(() => this.message(0, name, [value]));
  }

  move(name, visibility, value) { // the patch moves a control, which speaks
    if (visibility < HIDDEN) this.live.parameter_steps += 1;
    this.values[name] = value;
    this.message(0, name, [value]);
  }

  // MIDI Tools: notes and context go in, and the answer must come before the bang is over.

  apply() { // a person presses Apply: a cycle begins and ends
    this.live.cycle = null;
    this.tool_cycle();
    this.live.cycle = null;
  }

  tool_cycle() {
    const said = miditool.begin_or_go_on(this.live, this.is_generator);
    if (!said) return;
    this.in_cycle = true;
    this.answer = null;
    this.dictionaries.context = said.context;
    this.dictionaries.notes = { notes: said.notes };
    this.message(3, "dictionary", ["context"]);
    this.message(2, "dictionary", ["notes"]);
    this.in_cycle = false;
    if (this.answer === null) this.errors.push("Did not receive a Note dictionary in time");
    else this.run(() => miditool.answer(this.live, this.is_generator, this.answer));
    this.told();
  }

  tool_out(selector, [name]) {
    if (selector !== "dictionary" || !this.dictionaries[name]) throw new Error(`live.miditool.out ${selector} ${name}`);
    if (!this.in_cycle) throw new Error("Received a Note dictionary asynchronously");
    this.answer = this.dictionaries[name].notes;
  }

  // The globals of the js object

  make_context(args) {
    const device = this;
    const context = es5_world();
    const started = Date.now();
    vm.runInContext("Date", context).prototype.getTime = function getTime() {
      return started + (Date.now() - started) * device.speed;
    };
    Object.assign(context, {
      inlets: 1,
      outlets: 1,
      inlet: 0,
      messagename: "",
      jsarguments: ["vae.js", ...args],
      max: { version: "8.6.0" },
      patcher: { getnamed: (name) => device.named(name) },
      arrayfromargs: (values) => vm.runInContext("[]", context).concat(Array.from(values)),
      outlet: (...given) => device.outlet(...given),
      post: (...words) => device.errors.push(`post: ${words.join(" ")}`),
      Task: make_task(device),
      LiveAPI: make_live_api(device),
      Dict: make_dict(device),
    });
    return context;
  }
}

function take_one(list, address) { // lose: the addresses of datagrams that are to be lost, each once
  const at = list.indexOf(address);
  if (at >= 0) list.splice(at, 1);
  return at >= 0;
}

function make_task(device) {
  return class Task {
    constructor(action, owner, args = []) {
      Object.assign(this, { action, owner, args, interval: 500, timer: null });
    }

    repeat(times) {
      if (times !== undefined) throw new Error("the fake knows endless repeats alone");
      this.start(setInterval, this.interval);
    }

    schedule(delay = 0) {
      this.start(setTimeout, delay);
    }

    start(set, delay) {
      this.cancel();
      this.timer = set(() => device.run(() => this.action.apply(this.owner, this.args)), delay / device.speed);
      device.timers.add(this.timer);
    }

    cancel() {
      clearInterval(this.timer);
      device.timers.delete(this.timer);
    }
  };
}

function make_live_api(device) {
  return class LiveAPI {
    constructor(...given) {
      if (device.loading || !device.has_live) throw new Error("LiveAPI before the bang of live.thisdevice");
      if (typeof given[0] === "function") this.callback = given.shift();
      device.note_symbols(given);
      const path = String(given[0] || "");
      this.object = path.startsWith("this_device") ? device.find(path) : device.live.find(path);
      if (this.callback) device.live.observers.push(this);
    }

    get id() {
      return String(this.object ? this.object.id : 0);
    }

    get path() {
      return this.object ? `"${this.object.path}"` : "";
    }

    get info() {
      const names = device.live.functions_of(this.there().type);
      return [`type ${this.object.type}`, ...names.map((name) => `function ${name}`), "done"].join("\n");
    }

    there() {
      if (!this.object) throw new Error("no valid object set");
      return this.object;
    }

    get(property) {
      return device.live.get(this.there(), property);
    }

    set(property, value) {
      device.live.set(this.there(), property, value);
    }

    call(name, ...args) {
      device.note_symbols([name, ...args.filter((arg) => typeof arg !== "object")]);
      return device.live.call(this.there(), name, args);
    }

    getcount(children) {
      const object = this.there();
      return children === "parameters" ? device.parameters().length : device.live.count(object, children);
    }
  };
}

function make_dict(device) {
  return class Dict {
    constructor(name = `u${Object.keys(device.dictionaries).length}`) {
      if (device.version < 12) throw new Error("the devices for Live 11 need no Dict");
      this.name = name;
    }

    parse(content) { // the one JSON text that Max takes
      device.dictionaries[this.name] = JSON.parse(content);
    }

    stringify() {
      return JSON.stringify(device.dictionaries[this.name]);
    }
  };
}

module.exports = { Device };
