// The page: puts its parts together, and says what a press of each button does.

import { Capture } from "./capture.js";
import { Cards, CARD } from "./cards.js";
import { barsOf, withKind, withNote, without } from "./clip.js";
import { clipsIn, download, takeDrops } from "./files.js";
import { Log } from "./log.js";
import { MorphMap } from "./map.js";
import { Daemon } from "./osc.js";
import { Pad } from "./pad.js";
import { Player } from "./player.js";
import { Roll } from "./roll.js";
import { Session } from "./session.js";
import { Sound } from "./sound.js";
import { Taps } from "./taps.js";
import { Verbs } from "./verbs.js";

const LOOP = "page", FIRST_VERB = "humanize", INTRODUCED = "vaebridge introduced";
const $ = (id) => document.getElementById(id);

const table = await (await fetch("table")).json();
const { drums } = table;
const daemon = new Daemon(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
const session = new Session(daemon);
const player = new Player((context) => new Sound(context, drums));
const roll = new Roll({
  canvas: $("roll"), scroller: $("scroller"), spacer: $("spacer"), ruler: $("ruler"), lanes: $("lanes"),
  playhead: $("playhead"), readout: $("readout"),
}, drums);
const verbs = new Verbs({ daemon, session, roll, table, drums, root: $("verbs"), say });
const cards = new Cards({ root: $("cards"), session, say });
const pad = new Pad({ root: $("pad"), daemon, session, drums, say });
const map = new MorphMap({ root: $("map"), daemon, session, drums, say });
const taps = new Taps({ root: $("live"), daemon, player, table, drums, say, wake: () => player.wake() });
new Log({ root: $("log"), daemon, say });
new Capture({ player, session, button: $("capture"), say });

let playing = "", looped = null, isIntroduced = false;

// Words

function say(text, isError = false) {
  const toast = $("toast");
  toast.textContent = text;
  toast.classList.toggle("error", isError);
  toast.classList.add("shown");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => toast.classList.remove("shown"), isError ? 9000 : 5000);
}

const LINKS = {
  connecting: "looking for the daemon", away: "the daemon does not answer; it is looked for", warming: "the models warm up", ready: "ready",
};

function showLink() {
  const { status, link } = daemon, isThere = link === "ready" || link === "warming";
  document.body.dataset.link = link;
  $("link").textContent = LINKS[link];
  const number = (name, digits = 1) => (isThere && status[name] !== undefined ? Number(status[name]).toFixed(digits) : "–");
  $("model").textContent = isThere ? status.model || "no model" : "–";
  $("latency").textContent = `${number("p50_ms")} ms`;
  $("late").textContent = status.missed ? `${number("late_p99_ms")} ms, ${status.missed} missed` : `${number("late_p99_ms")} ms`;
  $("queue").textContent = number("queue", 0);
  $("problem").textContent = isThere ? status.problem || "" : "";
  const tempo = Math.round(status.tempo * 10) / 10;
  if (document.activeElement !== $("tempo") && tempo) $("tempo").value = tempo;
  $("tempo").disabled = isThere && status.clock !== "internal";
  showPlaying();
}

function isPlaying() { return Boolean(daemon.status.playing) && daemon.link !== "connecting"; }

function showPlaying() {
  const on = isPlaying();
  $("play").setAttribute("aria-pressed", on);
  $("play").setAttribute("aria-label", on ? "stop" : "play");
}

// What is heard

async function keepLoop() {
  const clip = session.heard;
  if (!clip || clip === looped || daemon.link !== "ready") return;
  looped = clip;
  try { await daemon.upload(LOOP, clip, { quiet: true }); } catch (error) { looped = null; if (error.code !== "away") say(error.message, true); }
}

async function play() {
  await player.wake();
  try {
    const turn = introduction();
    await keepLoop();
    if (taps.mode !== "off") await daemon.ask("live", ["mode", "off"]);
    await daemon.ask("play", ["slot", LOOP, "loop", 1, "at", "bar"]);
    daemon.status.playing = 1;
    showPlaying();
    turn?.();
  } catch (error) { say(error.message, true); }
}

async function stop() {
  try { await daemon.ask("stop", []); } catch (error) { say(error.message, true); }
  daemon.status.playing = 0;
  player.silence();
  showPlaying();
}

