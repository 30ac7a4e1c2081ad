// The scale by a line of known length, and zones: drawn, typed, listed, removed.
import { page } from "./main.js";
import { element, project } from "./project.js";
import { AGAIN, isBlocked, known, say, settle, snapshot, undo } from "./settings.js";
import { StageDrawing } from "./stage_drawing.js";
import { numberOf } from "./words.js";

const byId = (id) => document.getElementById(id);
const LABELS = { line: "from x y to x y", rectangle: "left top right bottom", circle: "x y radius", polygon: "x y of each corner" };
const COMMAS = "Type numbers with spaces between them, and a point before decimals.";
const round = (value) => Math.round(value * 10) / 10;
const figure = (value) => Number(value.toPrecision(4));
export const drawing = new StageDrawing(byId("draw"), () => { byId("draw-numbers").value = numbersOf(drawing.shape, drawing.points).join(" "); showResult(); });
let shown = "", shownJob = "", version = 0, isSent = false;
let seen = null, edited = ""; // the settings when a drawing was begun, and the zone that is edited

const recordingName = () => project.state.recordings[page.recording.index].name;

// The numbers of a shape as project.yaml has them, from its points, and the other way.
function numbersOf(shape, points) {
  if (shape === "line" || shape === "polygon" || points.length < 2) return points.flat();
  const [[x, y], [right, bottom]] = points;
  if (shape === "circle") return [x, y, round(Math.hypot(right - x, bottom - y))];
  return [Math.min(x, right), Math.min(y, bottom), Math.max(x, right), Math.max(y, bottom)];
}

function pointsOf(shape, numbers) {
  if (shape === "circle") return numbers.length === 3 ? [[numbers[0], numbers[1]], [numbers[0] + numbers[2], numbers[1]]] : [];
  const pairs = [];
  for (let at = 0; at + 1 < numbers.length; at += 2) pairs.push([numbers[at], numbers[at + 1]]);
  return pairs;
}

// The typed numbers. A comma between digits may be before decimals or between two numbers, so
// it makes NaN, of which nothing is drawn.
const typed = () => byId("draw-numbers").value.split(/[\s;]+|,(?=\s|$)/).filter(Boolean).map((each) => (each.includes(",") ? NaN : numberOf(each)));
const isTyped = () => !typed().some(Number.isNaN);

function shapeOf(shape, numbers) {
  const count = { rectangle: 4, circle: 3 }[shape];
  if (shape === "polygon" ? numbers.length < 6 || numbers.length % 2 : numbers.length !== count) return null;
  return { [shape]: shape === "polygon" ? pointsOf(shape, numbers) : numbers };
}

// ── what is shown ──

export function show() {
  if (!page.recording || !project.state?.settings) return;
  const { settings, recordings, job } = project.state, here = recordings[page.recording.index];
  byId("draw-apply").disabled = isBlocked() || settings.isLayout || !settings.values;
  byId("scale-note").textContent = settings.isLayout
    ? `${figure(here.pixelsPerCm)} pixels per cm, as train.csv says.`
    : `${figure(here.pixelsPerCm)} pixels per cm: ${here.sources.pixels_per_cm ?? "as imported"}.`;
  const isOtherJob = shownJob !== JSON.stringify(job);
  shownJob = JSON.stringify(job);
  if (isOtherJob && job?.what === "settle" && job.running) say("draw-result", AGAIN);
  else if (isOtherJob && job?.what === "settle" && job.error) say("draw-result", `Not applied: ${job.error}`, true);
  else if (settings.version !== version) say("draw-result", "Applied; labels are kept.");
  if (settings.version !== version && isSent) clear();
  version = settings.version;
  if (drawing.isOpen && drawing.of !== page.recording) stop();
  const state = JSON.stringify([settings.values?.zones, settings.version, here.name]);
  if (state === shown) return;
  shown = state;
  listZones();
  byId("draw-chosen").replaceChildren(byId("draw-chosen").firstElementChild, ...recordings.map(({ name }) => {
    const label = element("label"), box = element("input", "", { type: "checkbox", value: name });
    box.checked = name === here.name;
    label.append(box, ` ${name}`);
    return label;
  }));
}

function listZones() {
  const zones = Object.entries(project.state.settings.values?.zones ?? {}), name = recordingName();
  byId("zone-list").replaceChildren(...zones.filter(([, { all, own }]) => all || own[name]).map(([zone, { all, own }]) => {
    const item = element("li"), given = own[name] ?? all, isOwn = Boolean(own[name]);
    const kind = Object.keys(LABELS).find((each) => given[each]);
    item.append(element("span", `${zone} (${isOwn ? "this recording" : "all recordings"})`, { class: "push" }));
    if (kind && given.unit !== "cm") item.append(button("Edit", `Edit ${zone}`, () => edit(zone, kind, given[kind].flat(), isOwn)));
    item.append(button("Remove", `Remove ${zone}`, () => remove(zone, isOwn)));
    return item;
  }));
}

function button(text, title, act) {
  const made = element("button", text, { type: "button", "aria-label": title, class: "small" });
  made.addEventListener("click", act);
  return made;
}

