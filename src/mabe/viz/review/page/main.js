// The page: one recording, one moment, one chosen bout; everything else follows.
import { Labels } from "./labels.js";
import { Poses, Stage } from "./poses.js";
import * as server from "./server.js";
import { Timeline, clock } from "./timeline.js";

const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];
const POLL_MS = 500, FILM_DRIFT_S = 0.15;
const byId = (id) => document.getElementById(id);
const dark = matchMedia("(prefers-color-scheme: dark)");

const view = {
  recording: null, labels: null, lanes: null, poses: null,
  frame: 0, chosen: null, begun: null, pair: [1, 1], playing: false, speed: 1, until: null,
  isDark: () => dark.matches,
  answers: () => view.answerCount,
  told: (text, isBad = false) => tell(text, isBad),
  seek: (frame) => seek(frame),
  choose: (what, jump) => choose(what, jump),
  changed: () => paint(),
  edit: (old, bout) => edit(old, bout),
  addAt: (row, start, stop) => add(row, start, stop),
};
const film = byId("film");
const stage = new Stage(byId("poses"), film);
const timeline = new Timeline(byId("detail"), byId("overview"), byId("row-names"), view);
let asked = false, told = 0, last = 0;

function tell(text, isBad = false) {
  byId("state").textContent = text;
  byId("state").title = text;
  byId("state").classList.toggle("bad", isBad);
}

async function begin() {
  try {
    const recordings = await server.listing();
    byId("recordings").replaceChildren(...recordings.map((each) => {
      const doubt = each.doubt === null ? "" : ` · ${each.doubt.toFixed(1)} s/min in doubt`;
      return new Option(`${each.name}${each.hasLabels ? "" : " · not annotated"}${doubt}`, each.index);
    }));
    const wanted = Number(sessionStorage.getItem("mabe-recording") ?? 0);
    await open(recordings[wanted] ? wanted : 0);
  } catch (error) {
    tell(error.message, true);
  }
}

async function open(index) {
  const number = ++told;
  await view.labels?.save();
  tell("reading the tracks …");
  const recording = await server.describe(index);
  if (number !== told) return;
  pause();
  Object.assign(view, { recording, lanes: null, chosen: null, begun: null, frame: 0, pair: recording.pairs[0] });
  view.labels = new Labels(recording, tell);
  view.poses = new Poses(recording, paint);
  sessionStorage.setItem("mabe-recording", index);
  byId("recordings").value = index;
  document.title = `${recording.name} · mabe view`;
  stage.open(recording);
  timeline.open();
  openFilm();
  fillPanels();
  byId("frame").max = recording.frames - 1;
  const notes = [recording.corrected && "corrected before; those labels are shown", recording.learned && "it learned from this recording, so it may remember the labels"];
  tell(notes.filter(Boolean).join(" · "));
  showChosen();
  paint();
  watch(index, number);
}