// The first time: the beat as it is, and when it has been heard once, as it is played. What is to be done once it plays.
function introduction() {
  const { base, results } = session.document;
  if (isIntroduced || !results.length || localStorage.getItem(INTRODUCED)) return undefined;
  isIntroduced = true;
  session.set({ ear: "before" });
  return () => {
    say("as it was written …");
    const bars = barsOf(base), heard = new Set();
    const turn = ({ detail }) => {
      if (detail.n > 0) heard.add(detail.n);
      if (heard.size < bars) return;
      player.removeEventListener("bar", turn);
      localStorage.setItem(INTRODUCED, "1");
      if (session.document.ear === "before") { session.set({ ear: "after" }); say("… and as it is played"); }
    };
    player.addEventListener("bar", turn);
  };
}

// From outside

async function open(file) {
  try {
    const { clips, remarks } = await clipsIn(file);
    const [first] = clips;
    take(withKind(first.clip, drums), file.name);
    $("choice").hidden = clips.length < 2;
    $("choice").replaceChildren(...clips.map(({ name, clip }, index) => {
      const button = document.createElement("button");
      button.type = "button"; button.className = "chip"; button.textContent = name; button.setAttribute("aria-pressed", index === 0);
      button.addEventListener("click", () => {
        for (const each of $("choice").children) each.setAttribute("aria-pressed", each === button);
        take(withKind(clip, drums), file.name);
      });
      return button;
    }));
    if (remarks.length) say(remarks.join("; "));
  } catch (error) { say(error.message, true); }
}

function take(clip, name = "") {
  roll.selected = new Set(); roll.marked = null;
  session.set({ base: clip, results: [], shown: -1, verb: "", keys: {}, name }, { isStep: true });
  followTempo(clip);
  roll.scroller.scrollLeft = 0;
}

function followTempo({ tempo }) {
  if (daemon.link === "ready") daemon.ask("tempo", ["bpm", Math.min(600, Math.max(3, tempo))], { quiet: true }).catch(() => {});
}

function undo(isRedo = false) {
  const before = session.base?.tempo;
  if (isRedo) session.redo(); else session.undo();
  if (session.base && session.base.tempo !== before) followTempo(session.base);
}

function edit({ add, remove }) {
  const clip = session.heard, next = remove ? without(clip, remove) : withNote(clip, add);
  if (add) player.hit(10, add[0], add[3]);
  session.set({ base: next, results: [], shown: -1, verb: "", keys: {} }, { isStep: true });
}

function keep() {
  if (session.result) session.set({ base: session.result, results: [], shown: -1, verb: "", keys: {} }, { isStep: true });
}

function fileName() {
  const { name, verb, keys } = session.document, stem = (name || "beat").replace(/\.midi?$/i, "");
  return `${stem}${session.result && verb ? `.${verb}` : ""}${session.result && keys.seed !== undefined ? `.${keys.seed}` : ""}.mid`;
}

// The parts tell each other

session.addEventListener("change", () => {
  const { ear, result, base } = { ear: session.document.ear, result: session.result, base: session.base };
  roll.show(session.heard, ear === "before" ? result : result && base);
  $("before").setAttribute("aria-pressed", ear === "before");
  $("after").setAttribute("aria-pressed", ear !== "before");
  $("after").disabled = !result;
  $("keep").disabled = !result;
  const { seed, model, ms } = session.document.keys;
  $("seed").textContent = result && seed !== undefined ? `${model} · seed ${seed} · ${Number(ms).toFixed(1)} ms` : "";
  $("undo").disabled = !session.past.length; $("redo").disabled = !session.future.length;
  keepLoop();
});

daemon.addEventListener("link", showLink);
daemon.addEventListener("reboot", async () => {
  looped = null; pad.forget(); map.forget();
  daemon.send("/page/hello");
  try {
    await verbs.load();
    if (!session.base) {
      await new Promise((resolve) => { setTimeout(resolve, 120); });  // who is here already is asked first
      if (!session.base) { session.set({ base: withKind(table.first, drums) }); await verbs.choose(FIRST_VERB); await verbs.ask({ isFresh: false }); }
    }
    await keepLoop();
    if (!isPlaying()) await daemon.ask("tempo", ["bpm", session.base.tempo], { quiet: true });
    map.load(verbs);
    if (playing === LOOP && !isPlaying()) await play();  // it went away while it played
  } catch (error) { if (error.code !== "away") say(error.message, true); }
});
daemon.addEventListener("bar", ({ detail }) => player.take(detail));
daemon.addEventListener("playing", ({ detail }) => { if (detail || daemon.link === "ready") playing = detail; showPlaying(); });
roll.addEventListener("edit", ({ detail }) => edit(detail));
roll.addEventListener("lock", ({ detail }) => { player.hit(10, drums[detail]?.[0] ?? 38, 90); verbs.turn(); });
roll.addEventListener("mark", () => { if (session.document.verb === "infill") verbs.turn(); });
roll.addEventListener("select", () => { $("delete").disabled = !roll.selected.size; });

