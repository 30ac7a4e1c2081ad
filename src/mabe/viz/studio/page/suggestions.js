// Stretches to label next: shown, played, and answered with one key.
import { page, choose, paint, pairName, play, seek, setPair, showState, timeline } from "./main.js";
import { element, project, time } from "./project.js";
import * as server from "./server.js";
import { count } from "./words.js";

const byId = (id) => document.getElementById(id);
export const suggestions = { list: [], now: null };
let marked = []; // what is shown of the stretch is of these

export async function load() {
  try {
    suggestions.list = await (await server.request("suggestions")).json();
  } catch (error) {
    byId("suggestion-note").textContent = error.message;
    return;
  }
  for (const [id, most] of [["suggestions", 8], ["suggestions-here", 12]]) {
    byId(id).replaceChildren(...suggestions.list.slice(0, most).map(row));
  }
  const none = noneBecause(project.state ?? {});
  for (const id of ["suggestion-note", "suggestion-note-2"]) {
    byId(id).textContent = suggestions.list.length ? "The stretch that would teach most comes first." : none;
  }
  mark();
}

function noneBecause({ ethogram, isRead, job }) {
  if (!ethogram?.length) return "Name the actions first.";
  if (isRead) return "None: all that is tracked is labelled.";
  return job?.running ? "Recordings are still being read." : "None: the recordings were not read.";
}

const nameOf = (each) => each.name.split("/").at(-1);

function row(each) {
  const item = element("li"), button = element("button", "", { type: "button" });
  button.append(
    element("span", `${nameOf(each)}, from ${time(each.start / each.fps)}`),
    element("span", each.reason, { class: "push soft" }),
  );
  button.addEventListener("click", () => go(each));
  item.append(button);
  return item;
}

function mark() {
  const place = suggestions.list.indexOf(suggestions.now);
  [...byId("suggestions-here").querySelectorAll("button")].forEach((button, at) => button.classList.toggle("here", at === place));
  marked = [];
  show();
}

// The stretch, and what of it would be accepted; drawn anew where one of these has changed.
function show() {
  const { now } = suggestions, of = [now, page.recording, page.views, page.labels?.now];
  if (of.every((each, place) => marked.length && each === marked[place])) return;
  marked = of;
  const isHere = now && page.recording && now.recording === page.recording.index;
  byId("suggestion").hidden = !isHere;
  if (!isHere) return;
  byId("suggestion-text").textContent = `${nameOf(now)}, ${time(now.start / now.fps)} to ${time(now.stop / now.fps)}: ${now.reason}`;
  byId("suggestion-predicted").hidden = !page.views?.length;
  byId("suggestion-predicted").textContent = predictedText(acceptable(now));
}

function whom(action, agent, target) {
  if (agent === target) return page.animalName(agent);
  const isMutual = page.recording.rows.find(({ name }) => name === action)?.kind === "mutual";
  return isMutual ? `${page.animalName(agent)} and ${page.animalName(target)}` : pairName([agent, target]);
}

// How many bouts of which action, and by whom.
function predictedText(bouts) {
  const groups = new Map();
  for (const { action, agent, target } of bouts) {
    const name = `${action}, ${whom(action, agent, target)}`;
    groups.set(name, (groups.get(name) ?? 0) + 1);
  }
  const told = [...groups].map(([name, number]) => `${name}, ${count(number, "bout")}`);
  return told.length ? `predicted: ${told.join("; ")}` : "predicted: nothing that is not labelled";
}

export async function go(each) {
  await project.open(each.recording);
  suggestions.now = each;
  const [a, b] = each.pair;
  if (page.recording.pairs.some(([agent, target]) => agent === a && target === b)) setPair([a, b]);
  choose(null, false);
  const room = 0.5 * (each.stop - each.start);
  timeline.show(each.start - room, each.stop + room);
  seek(each.start);
  mark();
  if (document.activeElement.matches("button")) byId("detail").focus({ preventScroll: true }); // so that Enter plays it
}

export async function next() {
  const place = suggestions.list.indexOf(suggestions.now);
  if (place + 1 >= suggestions.list.length || place < 0) await load();
  const following = suggestions.list[place >= 0 ? place + 1 : 0] ?? suggestions.list[0];
  if (following) { await go(following); return; }
  suggestions.now = null;
  mark();
  showState("no more suggestions");
}

const isOf = (pair) => ({ agent, target }) => pair.includes(agent) && pair.includes(target);

// What the model predicts in a stretch, as bouts cut to it.
function predictedIn({ pair, start, stop }) {
  const found = new Map();
  for (const view of (page.views ?? []).filter(isOf(pair))) {
    for (const [from, to, index] of view.bouts) {
      if (to <= start || from >= stop) continue;
      const { name } = page.recording.rows[index], [agent, target] = page.pairFor(name, [view.agent, view.target]);
      const bout = page.fitted({ start: Math.max(from, start), stop: Math.min(to, stop), action: name, agent, target });
      found.set(JSON.stringify(bout), bout);
    }
  }
  return [...found.values()];
}

// Of these, the bouts that meet none of one's own.
function acceptable(stretch) {
  const isSame = (one, other) => one.action === other.action && one.agent === other.agent && one.target === other.target;
  const meets = (bout) => page.labels.bouts.some((own) => isSame(own, bout) && own.start < bout.stop && bout.start < own.stop);
  return predictedIn(stretch).filter((bout) => !meets(bout));
}

// Answers the stretch: with the predicted bouts as labels, or with one's own alone. Either
// way all of it was watched.
export async function answer(isAccepted) {
  const { now } = suggestions;
  if (!now || now.recording !== page.recording.index) { showState("go to a suggestion first (s)", true); return; }
  const keys = page.labels.watchable.filter(isOf(now.pair));
  const watch = page.labels.spansOf(keys, now.start, now.stop);
  page.labels.change({ watch, add: isAccepted ? acceptable(now) : [] });
  paint();
  await page.labels.save();
  await next();
}

export function playStretch() {
  const { now } = suggestions;
  if (!now || now.recording !== page.recording.index) return;
  seek(now.start);
  play(now.stop);
}

page.drawn = show;
byId("suggestion-accept").addEventListener("click", () => answer(true));
byId("suggestion-reject").addEventListener("click", () => answer(false));
byId("suggestion-play").addEventListener("click", playStretch);
byId("suggestion-next").addEventListener("click", next);
