// Rate, scale, animals and skeleton of the project, and what zones and lines become of it.
// A change says what was shown before; the server refuses it where that is no longer so.
import { breakable, element, project, take } from "./project.js";
import * as server from "./server.js";
import { numberOf } from "./words.js";

const byId = (id) => document.getElementById(id);
const ROLES = ["snout", "neck", "body", "rump", "tail", "tip"];
const NUMBERS = { fps: "frames per second", pixels_per_cm: "pixels per cm" };
const done = []; // the changes that can be taken back
let isTouched = false, shown = null, pending = null, isWaiting = false;
export const AGAIN = "Reading the tracks again with the new settings; labels are kept …";

const values = () => project.state.settings.values;
const figure = (value) => (value === null ? "–" : String(Number(value.toPrecision(4))));

// What project.yaml says of a rate or scale, or of a zone: for all, and for single recordings;
// now, or when somebody began to change it.
export const known = (key, name = "", of = values()) => (name ? of?.zones[name] : of?.[key]) ?? { all: null, own: {} };
export const snapshot = () => structuredClone(values());

// Whether work goes on that ends before anything is settled: all but the reading of tracks,
// which begins by itself and is waited for.
export const isBlocked = () => Boolean(project.state.job?.running) && project.state.job.what !== "read";

// Sends changes; the project is then standardized anew. Gives the reason where it is not.
export async function settle(changes, undone = null) {
  if (isWaiting) return "Please wait: the last change is being applied.";
  isWaiting = true;
  try {
    while (project.state.job?.running && !isBlocked()) await new Promise((resolve) => setTimeout(resolve, 100));
    const response = await server.request("settings", { method: "POST", body: JSON.stringify(changes) });
    if (undone) done.pop();
    else done.push(changes);
    pending = { undone };
    isTouched = false;
    take(await response.json());
  } catch (error) {
    return error.message;
  } finally {
    isWaiting = false;
  }
  return "";
}

// What was sent, and could not be applied after all, is no change to be taken back.
function follow(version, { job, settings }) {
  if (!pending) return;
  if (settings.version !== version) pending = null;
  else if (job?.what === "settle" && !job.running && (job.error || job.cancelled)) {
    if (pending.undone) done.push(pending.undone);
    else done.pop();
    pending = null;
  }
}

export async function undo() {
  const last = done.at(-1);
  if (!last) return "";
  return settle(last.map(({ before, value, ...rest }) => ({ ...rest, before: value, value: before })).reverse(), last);
}

export const canUndo = () => done.length > 0;

export function say(id, text, isBad = false) {
  byId(id).textContent = text;
  byId(id).classList.toggle("bad", isBad);
}

// ── the form ──

project.settings = (before) => {
  const { settings, job, recordings } = project.state;
  const isSame = JSON.stringify([before?.settings, before?.recordings]) === JSON.stringify([settings, recordings]);
  for (const id of ["settings-undo", "draw-undo"]) byId(id).disabled = !canUndo() || isBlocked();
  byId("settings-apply").disabled = isBlocked();
  const isHere = job?.what === "settle" && JSON.stringify(before?.job) !== JSON.stringify(job);
  follow(before?.settings.version, project.state);
  if (isHere && job.running) say("settings-state", AGAIN);
  else if (isHere && job.error) say("settings-state", `Not applied, nothing is changed: ${job.error}`, true);
  else if (isHere && job.cancelled) say("settings-state", "Cancelled; nothing is changed.");
  else if (before && before.settings.version !== settings.version) say("settings-state", "Applied; labels are kept.");
  if (isSame && before) return;
  const guessed = recordings.filter(({ sources }) => Object.values(sources).some((each) => each.includes("guessed"))).length;
  byId("settings-note").textContent = settings.isLayout
    ? "This folder is a data set in the standard layout: its rates and scales are columns of train.csv."
    : settings.error ?? `Written into ${settings.file}. ${guessed ? `Guessed for ${guessed} of ${recordings.length}: check it, a guess may be wrong.` : ""}`;
  byId("settings-box").hidden = settings.isLayout || !settings.values;
  if (settings.values && !isTouched) fill();
};