function showResult() {
  const shape = byId("draw-shape").value, numbers = typed(), length = numberOf(byId("draw-length").value);
  if (!isTyped()) { say("draw-result", COMMAS, true); return; }
  if (shape !== "line") { say("draw-result", ""); return; }
  if (numbers.length !== 4) { say("draw-result", ""); return; }
  const pixels = Math.hypot(numbers[2] - numbers[0], numbers[3] - numbers[1]);
  const scale = length > 0 ? `: ${figure(pixels / length)} pixels per cm` : "";
  say("draw-result", `${round(pixels)} pixels${scale}`);
}

function useShape() {
  const shape = byId("draw-shape").value;
  byId("draw-length-label").hidden = shape !== "line";
  byId("draw-name-label").hidden = shape === "line";
  byId("draw-numbers-label").textContent = LABELS[shape];
  byId("draw-numbers").value = "";
  drawing.set(shape, []);
  showResult();
}

function clear() {
  isSent = false;
  [seen, edited] = [null, ""];
  byId("draw-numbers").value = "";
  drawing.set(drawing.shape, []);
}

function begin() {
  seen ??= snapshot();
  byId("draw-keys").hidden = false;
  drawing.set(byId("draw-shape").value, isTyped() ? pointsOf(byId("draw-shape").value, typed()) : []);
  drawing.open();
}

function stop() {
  drawing.close();
  byId("draw-keys").hidden = true;
}

function edit(zone, kind, numbers, isOwn) {
  [seen, edited] = [snapshot(), zone];
  byId("draw-shape").value = kind;
  useShape();
  byId("draw-name").value = zone;
  byId("draw-numbers").value = numbers.join(" ");
  byId("draw-for").value = isOwn ? "this" : "all";
  useFor();
  begin();
}

// ── what is settled ──

const useFor = () => { byId("draw-chosen").hidden = byId("draw-for").value !== "chosen"; };

// A value for all recordings, for this one, or for those that are ticked.
function spread(before, value) {
  const wanted = byId("draw-for").value;
  if (wanted === "all") return { all: value, own: {} };
  const ticked = [...byId("draw-chosen").querySelectorAll("input:checked")].map((box) => box.value);
  const names = wanted === "this" ? [recordingName()] : ticked;
  return { all: before.all, own: { ...before.own, ...Object.fromEntries(names.map((name) => [name, value])) } };
}

function wanted() {
  const shape = byId("draw-shape").value, numbers = typed(), name = byId("draw-name").value.trim();
  if (!isTyped()) return { reason: COMMAS };
  if (shape === "line") {
    const pixels = Math.hypot(numbers[2] - numbers[0], numbers[3] - numbers[1]), length = numberOf(byId("draw-length").value);
    if (numbers.length !== 4 || !(pixels > 0)) return { reason: "Draw a line first, or type its two ends." };
    if (!(length > 0)) return { reason: "Say how long the line is, in cm." };
    const before = known("pixels_per_cm", "", seen ?? snapshot());
    return { key: "pixels_per_cm", before, value: spread(before, figure(pixels / length)) };
  }
  const drawn = shapeOf(shape, numbers);
  if (!drawn) return { reason: shape === "polygon" ? "A polygon needs three corners at least." : `Draw it first, or type ${LABELS[shape]}.` };
  if (!name) return { reason: "Name the zone." };
  const before = known("zone", name, seen ?? snapshot()), value = spread(before, drawn);
  const isReplaced = value.all !== before.all && before.all || Object.entries(before.own).some(([recording, given]) => value.own[recording] !== given);
  if (isReplaced && name !== edited) return { reason: `There is a zone ${name} already: name this one otherwise, or change that one by Edit in the list.` };
  return { key: "zone", name, before, value };
}

async function apply(event) {
  event.preventDefault();
  const { reason, ...change } = wanted();
  isSent = !reason;
  if (!reason && project.state.job?.running) say("draw-result", "Waits until the tracks are read …");
  const refused = reason ?? (await settle([change]));
  if (refused) {
    say("draw-result", refused, true);
    if (!reason) [isSent, seen] = [false, null]; // the next try is from what is shown now
    return;
  }
  stop();
  say("draw-result", AGAIN);
}

async function remove(zone, isOwn) {
  const before = known("zone", zone), own = { ...before.own };
  delete own[recordingName()];
  const value = isOwn ? { ...before, own } : { all: null, own: before.own };
  const refused = await settle([{ key: "zone", name: zone, before, value }]);
  say("draw-result", refused || AGAIN, Boolean(refused));
}

byId("draw-form").addEventListener("submit", apply);
byId("draw-form").addEventListener("input", () => { seen ??= snapshot(); });
byId("draw-begin").addEventListener("click", () => page.recording && begin());
byId("draw-cancel").addEventListener("click", () => { stop(); [seen, edited] = [null, ""]; useShape(); });
byId("draw-undo").addEventListener("click", async () => { const refused = await undo(); if (refused) say("draw-result", refused, true); });
byId("draw-shape").addEventListener("change", useShape);
byId("draw-for").addEventListener("change", useFor);
byId("draw-numbers").addEventListener("input", () => { if (isTyped()) drawing.set(byId("draw-shape").value, pointsOf(byId("draw-shape").value, typed())); showResult(); });
byId("draw-length").addEventListener("input", showResult);
