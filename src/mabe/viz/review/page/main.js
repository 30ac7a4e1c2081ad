// The page: one recording, one current frame, one chosen bout; the rest follows from these.
import { Labels } from "./labels.js";
import { Poses, Stage, colourOfAnimal } from "./poses.js";
import * as server from "./server.js";
import { Timeline, clock } from "./timeline.js";
import { count, wholeOf } from "./words.js";
import "./scroll_hint.js";

const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];
const POLL_MS = 500, FILM_DRIFT_S = 0.15;
const byId = (id) => document.getElementById(id);
const dark = matchMedia("(prefers-color-scheme: dark)");

export const page = {
  recording: null, labels: null, views: null, poses: null,
  frame: 0, chosen: null, begun: null, watching: null, pair: [1, 1], playing: false, speed: 1, until: null,
  isDark: () => dark.matches,
  classes: () => page.classCount,
  showState: (text, isBad) => showState(text, isBad),
  seek: (frame) => seek(frame),
  choose: (what, jump) => choose(what, jump),
  changed: () => paint(),
  edit: (old, bout) => edit(old, bout),
  addAt: (row, start, stop) => add(row, start, stop),
  Labels, program: "mabe view", useRecording: () => {}, animalName: (animal) => page.recording.animals[animal - 1] ?? `animal ${animal}`,
  // The agent and target of an action in the pair that is shown; a row's kind says whether it
  // is of the agent by itself, or of both without a direction.
  pairFor: (action, [agent, target] = page.pair) => {
    const kind = page.recording.rows.find((row) => row.actions.includes(action))?.kind;
    if (kind === "self") return [agent, agent];
    return kind === "mutual" && agent > target ? [target, agent] : [agent, target];
  },
  // A bout as its action has it: one that happens in a moment is the middle frame of it.
  fitted: (bout) => {
    if (!page.recording.rows.find((row) => row.actions.includes(bout.action))?.point) return bout;
    const start = Math.floor((bout.start + bout.stop - 1) / 2);
    return { ...bout, start, stop: start + 1 };
  },
  isOpen: () => true, // whether a predicted bout is still to be answered
  keyOf: (row, place) => row.key ?? (place < 9 ? String(place + 1) : ""),
  ownPairs: () => [], // further pairs that bouts may have
  drawn: () => {}, // called after each drawing
  rowOfKey: (key) => (/^[1-9]$/.test(key) ? Number(key) - 1 : -1),
};
const film = byId("film");
export const stage = new Stage(byId("poses"), film);
export const timeline = new Timeline(byId("detail"), byId("overview"), byId("row-names"), page);
let isScheduled = false, opened = 0, last = 0;

export function showState(text, isBad = false) {
  byId("state").textContent = text;
  byId("state").title = text;
  byId("state").classList.toggle("bad", isBad);
}

export async function begin() {
  try {
    const recordings = await server.listing();
    byId("recordings").replaceChildren(...recordings.map((each) => {
      const uncertainty = each.uncertainty === null ? "" : ` · ${each.uncertainty.toFixed(1)} s/min ${each.hasLabels ? "differ" : "uncertain"}`;
      return new Option(`${each.name}${each.hasLabels ? "" : " · not annotated"}${uncertainty}`, each.index);
    }));
    const wanted = Number(sessionStorage.getItem("mabe-recording") ?? 0);
    await open(recordings[wanted] ? wanted : 0);
  } catch (error) {
    showState(error.message, true);
  }
}