async function watch(index, number) {
  byId("doubt-says").textContent = "The model is still looking …";
  byId("doubts").replaceChildren();
  for (;;) {
    let answer;
    try {
      answer = await server.found(index);
    } catch (error) {
      answer = { state: "failed", error: error.message };
    }
    if (number !== told) return;
    if (answer.state === "failed") {
      byId("doubt-says").textContent = "";
      tell(`nothing could be found: ${answer.error}`, true);
      return;
    }
    if (answer.state === "ready") {
      view.lanes = answer.lanes;
      view.answerCount = answer.answers;
      listDoubts();
      paint();
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function openFilm() {
  film.hidden = !view.recording.video;
  if (!view.recording.video) { film.removeAttribute("src"); return; }
  film.src = server.videoAddress();
  film.onerror = () => tell("this browser cannot play the film; make it H.264 in .mp4, or WebM", true);
}

// ── the moment ──

function seek(frame) {
  view.frame = Math.min(Math.max(Math.floor(frame), 0), view.recording.frames - 1);
  view.until = null;
  syncFilm(true);
  if (!timeline.drag) timeline.follow(view.frame);
  paint();
}

function syncFilm(exactly) {
  if (!view.recording.video) return;
  const time = (view.frame + 0.5) / view.recording.fps;
  if (exactly || Math.abs(film.currentTime - time) > FILM_DRIFT_S) film.currentTime = time;
}

function play(until = null) {
  if (view.frame >= view.recording.frames - 1) view.frame = 0;
  Object.assign(view, { playing: true, until, place: view.frame });
  byId("play").textContent = "Pause";
  last = performance.now();
  if (view.recording.video) {
    film.playbackRate = view.speed;
    film.play().catch((error) => tell(`the film does not play: ${error.message}`, true));
  }
  requestAnimationFrame(tick);
}

function pause() {
  view.playing = false;
  film.pause();
  byId("play").textContent = "Play";
}

function tick(now) {
  if (!view.playing) return;
  const { recording } = view;
  const isThere = view.poses.at(view.frame) !== null;
  const elapsed = Math.max(now - last, 0); // a frame's time may lie before it was asked for
  if (isThere) view.place += (elapsed / 1000) * recording.fps * view.speed; // else wait
  last = now;
  const end = Math.min(view.until ?? recording.frames, recording.frames) - 1;
  view.frame = Math.min(Math.floor(view.place), end);
  if (view.place >= end) pause();
  syncFilm(false);
  timeline.follow(view.frame);
  draw();
  requestAnimationFrame(tick);
}

function setSpeed(place) {
  view.speed = SPEEDS[Math.min(Math.max(place, 0), SPEEDS.length - 1)];
  byId("speed").value = view.speed;
  film.playbackRate = view.speed;
}

function paint() {
  if (asked || !view.recording) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; draw(); });
}

function draw() {
  const { recording, frame } = view;
  if (!recording) return;
  const points = view.poses.at(frame);
  byId("waiting").hidden = points !== null && !view.poses.failure;
  byId("waiting").textContent = view.poses.failure || "loading …";
  stage.draw(points, frame, view.isDark());
  timeline.draw();
  byId("clock").textContent = `${clock(frame / recording.fps, 2)} of ${clock(recording.frames / recording.fps)}`;
  if (document.activeElement !== byId("frame")) byId("frame").value = frame;
  byId("undo").disabled = !view.labels.past.length;
  byId("redo").disabled = !view.labels.future.length;
}

// ── bouts ──

function choose(what, jump) {
  view.chosen = what;
  if (what && jump) {
    const start = what.bout?.start ?? what.found[0], stop = what.bout?.stop ?? what.found[1];
    seek(start);
    const span = timeline.stop - timeline.start;
    if (stop - start < 0.004 * span) {
      const room = Math.max(stop - start, view.recording.fps) * 6; // too short to be grasped
      timeline.show(start - room, stop + room);
    } else if (start < timeline.start || Math.min(stop, start + span) > timeline.stop) {
      timeline.show(start - 0.15 * span, start + 0.85 * span);
    }
  }
  showChosen();
  paint();
}

function edit(old, bout) {
  choose({ bout: view.labels.replace(old, bout) }, false);
}

function add(row, start, stop) {
  const action = actionOf(row);
  if (!action) { tell(`${view.recording.rows[row].name} is no label`, true); return; }
  choose({ bout: view.labels.add({ start, stop, action, agent: view.pair[0], target: view.pair[1] }) }, false);
}

// The label a row stands for: one that is used here already, else the first.
function actionOf(row) {
  const { actions } = view.recording.rows[row];
  return actions.find((action) => view.labels.bouts.some((bout) => bout.action === action)) ?? actions[0];
}

function takeOver() {
  const found = view.chosen?.found;
  if (!found) return;
  const lane = view.lanes[timeline.foundLane()];
  if (lane.agent) view.pair = [lane.agent, lane.target];
  add(timeline.rowOfAnswer(found[2]), found[0], found[1]);
}

function remove() {
  if (!view.chosen?.bout) return;
  view.labels.remove(view.chosen.bout);
  choose(null, false);
}

function travel(how) {
  view.labels[how]();
  choose(null, false);
}

function press(row) {
  const { rows } = view.recording;
  if (!rows[row]) return;
  const action = actionOf(row), { chosen, begun } = view;
  if (!action) return;
  if (chosen?.bout) { edit(chosen.bout, { ...chosen.bout, action }); return; }
  if (begun) {
    view.begun = null;
    const [start, stop] = [Math.min(begun.start, view.frame), Math.max(begun.start, view.frame) + 1];
    choose({ bout: view.labels.add({ ...begun, start, stop }) }, false);
    view.chosen = null; // so that the next key begins the next bout
    showChosen();
  } else view.begun = { start: view.frame, action, agent: view.pair[0], target: view.pair[1] };
  markBegun();
  paint();
}

function markBegun() {
  [...byId("actions").querySelectorAll("button")].forEach((button, row) => {
    button.classList.toggle("begun", Boolean(view.begun) && timeline.rowOf(view.begun) === row);
  });
}

// All bouts in time order, people's and found ones.
function inOrder() {
  const people = timeline.shown().map((bout) => ({ start: bout.start, what: { bout } }));
  const found = timeline.found().map((each) => ({ start: each[0], what: { found: each } }));
  return [...people, ...found].sort((a, b) => a.start - b.start);
}

function step(by) {
  const bouts = inOrder(), { chosen } = view;
  const now = bouts.findIndex(({ what }) => chosen && what.bout === chosen.bout && what.found === chosen.found);
  let next;
  if (now >= 0) next = bouts[now + by];
  else if (by > 0) next = bouts.find((each) => each.start >= view.frame);
  else next = bouts.findLast((each) => each.start <= view.frame);
  if (next) choose(next.what, true);
}

function showChosen() {
  const { chosen } = view, bout = chosen?.bout, found = chosen?.found;
  byId("bout").hidden = !chosen;
  byId("nothing-chosen").hidden = Boolean(chosen);
  if (!chosen) return;
  const fields = ["bout-action", "bout-pair", "bout-start", "bout-stop"].map(byId);
  for (const field of fields) field.disabled = !bout;
  byId("bout-take").hidden = Boolean(bout);
  byId("bout-delete").hidden = !bout;
  const { recording } = view, start = bout?.start ?? found[0], stop = bout?.stop ?? found[1];
  byId("bout-start").value = start;
  byId("bout-stop").value = stop;
  byId("bout-stop").max = recording.frames;
  const seconds = `${((stop - start) / recording.fps).toFixed(2)} s`;
  if (bout) {
    byId("bout-action").value = bout.action;
    byId("bout-pair").value = `${bout.agent},${bout.target}`;
    byId("bout-says").textContent = `of people, ${seconds}`;
  } else {
    byId("bout-action").value = actionOf(timeline.rowOfAnswer(found[2]));
    byId("bout-says").textContent = `found by mabe, ${seconds}${found[3] === null ? "" : `, probability ${found[3].toFixed(2)}`}`;
  }
}

// ── panels ──

const pairName = ([agent, target]) => (agent === target ? `mouse${agent} itself` : `mouse${agent} → mouse${target}`);

function fillPanels() {
  const { recording } = view;
  const pairs = recording.pairs.map((pair) => new Option(pairName(pair), pair.join(",")));
  byId("pair").replaceChildren(...pairs.map((each) => each.cloneNode(true)));
  byId("pair").value = view.pair.join(",");
  byId("bout-pair").replaceChildren(...pairs);
  const actions = [...new Set(recording.rows.flatMap((row) => row.actions))];
  byId("bout-action").replaceChildren(...actions.map((action) => new Option(action, action)));
  byId("actions").replaceChildren(...recording.rows.map((row, place) => {
    const button = document.createElement("button"), item = document.createElement("li");
    button.type = "button";
    const dot = document.createElement("span");
    dot.className = "dot";
    dot.style.background = timeline.colour(row);
    button.append(dot, place < 9 ? `${place + 1} ${row.name}` : row.name);
    button.addEventListener("click", () => { view.chosen = null; press(place); showChosen(); });
    item.append(button);
    return item;
  }));
  const animals = [...new Set(recording.points.map((point) => point.animal))];
  byId("animals").replaceChildren(...animals.map((animal) => {
    const item = document.createElement("li"), dot = document.createElement("span");
    dot.className = "dot";
    const of = recording.animalColours[animal];
    dot.style.background = view.isDark() ? of.dark : of.light;
    item.append(dot, `mouse${animal + 1}`);
    return item;
  }));
}

function doubts() {
  const lanes = view.lanes ?? [];
  const all = lanes.flatMap((lane) => lane.doubts.map(([start, stop, wrong]) => ({ start, stop, wrong, lane })));
  return all.sort((a, b) => b.wrong - a.wrong);
}

function listDoubts() {
  const all = doubts(), total = all.reduce((sum, each) => sum + each.wrong, 0);
  byId("doubt-says").textContent = all.length
    ? `${all.length} doubtful stretches; about ${total.toFixed(0)} s in them are wrong. Those of which a correction teaches most:`
    : "It is sure of everything.";
  byId("doubts").replaceChildren(...all.slice(0, 50).map((doubt) => {
    const button = document.createElement("button"), item = document.createElement("li");
    button.type = "button";
    const time = document.createElement("span"), who = document.createElement("span"), wrong = document.createElement("span");
    time.textContent = clock(doubt.start / view.recording.fps);
    who.textContent = doubt.lane.agent ? pairName([doubt.lane.agent, doubt.lane.target]) : "";
    who.className = "push";
    wrong.textContent = `${doubt.wrong.toFixed(1)} s of ${((doubt.stop - doubt.start) / view.recording.fps).toFixed(1)}`;
    button.append(time, who, wrong);
    button.addEventListener("click", () => goToDoubt(doubt, button));
    item.append(button);
    return item;
  }));
}

function goToDoubt(doubt, button) {
  byId("doubts").querySelector(".here")?.classList.remove("here");
  button?.classList.add("here");
  if (doubt.lane.agent) setPair([doubt.lane.agent, doubt.lane.target]);
  const room = Math.max(doubt.stop - doubt.start, view.recording.fps * 2);
  choose(null, false);
  timeline.show(doubt.start - room, doubt.stop + room);
  seek(doubt.start);
}

function nextDoubt() {
  const buttons = [...byId("doubts").querySelectorAll("button")];
  if (!buttons.length) return;
  const now = buttons.findIndex((button) => button.classList.contains("here"));
  const next = buttons[(now + 1) % buttons.length];
  next.click();
  next.scrollIntoView({ block: "nearest" });
}

function setPair(pair) {
  view.pair = pair;
  byId("pair").value = pair.join(",");
  paint();
}

// ── wiring ──

function changeField() {
  const bout = view.chosen?.bout;
  if (!bout) return;
  const [agent, target] = byId("bout-pair").value.split(",").map(Number);
  const start = Number(byId("bout-start").value), stop = Number(byId("bout-stop").value);
  if (!(Number.isInteger(start) && Number.isInteger(stop) && start >= 0 && start < stop && stop <= view.recording.frames)) {
    tell(`a bout needs whole frames, 0 ≤ from < to ≤ ${view.recording.frames}`, true);
    showChosen();
    return;
  }
  edit(bout, { start, stop, action: byId("bout-action").value, agent, target });
}

function setEdge(edge) {
  const bout = view.chosen?.bout;
  if (!bout) return;
  const frame = view.frame;
  if (edge === "start" && frame < bout.stop) edit(bout, { ...bout, start: frame });
  if (edge === "stop" && frame >= bout.start) edit(bout, { ...bout, stop: frame + 1 });
}

function escape() {
  view.begun = null;
  markBegun();
  choose(null, false);
}

const bySecond = (seconds) => seek(view.frame + seconds * view.recording.fps);
const all = () => timeline.show(0, view.recording.frames);
const playBout = () => {
  const { chosen } = view;
  if (!chosen) return;
  seek(chosen.bout?.start ?? chosen.found[0]);
  play(chosen.bout?.stop ?? chosen.found[1]);
};
const KEYS = {
  " ": () => (view.playing ? pause() : play()),
  ArrowLeft: () => seek(view.frame - 1), ArrowRight: () => seek(view.frame + 1),
  "/": () => seek(view.frame - 1), "*": () => seek(view.frame + 1),
  "Shift+ArrowLeft": () => bySecond(-1), "Shift+ArrowRight": () => bySecond(1),
  ArrowDown: () => bySecond(-10), ArrowUp: () => bySecond(10),
  Home: () => seek(0), End: () => seek(view.recording.frames - 1),
  "-": () => setSpeed(SPEEDS.indexOf(view.speed) - 1), "+": () => setSpeed(SPEEDS.indexOf(view.speed) + 1), "=": () => setSpeed(SPEEDS.indexOf(view.speed) + 1),
  PageUp: () => timeline.zoom(0.5), PageDown: () => timeline.zoom(2), 0: all,
  n: () => step(1), p: () => step(-1), d: nextDoubt, a: takeOver, Enter: playBout,
  "[": () => setEdge("start"), "]": () => setEdge("stop"),
  Delete: remove, Backspace: remove, Escape: escape, "?": () => byId("keys").showModal(),
  "Ctrl+z": () => travel("undo"), "Ctrl+y": () => travel("redo"), "Ctrl+Shift+Z": () => travel("redo"),
};

addEventListener("keydown", (event) => {
  if (!view.recording || byId("keys").open) return;
  const isTyping = event.target.matches("input, select, textarea");
  const isPressing = event.target.matches("button") && (event.key === " " || event.key === "Enter");
  if (event.altKey || isPressing || (isTyping && event.key !== "Escape")) return;
  const isControl = event.ctrlKey || event.metaKey;
  const isNamed = event.key.length > 1;
  const name = `${isControl ? "Ctrl+" : ""}${event.shiftKey && (isNamed || isControl) ? "Shift+" : ""}${event.key}`;
  const act = KEYS[name] ?? (/^[1-9]$/.test(name) ? () => press(Number(name) - 1) : null);
  if (!act) return;
  event.preventDefault();
  if (isTyping) event.target.blur();
  act();
});

byId("speed").replaceChildren(...SPEEDS.map((speed) => new Option(`${speed}×`, speed)));
setSpeed(SPEEDS.indexOf(1));
const onClick = {
  play: KEYS[" "], back: KEYS.ArrowLeft, forth: KEYS.ArrowRight, undo: KEYS["Ctrl+z"], redo: KEYS["Ctrl+y"], help: KEYS["?"],
  "zoom-in": KEYS.PageUp, "zoom-out": KEYS.PageDown, "zoom-all": all, "bout-take": takeOver, "bout-delete": remove, "bout-loop": playBout,
};
for (const [id, act] of Object.entries(onClick)) byId(id).addEventListener("click", () => view.recording && act());
for (const id of ["bout-action", "bout-pair", "bout-start", "bout-stop"]) byId(id).addEventListener("change", changeField);
byId("bout").addEventListener("submit", (event) => event.preventDefault());
byId("speed").addEventListener("change", () => { setSpeed(SPEEDS.indexOf(Number(byId("speed").value))); byId("speed").blur(); });
byId("frame").addEventListener("change", () => seek(Number(byId("frame").value)));
byId("pair").addEventListener("change", () => { setPair(byId("pair").value.split(",").map(Number)); choose(null, false); });
byId("recordings").addEventListener("change", () => {
  byId("recordings").blur();
  open(Number(byId("recordings").value)).catch((error) => tell(error.message, true));
});
dark.addEventListener("change", () => { if (view.recording) { fillPanels(); timeline.nameRows(); showChosen(); paint(); } });
addEventListener("resize", paint);
addEventListener("beforeunload", (event) => {
  if (!view.labels?.unsaved) return;
  view.labels.save();
  event.preventDefault(); // the browser asks whether to stay
});
window.mabe = { view, timeline }; // for tests, and for whoever wants to look
begin();
