// Plays Ableton Live for the tests: reads commands from stdin and answers on stdout, a JSON line each.
// Run with --expose-internals: the parser that says what ES5 is comes with Node.
"use strict";

const readline = require("readline");
const acorn = require("internal/deps/acorn/acorn/dist/acorn");
const { Live } = require("./live.js");
const { Device } = require("./max.js");

const traffic = { symbols: new Set(), largest: 0, most_atoms: 0, sent: 0, heard: 0, messages: [] };
const devices = {};
let live = new Live();
let waiting = [];

function look() { // whoever waits for something to be shown is answered as soon as it is
  const met = waiting.filter((each) => each.met());
  waiting = waiting.filter((each) => !met.includes(each));
  met.forEach((each) => each.end());
}

const commands = {
  live: (settings) => {
    live = new Live(settings);
  },
  load: ({ name, code, track = 0, ...settings }) => {
    acorn.parse(code, { ecmaVersion: 5 });
    const version = live.version;
    devices[name] = new Device({ live, version, track: live.state.tracks[track].id, told: look, traffic, ...settings });
    devices[name].load(code);
  },
  start: ({ name }) => devices[name].start(),
  close: ({ name }) => {
    devices[name].close();
    const { errors } = devices[name];
    delete devices[name];
    return errors;
  },
  press: ({ name, button, from_afar }) => devices[name].press(button, from_afar),
  choose: ({ name, control, item }) => devices[name].choose(control, item),
  automate: ({ name, control }) => {
    devices[name].automated[control] = true;
  },
  saved: ({ name }) => devices[name].saved(),
  recall: ({ name, kept, atoms }) => { // as an undo or a preset does
    devices[name].values[`kept_${kept}`] = atoms;
    devices[name].message(0, "kept", [kept, ...atoms]);
  },
  set: ({ name, control, value }) => devices[name].set(control, value),
  message: ({ name, inlet, selector, atoms }) => devices[name].message(inlet, selector, atoms),
  lose: ({ name, out = [], in: heard = [] }) => {
    const { lose } = devices[name];
    devices[name].lose = { out, in: heard };
    return lose; // what was to be lost and is still to come
  },
  shown: ({ name }) => devices[name].shown,
  values: ({ name }) => devices[name].values,
  errors: ({ name }) => devices[name].errors,
  table: ({ name }) => {
    const { device } = devices[name].context;
    const keys = (each) => Object.keys(each || {});
    const { name: called, parameters, buttons, displays } = device;
    return { name: called, parameters: keys(parameters), buttons: keys(buttons), displays, menus: keys(device.menus), clips: device.clips || [] };
  },
  evaluate: ({ name, expression }) => devices[name].evaluate(expression),
  apply: ({ name }) => {
    devices[name].apply();
    return devices[name].answer;
  },
  tool_answer: ({ name }) => devices[name].answer,
  select: ({ id, start, end }) => live.select(id, start, end),
  scale: ({ scale }) => {
    live.scale = scale;
  },
  clip: (settings) => live.add_clip(settings),
  notes: ({ id }) => live.state.clips[id].notes,
  clip_state: ({ id }) => live.state.clips[id],
  view: ({ id }) => live.view(id),
  delete: ({ id }) => live.delete_clip(id),
  edit: ({ id, ...what }) => live.edit(id, what),
  undo: () => live.undo(),
  reopen: () => live.close(),
  add_track: (settings) => live.add_track(settings),
  state: () => ({
    undo_steps: live.undo_steps_made.length, calls: live.calls, edits: live.edits, ignored: live.ignored,
    deleted: live.deleted, parameter_steps: live.parameter_steps, tracks: live.state.tracks,
    detail: live.state.detail, is_open: live.is_open,
  }),
  traffic: () => ({ ...traffic, symbols: [...traffic.symbols] }),
};

function until_true({ name, expression }, end) {
  const timer = setInterval(() => {
    if (!devices[name].evaluate(expression)) return;
    clearInterval(timer);
    end();
  }, 5);
}

function until({ name, box, says, silent }, end) { // box shows, or no longer shows, that text
  const met = () => {
    const { set, int } = devices[name].shown[box] || {};
    return String(set === undefined ? int : set).includes(says) !== Boolean(silent);
  };
  waiting.push({ met, end });
  look();
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const { ask, command, ...settings } = JSON.parse(line);
  const reply = (content) => process.stdout.write(`${JSON.stringify({ ask, ...content })}\n`);
  if (command === "until") return until(settings, () => reply({}));
  if (command === "until_true") return until_true(settings, () => reply({}));
  try {
    return reply({ value: commands[command](settings) });
  } catch (error) {
    return reply({ error: String((error && error.stack) || error) });
  }
}).on("close", () => process.exit());