export async function open(index) {
  const number = ++opened;
  await page.labels?.save();
  showState("reading the tracks …");
  const recording = await server.describe(index);
  if (number !== opened) return;
  pause();
  Object.assign(page, { recording, views: null, chosen: null, begun: null, watching: null, frame: 0, pair: recording.pairs[0] });
  page.labels = new page.Labels(recording, showState, paint);
  page.poses = new Poses(recording, paint);
  sessionStorage.setItem("mabe-recording", index);
  byId("recordings").value = index;
  document.title = `${recording.name} · ${page.program}`;
  byId("title").textContent = recording.name;
  stage.open(recording);
  timeline.open();
  openFilm();
  fillPanels();
  const notes = [recording.corrected && "labels corrected earlier are shown", recording.trainedOn && "the model was trained on this recording, so its predictions are not independent of the labels"];
  showState(notes.filter(Boolean).join(" · "));
  showChosen();
  paint();
  page.useRecording(recording);
  watch(index);
}

export async function watch(index) {
  const number = opened;
  byId("uncertain-note").textContent = "Predicting this recording …";
  byId("uncertain").replaceChildren();
  for (;;) {
    let answer;
    try {
      answer = await server.predictions(index);
    } catch (error) {
      answer = { state: "failed", error: error.message };
    }
    if (number !== opened) return;
    if (answer.state === "failed") {
      byId("uncertain-note").textContent = "";
      showState(`prediction failed: ${answer.error}`, true);
      return;
    }
    if (answer.state === "ready") {
      page.views = answer.views;
      page.classCount = answer.classes;
      listUncertain();
      paint();
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function openFilm() {
  film.hidden = !page.recording.video;
  if (!page.recording.video) { film.removeAttribute("src"); return; }
  film.src = server.videoAddress(page.recording.index);
  film.onloadedmetadata = () => {
    const tracks = page.recording.frames / page.recording.fps, short = tracks - film.duration;
    if (short > 1) showState(`the video ends ${short.toFixed(0)} s before the tracks: ${clock(film.duration)} of ${clock(tracks)}`, true);
  };
  film.onerror = () => showState("this browser cannot play the video; convert it to H.264 in .mp4, or to WebM", true);
}

// ── the current frame ──

export function seek(frame) {
  page.frame = Math.min(Math.max(Math.floor(frame), 0), page.recording.frames - 1);
  page.until = null;
  syncFilm(true);
  if (!timeline.drag) timeline.follow(page.frame);
  paint();
}

function syncFilm(exactly) {
  if (!page.recording.video) return;
  const time = (page.frame + 0.5) / page.recording.fps;
  if (exactly || Math.abs(film.currentTime - time) > FILM_DRIFT_S) film.currentTime = time;
}

export function play(until = null) {
  if (page.frame >= page.recording.frames - 1) page.frame = 0;
  Object.assign(page, { playing: true, until, from: page.frame, place: page.frame });
  byId("play").textContent = "Pause";
  last = performance.now();
  if (page.recording.video) {
    film.playbackRate = page.speed;
    film.play().catch((error) => showState(`the video does not play: ${error.message}`, true));
  }
  requestAnimationFrame(tick);
}

export function pause() {
  page.playing = false;
  film.pause();
  byId("play").textContent = "Play";
}

function tick(now) {
  if (!page.playing) return;
  const { recording } = page;
  const isThere = page.poses.at(page.frame) !== null;
  const elapsed = Math.max(now - last, 0); // a frame's time may lie before it was requested
  if (isThere) page.place += (elapsed / 1000) * recording.fps * page.speed; // else wait
  last = now;
  const end = Math.min(page.until ?? recording.frames, recording.frames) - 1;
  page.frame = Math.min(Math.floor(page.place), end);
  const isAgain = page.place >= end && byId("loop").checked;
  if (isAgain) page.place = page.frame = page.from;
  else if (page.place >= end) pause();
  syncFilm(isAgain);
  timeline.follow(page.frame);
  draw();
  requestAnimationFrame(tick);
}

function setSpeed(place) {
  page.speed = SPEEDS[Math.min(Math.max(place, 0), SPEEDS.length - 1)];
  byId("speed").value = page.speed;
  film.playbackRate = page.speed;
}

export function paint() {
  if (isScheduled || !page.recording) return;
  isScheduled = true;
  requestAnimationFrame(() => { isScheduled = false; draw(); });
}

function draw() {
  const { recording, frame } = page;
  if (!recording) return;
  const points = page.poses.at(frame);
  byId("waiting").hidden = points !== null && !page.poses.failure;
  byId("waiting").textContent = page.poses.failure || "loading …";
  stage.draw(points, frame, page.isDark());
  timeline.draw();
  byId("clock").textContent = `${clock(frame / recording.fps, 2)} of ${clock(recording.frames / recording.fps)}`;
  if (document.activeElement !== byId("frame")) byId("frame").value = frame;
  showWatched();
  byId("undo").disabled = !page.labels.past.length;
  byId("redo").disabled = !page.labels.future.length;
  page.drawn();
}

// ── bouts ──

export function choose(what, jump) {
  page.chosen = what;
  if (what && jump) {
    const start = what.bout?.start ?? what.predicted[0], stop = what.bout?.stop ?? what.predicted[1];
    seek(start);
    const span = timeline.stop - timeline.start;
    if (stop - start < 0.004 * span) {
      const room = Math.max(stop - start, page.recording.fps) * 6; // too short to be dragged
      timeline.show(start - room, stop + room);
    } else if (start < timeline.start || Math.min(stop, start + span) > timeline.stop) {
      timeline.show(start - 0.15 * span, start + 0.85 * span);
    }
  }
  showChosen();
  paint();
}

function edit(old, bout) {
  choose({ bout: page.labels.replace(old, page.fitted(bout)) }, false);
}

export function add(row, start, stop) {
  const action = actionOf(row), [agent, target] = action ? page.pairFor(action) : [];
  if (!action) { showState(`${page.recording.rows[row].name} cannot be annotated`, true); return; }
  choose({ bout: page.labels.add(page.fitted({ start, stop, action, agent, target })) }, false);
}

// The action that a row stands for: one that is annotated here already, else the first.
export function actionOf(row) {
  const { actions } = page.recording.rows[row];
  return actions.find((action) => page.labels.bouts.some((bout) => bout.action === action)) ?? actions[0];
}

function takeOver() {
  const predicted = page.chosen?.predicted;
  if (!predicted) return;
  const { agent, target } = page.views[timeline.viewIndex()];
  if (agent) page.pair = [agent, target];
  add(timeline.rowOfClass(predicted[2]), predicted[0], predicted[1]);
}

function remove() {
  if (!page.chosen?.bout) return;
  page.labels.remove(page.chosen.bout);
  choose(null, false);
}

function travel(how) {
  if (!page.labels[how === "undo" ? "past" : "future"].length) showState(`nothing to ${how} in this recording`);
  page.labels[how]();
  choose(null, false);
}

export function press(row) {
  const { rows } = page.recording;
  if (!rows[row]) return;
  const action = actionOf(row), { chosen, begun } = page;
  if (!action) return;
  if (chosen?.bout) { edit(chosen.bout, { ...chosen.bout, action }); return; }
  if (begun) {
    page.begun = null;
    const [start, stop] = [Math.min(begun.start, page.frame), Math.max(begun.start, page.frame) + 1];
    choose({ bout: page.labels.add({ ...begun, start, stop }) }, false);
    page.chosen = null; // so that the next key begins the next bout
    showChosen();
  } else if (rows[row].point) {
    add(row, page.frame, page.frame + 1);
    page.chosen = null;
    showChosen();
  } else {
    const [agent, target] = page.pairFor(action);
    page.begun = { start: page.frame, action, agent, target };
  }
  markBegun();
  paint();
}

// Begins a span that was watched at this frame, or ends the one that was begun.
function markWatched() {
  if (page.labels.watched === null) { showState("all of the recording counts as watched"); return; }
  if (page.watching === null) page.watching = page.frame;
  else {
    const [start, stop] = [Math.min(page.watching, page.frame), Math.max(page.watching, page.frame) + 1];
    page.watching = null;
    page.labels.watch(start, stop);
  }
  paint();
}

function watchAll() {
  page.watching = null;
  page.labels.watchAll(page.labels.watched !== null);
  paint();
}

function showWatched() {
  const { labels, recording, watching } = page, { watched } = labels;
  const frames = (watched ?? []).reduce((sum, [start, stop]) => sum + stop - start, 0);
  const time = (count) => clock(count / recording.fps);
  byId("watched-note").textContent = watched === null
    ? "All of it: a frame without a bout counts as “no”."
    : `${labels.partly?.(time) ?? `${time(frames)} of ${time(recording.frames)}`}. Elsewhere only bouts count.`;
  byId("watched-mark").textContent = watching === null ? "From here" : "To here";
  byId("watched-mark").disabled = watched === null;
  byId("watched-all").textContent = watched === null ? "Nothing yet" : "All";
}

function markBegun() {
  [...byId("actions").querySelectorAll("button")].forEach((button, row) => {
    button.classList.toggle("begun", Boolean(page.begun) && timeline.rowOf(page.begun) === row);
  });
}

// All bouts in time order, annotated and predicted ones.
function inOrder() {
  const annotated = timeline.shown().map((bout) => ({ start: bout.start, what: { bout } }));
  const predicted = timeline.predicted().filter(page.isOpen).map((each) => ({ start: each[0], what: { predicted: each } }));
  return [...annotated, ...predicted].sort((a, b) => a.start - b.start);
}

export function step(by) {
  const bouts = inOrder(), { chosen } = page;
  const now = bouts.findIndex(({ what }) => chosen && what.bout === chosen.bout && what.predicted === chosen.predicted);
  let next;
  if (now >= 0) next = bouts[now + by];
  else if (by > 0) next = bouts.find((each) => each.start >= page.frame);
  else next = bouts.findLast((each) => each.start <= page.frame);
  if (next) choose(next.what, true);
}

// A bout in words, for screen readers.
function spoken({ bout, predicted }) {
  const { recording } = page, [start, stop] = bout ? [bout.start, bout.stop] : predicted;
  const name = bout ? bout.action : recording.rows[timeline.rowOfClass(predicted[2])].name;
  const at = (frame) => clock(frame / recording.fps, 1);
  return `${bout ? "annotated" : "predicted"}: ${name}, ${at(start)} to ${at(stop)}`;
}

function showChosen() {
  const { chosen } = page, bout = chosen?.bout, predicted = chosen?.predicted;
  byId("bout").hidden = !chosen;
  byId("nothing-chosen").hidden = Boolean(chosen);
  byId("spoken").textContent = chosen ? spoken(chosen) : "";
  if (!chosen) return;
  const fields = ["bout-action", "bout-pair", "bout-start", "bout-stop"].map(byId);
  for (const field of fields) field.disabled = !bout;
  byId("bout-take").hidden = Boolean(bout);
  byId("bout-delete").hidden = !bout;
  const { recording } = page, start = bout?.start ?? predicted[0], stop = bout?.stop ?? predicted[1];
  byId("bout-start").value = start;
  byId("bout-stop").value = stop;
  const seconds = `${((stop - start) / recording.fps).toFixed(2)} s`;
  if (bout) {
    byId("bout-action").value = bout.action;
    byId("bout-pair").value = `${bout.agent},${bout.target}`;
    byId("bout-note").textContent = `annotated, ${seconds}`;
  } else {
    byId("bout-action").value = actionOf(timeline.rowOfClass(predicted[2]));
    byId("bout-note").textContent = `predicted, ${seconds}${predicted[3] === null ? "" : `, probability ${predicted[3].toFixed(2)}`}`;
  }
}

// ── panels ──

export const pairName = ([agent, target]) => (agent === target ? `${page.animalName(agent)} itself` : `${page.animalName(agent)} → ${page.animalName(target)}`);

function fillPanels() {
  const { recording } = page;
  const pairs = recording.pairs.map((pair) => new Option(pairName(pair), pair.join(",")));
  byId("pair").replaceChildren(...pairs.map((each) => each.cloneNode(true)));
  byId("pair").value = page.pair.join(",");
  byId("bout-pair").replaceChildren(...pairs, ...page.ownPairs(recording).map((pair) => new Option(pairName(pair), pair.join(","))));
  const actions = [...new Set(recording.rows.flatMap((row) => row.actions))];
  byId("bout-action").replaceChildren(...actions.map((action) => new Option(action, action)));
  byId("actions").replaceChildren(...recording.rows.map((row, place) => {
    const button = document.createElement("button"), item = document.createElement("li");
    button.type = "button";
    const dot = document.createElement("span");
    dot.className = "dot";
    dot.style.background = timeline.colour(row);
    button.append(dot, `${page.keyOf(row, place)} ${row.name}`.trim());
    button.addEventListener("click", () => { page.chosen = null; press(place); showChosen(); });
    item.append(button);
    return item;
  }));
  const animals = [...new Set(recording.points.map((point) => point.animal))];
  byId("follow").replaceChildren(new Option("all", ""), ...animals.map((animal) => new Option(page.animalName(animal + 1), animal)));
  byId("animals").replaceChildren(...animals.map((animal) => {
    const item = document.createElement("li"), dot = document.createElement("span");
    dot.className = "dot";
    const of = colourOfAnimal(recording, animal);
    dot.style.background = page.isDark() ? of.dark : of.light;
    item.append(dot, page.animalName(animal + 1));
    return item;
  }));
}

function uncertainSpans() {
  const views = page.views ?? [];
  const all = views.flatMap(({ agent, target, uncertain }) => uncertain.map(([start, stop, wrong]) => ({ start, stop, wrong, agent, target })));
  return all.sort((a, b) => b.wrong - a.wrong);
}

function listUncertain() {
  const all = uncertainSpans(), total = all.reduce((sum, each) => sum + each.wrong, 0);
  const isAnnotated = page.recording.hasLabels;
  byId("uncertain-title").textContent = isAnnotated ? "Differences from the annotations" : "Uncertain predictions";
  const spans = count(all.length, "span");
  const wrong = isAnnotated ? `${total.toFixed(0)} s differ` : `about ${total.toFixed(0)} s of wrong decisions`;
  byId("uncertain-note").textContent = all.length ? `${spans}, ${wrong}. The longest first:` : page.views?.length ? "No such span." : "Nothing is predicted yet.";
  byId("uncertain").replaceChildren(...all.slice(0, 50).map((span) => {
    const button = document.createElement("button"), item = document.createElement("li");
    button.type = "button";
    const time = document.createElement("span"), who = document.createElement("span"), wrong = document.createElement("span");
    time.textContent = clock(span.start / page.recording.fps);
    who.textContent = span.agent ? pairName([span.agent, span.target]) : "";
    who.className = "push";
    wrong.textContent = `${span.wrong.toFixed(1)} s of ${((span.stop - span.start) / page.recording.fps).toFixed(1)}`;
    button.append(time, who, wrong);
    button.addEventListener("click", () => goToSpan(span, button));
    item.append(button);
    return item;
  }));
}

function goToSpan(span, button) {
  byId("uncertain").querySelector(".here")?.classList.remove("here");
  button?.classList.add("here");
  if (span.agent) setPair([span.agent, span.target]);
  const room = Math.max(span.stop - span.start, page.recording.fps * 2);
  choose(null, false);
  timeline.show(span.start - room, span.stop + room);
  seek(span.start);
}

function nextUncertain() {
  const buttons = [...byId("uncertain").querySelectorAll("button")];
  if (!buttons.length) return;
  const now = buttons.findIndex((button) => button.classList.contains("here"));
  const next = buttons[(now + 1) % buttons.length];
  next.click();
  next.scrollIntoView({ block: "nearest" });
}

export function setPair(pair) {
  page.pair = pair;
  byId("pair").value = pair.join(",");
  paint();
}

// ── wiring ──

function changeField() {
  const bout = page.chosen?.bout;
  if (!bout) return;
  const [agent, target] = byId("bout-pair").value.split(",").map(Number);
  const start = wholeOf(byId("bout-start").value), stop = wholeOf(byId("bout-stop").value);
  if (!(Number.isInteger(start) && Number.isInteger(stop) && start >= 0 && start < stop && stop <= page.recording.frames)) {
    showState(`a bout needs whole frames, 0 ≤ from < to ≤ ${page.recording.frames}`, true);
    showChosen();
    return;
  }
  edit(bout, { start, stop, action: byId("bout-action").value, agent, target });
}

function setEdge(edge) {
  const bout = page.chosen?.bout;
  if (!bout) return;
  const frame = page.frame;
  if (edge === "start" && frame < bout.stop) edit(bout, { ...bout, start: frame });
  if (edge === "stop" && frame >= bout.start) edit(bout, { ...bout, stop: frame + 1 });
}

function escape() {
  page.begun = null;
  page.watching = null;
  markBegun();
  choose(null, false);
}

const bySecond = (seconds) => seek(page.frame + seconds * page.recording.fps);
const all = () => timeline.show(0, page.recording.frames);
const playBout = () => {
  const { chosen } = page;
  if (!chosen) return;
  seek(chosen.bout?.start ?? chosen.predicted[0]);
  play(chosen.bout?.stop ?? chosen.predicted[1]);
};

// Shows all of the recording, or what is around the animal that is chosen.
function showView() {
  const { value } = byId("follow");
  stage.follow(value === "" ? null : Number(value));
  paint();
}

function showNextView() {
  const list = byId("follow");
  list.selectedIndex = (list.selectedIndex + 1) % list.options.length;
  showView();
}

export function showAll() {
  byId("follow").value = "";
  showView();
}

export const KEYS = {
  " ": () => (page.playing ? pause() : play()),
  ArrowLeft: () => seek(page.frame - 1), ArrowRight: () => seek(page.frame + 1),
  "/": () => seek(page.frame - 1), "*": () => seek(page.frame + 1),
  "Shift+ArrowLeft": () => bySecond(-1), "Shift+ArrowRight": () => bySecond(1),
  ArrowDown: () => bySecond(-10), ArrowUp: () => bySecond(10),
  Home: () => seek(0), End: () => seek(page.recording.frames - 1),
  "-": () => setSpeed(SPEEDS.indexOf(page.speed) - 1), "+": () => setSpeed(SPEEDS.indexOf(page.speed) + 1), "=": () => setSpeed(SPEEDS.indexOf(page.speed) + 1),
  l: () => { byId("loop").checked = !byId("loop").checked; }, z: showNextView,
  PageUp: () => timeline.zoom(0.5), PageDown: () => timeline.zoom(2), 0: all,
  n: () => step(1), p: () => step(-1), d: nextUncertain, a: takeOver, w: markWatched, W: watchAll, Enter: playBout,
  "[": () => setEdge("start"), "]": () => setEdge("stop"),
  Delete: remove, Backspace: remove, Escape: escape, "?": () => byId("keys").showModal(),
  "Ctrl+z": () => travel("undo"), "Ctrl+y": () => travel("redo"), "Ctrl+Shift+Z": () => travel("redo"),
};

const ON_LATIN = { BracketLeft: "[", BracketRight: "]" };

// The key of an event. A letter is a capital with Shift alone, whatever Caps Lock is; a key
// of another script, which no action has, is what it is on a Latin keyboard.
export function keyOf({ key, code = "", shiftKey }) {
  if (key.length > 1) return key;
  const isKnown = key.charCodeAt(0) < 128 || page.rowOfKey(key.toLowerCase()) >= 0;
  const plain = isKnown ? key : /^(?:Key|Digit)(.)$/.exec(code)?.[1] ?? ON_LATIN[code] ?? key;
  return shiftKey ? plain.toUpperCase() : plain.toLowerCase();
}

// Fields of whole numbers: arrows step, Enter leaves with the number, Esc without it. Of other
// fields Esc leaves, too; it does nothing else there.
function typeKey(event) {
  const { target, key } = event, isWhole = target.matches("input.whole"), by = { ArrowUp: 1, ArrowDown: -1 }[key];
  if (key === "Escape") {
    if (target.id === "frame") target.value = page.frame;
    if (target.form?.id === "bout") showChosen();
    target.blur();
  } else if (isWhole && key === "Enter") {
    target.blur(); // which is a change, where there is one
  } else if (isWhole && by && Number.isInteger(wholeOf(target.value))) {
    target.value = Math.max(wholeOf(target.value) + by, 0);
    target.dispatchEvent(new Event("change", { bubbles: true }));
  } else return;
  event.preventDefault();
}

addEventListener("keydown", (event) => {
  if (!page.recording || document.querySelector("dialog[open]") || byId("stage").closest("[hidden]") || event.altKey) return;
  if (event.target.matches("input, select, textarea")) { typeKey(event); return; }
  if (event.target.matches("button") && (event.key === " " || event.key === "Enter")) return;
  const isControl = event.ctrlKey || event.metaKey, key = keyOf(event);
  const name = `${isControl ? "Ctrl+" : ""}${event.shiftKey && (key.length > 1 || isControl) ? "Shift+" : ""}${key}`;
  const row = page.rowOfKey(name);
  const act = row >= 0 ? () => event.repeat || press(row) : KEYS[name];
  if (!act) return;
  event.preventDefault();
  act();
});

function goToFrame() {
  const frame = wholeOf(byId("frame").value);
  if (Number.isInteger(frame)) { seek(frame); return; }
  showState(`a frame is a whole number, not “${byId("frame").value}”`, true);
  byId("frame").value = page.frame;
}

byId("speed").replaceChildren(...SPEEDS.map((speed) => new Option(`${speed}×`, speed)));
setSpeed(SPEEDS.indexOf(1));
const onClick = {
  play: KEYS[" "], back: KEYS.ArrowLeft, forth: KEYS.ArrowRight, undo: KEYS["Ctrl+z"], redo: KEYS["Ctrl+y"], help: KEYS["?"],
  "zoom-in": KEYS.PageUp, "zoom-out": KEYS.PageDown, "zoom-all": all, "bout-take": takeOver, "bout-delete": remove, "bout-loop": playBout,
  "watched-mark": markWatched, "watched-all": watchAll,
};
for (const [id, act] of Object.entries(onClick)) byId(id).addEventListener("click", () => page.recording && act());
for (const id of ["bout-action", "bout-pair", "bout-start", "bout-stop"]) byId(id).addEventListener("change", changeField);
byId("bout").addEventListener("submit", (event) => event.preventDefault());
byId("follow").addEventListener("change", showView);
byId("speed").addEventListener("change", () => setSpeed(SPEEDS.indexOf(Number(byId("speed").value))));
byId("frame").addEventListener("change", () => page.recording && goToFrame());
byId("pair").addEventListener("change", () => { setPair(byId("pair").value.split(",").map(Number)); choose(null, false); });
for (const id of ["pair", "bout-action", "bout-pair", "loop", "follow", "speed"]) byId(id).addEventListener("change", () => byId(id).blur()); // the keys act again
byId("recordings").addEventListener("change", () => {
  byId("recordings").blur();
  open(Number(byId("recordings").value)).catch((error) => showState(error.message, true));
});
dark.addEventListener("change", () => { if (page.recording) { fillPanels(); timeline.nameRows(); showChosen(); paint(); } });
addEventListener("resize", paint);
addEventListener("beforeunload", (event) => {
  if (!page.labels?.unsaved) return;
  page.labels.save();
  event.preventDefault(); // the browser asks whether to stay
});
window.mabe = { page, timeline, stage }; // for tests and debugging
if (!document.body.dataset.studio) begin();