function fill() {
  const { recordings, settings } = project.state;
  shown = { ...snapshot(), roles: structuredClone(settings.roles) };
  const rows = [{ name: "", title: "all recordings" }, ...recordings.map((each) => ({ ...each, title: each.name }))];
  byId("settings-numbers").replaceChildren(...rows.map((each) => {
    const row = element("tr");
    const head = element("th", "", { scope: "row" });
    head.append(...breakable(each.title));
    row.append(head);
    for (const [key, name] of Object.entries(NUMBERS)) {
      const cell = element("td"), input = element("input", "", { inputmode: "decimal", autocomplete: "off", "aria-label": `${name} of ${each.title}` });
      input.dataset.key = key;
      input.dataset.recording = each.name;
      input.value = (each.name ? known(key).own[each.name] : known(key).all) ?? "";
      cell.append(input);
      const now = each.name ? `${figure(key === "fps" ? each.fps : each.pixelsPerCm)}, ${each.sources[key] ?? "as imported"}` : "";
      row.append(cell, element("td", now, { class: "soft" }));
    }
    return row;
  }));
  byId("settings-animals").value = settings.values.animals.join(", ");
  byId("settings-animals-note").textContent = `As the tracks name them. Empty: all, in the order of the file; now ${settings.tracks.join(", ") || "not read yet"}.`;
  byId("settings-names").replaceChildren(...settings.tracks.map((track) => {
    const row = element("tr"), cell = element("td"), input = element("input", "", { maxlength: "60", autocomplete: "off", "aria-label": `name of ${track}` });
    input.value = settings.values.animal_names[track] ?? "";
    input.placeholder = track;
    input.dataset.track = track;
    cell.append(input);
    row.append(element("th", track, { scope: "row" }), cell);
    return row;
  }));
  byId("settings-skeleton-box").hidden = !settings.keypoints.length;
  byId("settings-roles").replaceChildren(...settings.keypoints.map((keypoint) => {
    const row = element("tr"), cell = element("td"), select = element("select", "", { "aria-label": `role of ${keypoint}` });
    select.append(new Option("none", ""), ...ROLES.map((role) => new Option(role, role)));
    select.value = settings.roles[keypoint] ?? "";
    select.dataset.keypoint = keypoint;
    cell.append(select);
    row.append(element("th", keypoint, { scope: "row" }), cell);
    return row;
  }));
}

// The skeleton of the chosen roles. Two points of a role are half way between (neck: ears), or
// the first that is tracked, as it was; other entries, such as pairs, stay.
function chosenSkeleton() {
  const chosen = [...byId("settings-roles").querySelectorAll("select")].filter((each) => each.value);
  const roles = Object.fromEntries(ROLES.map((role) => [role, chosen.filter((each) => each.value === role).map((each) => each.dataset.keypoint)]));
  const others = Object.fromEntries(Object.entries(shown.skeleton ?? {}).filter(([name]) => !ROLES.includes(name)));
  const isPair = (names) => names.length === 2 && names.some((name) => /left|(^|_)l($|_)/i.test(name)) && names.some((name) => /right|(^|_)r($|_)/i.test(name));
  const sources = Object.entries(roles).filter(([, names]) => names.length).map(([role, names]) => [role, isPair(names) ? [names.join("+")] : names]);
  return { ...Object.fromEntries(sources), ...others };
}

function changes() {
  const found = [], wrong = [];
  for (const key of Object.keys(NUMBERS)) {
    const value = { all: null, own: {} };
    for (const input of byId("settings-numbers").querySelectorAll(`input[data-key="${key}"]`)) {
      if (input.value.trim() === "") continue;
      const number = numberOf(input.value);
      if (!(number > 0)) wrong.push(`${input.getAttribute("aria-label")}: expected a number above 0, such as 29.97, not “${input.value}”`);
      if (input.dataset.recording) value.own[input.dataset.recording] = number;
      else value.all = number;
    }
    found.push({ key, before: known(key, "", shown), value });
  }
  const animals = byId("settings-animals").value.split(",").map((name) => name.trim()).filter(Boolean);
  found.push({ key: "animals", before: shown.animals, value: animals });
  const names = { ...shown.animal_names }; // also of tracks that are not here now
  for (const { dataset, value } of byId("settings-names").querySelectorAll("input")) {
    if (value.trim()) names[dataset.track] = value.trim();
    else delete names[dataset.track];
  }
  found.push({ key: "animal_names", before: shown.animal_names, value: names });
  const isOther = [...byId("settings-roles").querySelectorAll("select")].some((each) => each.value !== (shown.roles[each.dataset.keypoint] ?? ""));
  if (isOther) found.push({ key: "skeleton", before: shown.skeleton, value: chosenSkeleton() });
  const flat = (value) => JSON.stringify(value, (_, each) => (each && each.constructor === Object ? Object.fromEntries(Object.entries(each).sort()) : each));
  return { wrong, made: found.filter(({ before, value }) => flat(before) !== flat(value)) };
}

byId("settings").addEventListener("input", () => { isTouched = true; });
byId("settings").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { made, wrong } = changes();
  if (wrong.length) { say("settings-state", wrong.join("; "), true); return; }
  if (!made.length) { say("settings-state", "Nothing is changed."); return; }
  if (project.state.job?.running) say("settings-state", "Waits until the tracks are read …");
  const reason = await settle(made);
  if (!reason) return;
  say("settings-state", reason, true);
  if (JSON.stringify(snapshot()) === JSON.stringify({ ...shown, roles: undefined })) return; // what was typed stays
  isTouched = false;
  fill();
});
byId("settings-cancel").addEventListener("click", () => { isTouched = false; fill(); say("settings-state", ""); });
byId("settings-undo").addEventListener("click", async () => say("settings-state", await undo(), true));
