// Stretches to label next: shown, played, and answered with one key.
import { page, choose, paint, play, seek, setPair, showState, timeline } from "./main.js";
import { element, project, time } from "./project.js";
import * as server from "./server.js";

const byId = (id) => document.getElementById(id);
export const suggestions = { list: [], now: null };

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
  const none = project.state?.ethogram.length ? "None: all that is tracked is labelled, or recordings are still being read." : "Name the actions first.";
  for (const id of ["suggestion-note", "suggestion-note-2"]) {
    byId(id).textContent = suggestions.list.length ? "The stretch that would teach most comes first." : none;
  }
  mark();
}

function row(each) {
  const item = element("li"), button = element("button", "", { type: "button" });
  button.append(
    element("span", `${each.name.split("/").at(-1)}, from ${time(each.start / each.fps)}`),
    element("span", each.reason, { class: "push soft" }),
  );
  button.addEventListener("click", () => go(each));
  item.append(button);
  return item;
}

function mark() {
  const place = suggestions.list.indexOf(suggestions.now);
  [...byId("suggestions-here").querySelectorAll("button")].forEach((button, at) => button.classList.toggle("here", at === place));
  const { now } = suggestions, isHere = now && page.recording && now.recording === page.recording.index;
  byId("suggestion").hidden = !isHere;
  if (isHere) byId("suggestion-text").textContent = `${time(now.start / now.fps)} to ${time(now.stop / now.fps)}: ${now.reason}`;
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
  const found = new Map(), shown = page.pair;
  for (const view of (page.views ?? []).filter(isOf(pair))) {
    page.pair = [view.agent, view.target];
    for (const [from, to, index] of view.bouts) {
      if (to <= start || from >= stop) continue;
      const { name } = page.recording.rows[index], [agent, target] = page.pairFor(name);
      const bout = page.fitted({ start: Math.max(from, start), stop: Math.min(to, stop), action: name, agent, target });
      found.set(JSON.stringify(bout), bout);
    }
  }
  page.pair = shown;
  return [...found.values()];
}

// Answers the stretch: with the predicted bouts as labels, or with one's own alone. Either
// way all of it was watched.
export async function answer(isAccepted) {
  const { now } = suggestions;
  if (!now || now.recording !== page.recording.index) { showState("go to a suggestion first (s)", true); return; }
  const keys = page.labels.watchable.filter(isOf(now.pair));
  const watch = page.labels.spansOf(keys, now.start, now.stop);
  const meets = (bout) => page.labels.bouts.some((own) => own.action === bout.action && own.agent === bout.agent && own.target === bout.target && own.start < bout.stop && bout.start < own.stop);
  page.labels.change({ watch, add: isAccepted ? predictedIn(now).filter((bout) => !meets(bout)) : [] });
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

byId("suggestion-accept").addEventListener("click", () => answer(true));
byId("suggestion-reject").addEventListener("click", () => answer(false));
byId("suggestion-play").addEventListener("click", playStretch);
byId("suggestion-next").addEventListener("click", next);