$("play").addEventListener("click", () => (isPlaying() ? stop() : play()));
$("before").addEventListener("click", () => session.set({ ear: "before" }));
$("after").addEventListener("click", () => session.set({ ear: "after" }));
$("undo").addEventListener("click", () => undo());
$("redo").addEventListener("click", () => undo(true));
$("again").addEventListener("click", () => verbs.ask({ isFresh: true }));
$("keep").addEventListener("click", keep);
$("save").addEventListener("click", () => {
  const { verb, keys, knobs } = session.document, told = Object.entries(knobs[verb] || {}).map(([name, value]) => `${name} ${value}`);
  download(session.heard, fileName(), `vaebridge ${[verb, ...told, keys.seed === undefined ? "" : `seed ${keys.seed}`].join(" ").trim()}`)
    .catch((error) => say(error.message, true));
});
$("open").addEventListener("change", () => { if ($("open").files[0]) open($("open").files[0]); $("open").value = ""; });
$("draw").addEventListener("click", () => { roll.isDrawing = !roll.isDrawing; $("draw").setAttribute("aria-pressed", roll.isDrawing); });
$("delete").addEventListener("click", () => roll.removeSelected());
$("zoom-in").addEventListener("click", () => roll.zoomBy(1.5));
$("zoom-out").addEventListener("click", () => roll.zoomBy(1 / 1.5));
$("tempo").addEventListener("change", async () => {
  try { await daemon.ask("tempo", ["bpm", Number($("tempo").value)]); retime(Number($("tempo").value)); } catch (error) { say(error.message, true); }
});

// A clip's tempo is the song's: files that are saved have it.
function retime(tempo) {
  const timed = (clip) => clip && { ...clip, tempo };
  session.set({ base: timed(session.base), results: session.document.results.map(timed) }, { isStep: true });
}

const THEMES = ["", "light", "dark"];
$("theme").addEventListener("click", () => setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme || "") + 1) % 3]));
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("vaebridge theme", theme);
  $("theme").setAttribute("aria-label", `theme: ${theme || "the system's"}`);
  roll.draw(); cards.repaint();
}

const tabs = [...document.querySelectorAll("[role=tab]")];
function choose(tab) {
  for (const each of tabs) {
    each.setAttribute("aria-selected", each === tab); each.tabIndex = each === tab ? 0 : -1;
    $(each.getAttribute("aria-controls")).hidden = each !== tab;
  }
  if (tab.id === "tab-morph") map.draw();
}
tabs.forEach((tab, index) => {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) { const next = tabs[(index + step + tabs.length) % tabs.length]; choose(next); next.focus(); }
  });
});

addEventListener("keydown", (event) => {
  const { target, key } = event, isField = /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName) && target.type !== "range" && target.type !== "checkbox";
  if (isField) return;
  if (key === " " && target.tagName !== "BUTTON") { event.preventDefault(); $("play").click(); }
  else if (key === "z" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); undo(event.shiftKey); }
  else if (event.ctrlKey || event.metaKey || event.altKey) return;
  else if (key === "[" || key === "]") cards.step(key === "]" ? 1 : -1);
  else if (key === "Tab" || key === " ") return;
  else if (key === "\\") session.set({ ear: session.document.ear === "before" ? "after" : "before" });
  else if (key === "a") verbs.ask({ isFresh: true });
  else if (key === "k") keep();
});

takeDrops(document.body, {
  accept: (data) => { const card = data.getData(CARD); if (card) take(JSON.parse(card)); return card; },
  onFile: open,
});

function frame(now) {
  const place = isPlaying() ? player.place(now) : undefined;
  if (place && session.heard) {
    const { beats } = session.heard;
    roll.placePlayhead(playing === LOOP || playing === "" ? ((place.n - 1) * place.bar.beats + place.beat) % beats : undefined);
    $("place").textContent = `${place.n}.${Math.floor(place.beat) + 1}`;
  } else { roll.placePlayhead(undefined); $("place").textContent = "–"; }
  requestAnimationFrame(frame);
}

// Browsers let nothing sound before somebody has pressed something: what plays already is heard from then on.
for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => { if (isPlaying() && !player.isAwake) player.wake(); }, true);

setTheme(localStorage.getItem("vaebridge theme") || "");
choose(tabs[0]);
if (session.base) session.apply(session.document, false);
showLink();
requestAnimationFrame(frame);
Object.assign(window, { vaebridge: { daemon, session, player, roll, verbs, pad, map, taps, sound: Sound } });
