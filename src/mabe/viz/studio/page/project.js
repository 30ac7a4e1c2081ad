// The first page: recordings, actions, training and scores.
import * as server from "./server.js";
import { count } from "./words.js";

const byId = (id) => document.getElementById(id);
const dark = matchMedia("(prefers-color-scheme: dark)");
const KINDS = { directed: "an agent to a target", self: "an animal by itself", mutual: "two animals together" };

export const project = { state: null, open: () => {}, changed: () => {}, settings: () => {}, incoming: () => {} };

export function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

export function time(seconds) {
  if (seconds === null) return "…";
  const whole = Math.round(seconds), hours = Math.floor(whole / 3600);
  const minutes = String(Math.floor(whole / 60) % 60).padStart(hours ? 2 : 1, "0");
  return `${hours ? `${hours}:` : ""}${minutes}:${String(whole % 60).padStart(2, "0")}`;
}

export async function load() {
  take(await (await server.request("project")).json());
}

export async function follow() {
  for (;;) {
    const { job, trustJob, fullJob } = project.state ?? {};
    const isBusy = [job, trustJob, fullJob].some((each) => each?.running);
    await new Promise((resolve) => setTimeout(resolve, isBusy ? 500 : 3000));
    try {
      if (!document.hidden || isBusy) await load();
      note("");
    } catch (error) {
      note(error.message);
    }
  }
}

// Why something is refused is shown beside it, in elements of these ids, until the next try.
export async function send(path, method, body, ids) {
  for (const id of ids) note("", id);
  try {
    take(await (await server.request(path, { method, body })).json());
    return true;
  } catch (error) {
    for (const id of ids) note(error.message, id);
    return false;
  }
}

const start = (what, ids = ["train-note", "train-here-note"]) => send(`job/${what}`, "POST", undefined, ids);

function note(text, id = "project-note") {
  byId(id).textContent = text;
  byId(id).hidden = !text;
}

const isOther = (before, ...names) => names.some((name) => JSON.stringify(before?.[name]) !== JSON.stringify(project.state[name]));

export function take(state) {
  const before = project.state;
  project.state = state;
  const wasBusy = Boolean(before?.job?.running), isBusy = Boolean(state.job?.running); // buttons of films
  if (wasBusy !== isBusy || isOther(before, "recordings", "problems", "round")) showRecordings();
  showJob();
  project.settings(before);
  project.incoming(isOther(before, "incoming"), isOther(before, "job"));
  if (isOther(before, "ethogram")) showActions();
  if (isOther(before, "round", "rounds") || before?.settings.version !== state.settings.version) showScores();
  showTrust(isOther(before, "trust"));
  showFull();
  trainByItself();
  project.changed(before, state);
}

function showRecordings() {
  const { recordings, problems, name, folder } = project.state;
  byId("project-name").textContent = name;
  byId("folder").textContent = folder;
  const here = [...byId("table-body").querySelectorAll("th button")].indexOf(document.activeElement);
  byId("table-body").replaceChildren(...recordings.map((each) => {
    const row = element("tr"), open = element("button", "", { type: "button" });
    open.append(...breakable(each.name));
    open.addEventListener("click", () => project.open(each.index));
    const cell = element("th", "", { scope: "row" });
    cell.append(open);
    const labels = each.bouts === null ? "…" : each.watched ? `${time(each.watched)}, ${count(each.bouts, "bout")}` : "none";
    row.append(cell, element("td", time(each.seconds)), element("td", each.animals ?? "…"), filmCell(each), element("td", labels), element("td", each.problems.map((problem) => problem.replace(/\.$/, "")).join("; ")));
    return row;
  }));
  byId("table-body").querySelectorAll("th button")[here]?.focus(); // it was on an earlier copy
  byId("problems").replaceChildren(...problems.map((each) => element("li", each)));
  byId("problems-box").hidden = !problems.length;
}

// A name that may be broken after its parts.
export const breakable = (name) => name.split(/(?<=[-_./ ])/).flatMap((part) => [part, element("wbr")]);

function filmCell({ index, film, isPlayed }) {
  const cell = element("td", film ?? "none"), isBusy = Boolean(project.state.job?.running);
  const add = (text, what, title) => {
    const button = element("button", text, { type: "button", title, class: "small" });
    button.disabled = isBusy;
    button.addEventListener("click", () => start(`${what}?recording=${index}`, ["film-note"]));
    cell.append(" ", button);
  };
  if (film !== null && !isPlayed) {
    cell.append(" (not played by browsers)");
    add("Make a copy that plays", "copy", "The same frames at the same times, in H.264; the film stays as it is");
  }
  if (project.state.round) add("Annotated film", "film", "Poses, names, bouts and probabilities drawn into a film");
  return cell;
}

function showActions() {
  const { ethogram } = project.state;
  byId("action-list").replaceChildren(...ethogram.map((each, place) => {
    const item = element("li"), dot = element("span", "", { class: "dot" });
    dot.style.background = dark.matches ? each.colour.dark : each.colour.light;
    const remove = element("button", "Remove", { type: "button", "aria-label": `Remove ${each.name}` });
    remove.addEventListener("click", async () => {
      await saveActions(ethogram.filter((_, other) => other !== place));
      if (!document.activeElement.isConnected || document.activeElement === document.body) byId("action-name").focus();
    });
    item.append(dot, element("kbd", each.key), ` ${each.name} `, element("span", `${KINDS[each.kind]}${each.point ? ", in a moment" : ""}`, { class: "soft push" }), remove);
    return item;
  }));
  byId("no-actions").hidden = ethogram.length > 0;
  byId("action-key").value = freeKey();
}

function freeKey() {
  const taken = project.state.ethogram.map((each) => each.key.toLowerCase());
  return [..."123456789efghijklmoqrtvyzbc"].find((key) => !taken.includes(key)) ?? "";
}

const saveActions = (ethogram) => send("ethogram", "PUT", JSON.stringify(ethogram.map(({ name, key, kind, point }) => ({ name, key, kind, point }))), ["action-note"]);

async function addAction(event) {
  event.preventDefault();
  const name = byId("action-name").value.trim(), key = byId("action-key").value, kind = byId("action-kind").value, point = byId("action-lasts").value === "point";
  if (await saveActions([...project.state.ethogram, { name, key, kind, point }])) byId("action-name").value = "";
  byId("action-name").focus();
}

function showJob() {
  const { job, ethogram, recordings, isRead, predictions, round } = project.state;
  const isBusy = Boolean(job?.running), bouts = recordings.reduce((sum, each) => sum + (each.bouts ?? 0), 0);
  for (const id of ["train", "train-here"]) byId(id).disabled = isBusy || !isRead || !bouts;
  byId("predict").disabled = isBusy || !round;
  byId("cancel").hidden = !isBusy;
  byId("job").hidden = !isBusy;
  byId("job").max = Math.max(job?.total ?? 1, 1);
  byId("job").value = job?.done ?? 0;
  let text = "";
  if (isBusy) text = job.total > 1 ? `${job.stage}: ${job.done + 1} of ${job.total}` : job.stage;
  else if (job?.error) text = `stopped: ${job.error}`;
  else if (job?.cancelled) text = "cancelled; the labels are as they were";
  else if (job?.what === "predict") text = `written to ${predictions}`;
  else if (job?.written) text = `written: ${job.written}`;
  else if (!ethogram.length) text = "Name the actions first.";
  else if (!bouts) text = "Label some bouts first: open a recording.";
  for (const id of ["job-text", "job-here"]) byId(id).textContent = text;
  byId("job-text").classList.toggle("bad", Boolean(job?.error));
}

const share = (interval) => (interval ? ` (95 %: ${interval[0].toFixed(2)} to ${interval[1].toFixed(2)})` : "");

function showScores() {
  const { round, rounds } = project.state;
  byId("scores").hidden = !round;
  if (!round) return;
  const interval = round.interval ? share(round.interval) : ` (no interval: it needs 5 recordings with labels, there ${round.recordings === 1 ? "is 1" : `are ${round.recordings}`})`;
  const old = " Actions that are not scored count as 0 in this mean: train again."; // of an earlier version
  byId("score-text").textContent = round.f1 === null
    ? "No score yet: label an action in a second recording, so that one can be held out."
    : `Mean F1 ${round.f1.toFixed(2)}, mean of ${count(round.scored, "scored action")}${interval}, in recordings that were not learned from.${round.isMeanOfAll ? old : ""}`;
  byId("score-note").textContent = `${round.number <= project.state.settings.settledAfter ? "Something was settled since: train again. " : ""}Round ${round.number}${round.recipe === "full" ? ", the full recipe" : ""}: ${round.minutes.toFixed(1)} labelled minutes in ${count(round.recordings, "recording")}; trained in ${round.seconds} s, predicted after ${round.seconds_with_predictions} s.`;
  byId("score-body").replaceChildren(...round.actions.map((each) => {
    const row = element("tr");
    row.append(
      element("th", each.name, { scope: "row" }), element("td", each.bouts),
      element("td", each.f1 === null ? "–" : `${each.f1.toFixed(2)}${share(each.interval)}`),
      element("td", each.notReady.length ? `not yet: ${each.notReady.join("; ")}` : "ready"),
    );
    return row;
  }));
  byId("history-body").replaceChildren(...rounds.map((each) => {
    const row = element("tr");
    row.append(element("th", each.number, { scope: "row" }), element("td", each.recipe), element("td", each.minutes.toFixed(1)), element("td", each.f1 === null ? "–" : each.f1.toFixed(2)));
    return row;
  }));
}

// The full recipe is trained behind everything else.
function showFull() {
  const { fullJob: job } = project.state, isBusy = Boolean(job?.running);
  byId("full").disabled = isBusy || byId("train").disabled && !project.state.job?.running;
  byId("full-cancel").hidden = !isBusy;
  let text = "";
  if (isBusy) text = `goes on behind your work: ${job.stage}${job.total > 1 ? `, ${job.done} of ${job.total} models` : ""} …`;
  else if (job?.error) text = `stopped: ${job.error}`;
  else if (job?.cancelled) text = "stopped; nothing of it is kept";
  byId("full-text").textContent = text;
}

// Labels of a minute more, or of a tenth more, than any training so far learned from.
let tried = 0;
function trainByItself() {
  const { recordings, round, job } = project.state;
  if (!byId("auto-train").checked || byId("train").disabled || document.querySelector("dialog[open]")) return;
  const minutes = recordings.reduce((sum, each) => sum + (each.watched ?? 0), 0) / 60;
  const before = Math.max(tried, round?.minutes ?? 0);
  if (minutes < before + Math.max(1, before / 10) || job?.running) return;
  tried = minutes;
  start("train");
}

// Measured after a training, while its predictions are used already.
function showTrust(isNew) {
  const { trust, trustJob: job } = project.state, isBusy = Boolean(job?.running);
  byId("trust").hidden = !trust && !job;
  byId("trust-cancel").hidden = !isBusy;
  let text = "";
  if (isBusy) text = `The model is usable; this goes on behind it: ${job.total > 1 ? `${job.stage}, ${job.done + 1} of ${job.total}` : job.stage} …`;
  else if (job?.error) text = `not measured: ${job.error}`;
  else if (job?.cancelled && !trust) text = "not measured: stopped";
  byId("trust-state").textContent = text;
  byId("trust-state").parentElement.hidden = !text;
  if (!isNew) return;
  const { curve, drift, agreement } = trust ?? { curve: { text: "", minutes: [] }, drift: { text: "", unlike: [] }, agreement: null };
  byId("curve-text").textContent = curve.text;
  byId("curve-box").hidden = !curve.minutes.length;
  byId("curve-body").replaceChildren(...curve.minutes.map((minutes, place) => rowOf(minutes.toFixed(1), curve.f1[place].toFixed(2))));
  byId("drift-text").textContent = drift.text;
  byId("drift").replaceChildren(...drift.unlike.map((each) => element("li", `${each.name}: ${Math.round(100 * each.share)} % of its stretches are unlike; ${each.reason}`)));
  byId("agreement-text").textContent = agreement === null ? "" : agreement.length ? "Two annotators of the same tracks:" : "No recording was labelled twice (as two recordings of the same tracks), so agreement between annotators is not known.";
  byId("agreement-box").hidden = !agreement?.length;
  const figure = (value) => (value === null ? "–" : value.toFixed(2));
  byId("agreement-body").replaceChildren(...(agreement ?? []).map((each) => rowOf(`${each.one}, ${each.other}`, each.action, each.bouts.join(", "), figure(each.kappa), figure(each.boutF1))));
}

function rowOf(head, ...cells) {
  const row = element("tr");
  row.append(element("th", head, { scope: "row" }), ...cells.map((each) => element("td", each)));
  return row;
}

byId("full").addEventListener("click", () => start("full"));
byId("full-cancel").addEventListener("click", () => start("cancel-full"));
byId("auto-train").checked = localStorage.getItem("mabe-auto-train") === "1";
byId("auto-train").addEventListener("change", ({ target }) => localStorage.setItem("mabe-auto-train", target.checked ? "1" : "0"));
byId("trust-cancel").addEventListener("click", () => start("cancel-trust"));
byId("add-action").addEventListener("submit", addAction);
for (const id of ["train", "train-here"]) byId(id).addEventListener("click", () => start("train"));
byId("predict").addEventListener("click", () => start("predict", ["finish-note"]));
byId("cancel").addEventListener("click", () => start("cancel"));
dark.addEventListener("change", () => project.state && showActions());
