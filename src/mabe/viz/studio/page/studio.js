// The studio: the page of the project, and the page of a recording, which is that of
// `mabe view` with labels, keys and suggestions of the studio.
import { KEYS, begin, choose, keyOf, open, page, paint, press, setPair, showState, watch } from "./main.js";
import { StudioLabels, minus } from "./edits.js";
import { follow, load, project } from "./project.js";
import * as settings from "./settings.js";
import * as drawing from "./drawing.js";
import "./incoming.js";
import * as suggest from "./suggestions.js";

const byId = (id) => document.getElementById(id);
let isBegun = false, opening = null, refused = null, released = null;

page.program = "mabe studio";
page.Labels = StudioLabels;
page.ownPairs = (recording) => {
  const shown = recording.pairs.map(String);
  const every = recording.watchable.map(([, agent, target]) => `${agent},${target}`);
  return [...new Set(every)].filter((pair) => !shown.includes(pair)).map((pair) => pair.split(",").map(Number));
};
page.rowOfKey = (key) => page.recording.rows.findIndex((row) => row.key.toLowerCase() === key); // a capital is the key with Shift

// A predicted bout is answered where half of it is labelled, yes or no.
page.isOpen = ([start, stop, index]) => {
  const action = page.recording.rows[index].name, [agent, target] = page.pairFor(action);
  const known = page.labels.coverage.filter((row) => row[2] === action && row[3] === agent && row[4] === target);
  const open = minus([[start, stop]], known).reduce((sum, [from, to]) => sum + to - from, 0);
  return open > (stop - start) / 2;
};

function show(name) {
  byId("project").hidden = name !== "project";
  byId("record").hidden = name !== "record";
  document.body.classList.toggle("at-project", name === "project");
  for (const each of ["project", "record"]) byId(`to-${each}`).setAttribute("aria-pressed", String(each === name));
  if (name === "project") load().then(suggest.load).catch((error) => showState(error.message, true));
  else paint();
}

// Opens a recording, once the page has begun; the same one again keeps its place.
async function openRecording(index) {
  show("record");
  if (!isBegun) {
    isBegun = true;
    sessionStorage.setItem("mabe-recording", index);
    await begin();
    return;
  }
  if (page.recording?.index === index) return;
  page.labels?.close();
  opening = open(index);
  await opening;
}
project.open = openRecording;
page.useRecording = drawing.show;

// After the actions have changed, or a training, the recording that is open shows it.
project.changed = async (before, state) => {
  if (!before) return;
  const isOther = (name) => JSON.stringify(before[name]) !== JSON.stringify(state[name]);
  const isRead = !before.isRead && state.isRead;
  const isSettled = before.settings.version !== state.settings.version;
  if ((isOther("ethogram") || isSettled) && page.recording) {
    const { frame, pair } = page, { index } = page.recording;
    page.labels.close();
    await open(index);
    page.frame = frame;
    setPair(pair);
  }
  drawing.show();
  if (isOther("round") && page.recording) await watch(page.recording.index);
  if (isOther("round") || isOther("ethogram") || isRead) await suggest.load();
};

// ── keys ──

function refuse(row) {
  const { name } = page.recording.rows[row];
  if (refused?.action !== name) {
    const [agent, target] = page.pairFor(name);
    refused = { action: name, agent, target, from: page.frame };
    showState(`“no ${name}” from here; press the key again where it ends`);
    return;
  }
  const { from, ...key } = refused;
  refused = null;
  page.labels.refuse({ ...key, start: Math.min(from, page.frame), stop: Math.max(from, page.frame) + 1 });
  paint();
}

// Rejects the selected predicted bout, else answers the stretch with one's own labels alone.
function reject() {
  const { chosen } = page;
  if (!chosen?.predicted) { suggest.answer(false); return; }
  const [start, stop, index] = chosen.predicted, action = page.recording.rows[index].name;
  const [agent, target] = page.pairFor(action);
  page.labels.refuse({ start, stop, action, agent, target });
  choose(null, false);
  paint();
}

let unwatching = null;
function unwatch() {
  if (unwatching === null) { unwatching = page.frame; showState("not watched from here; press u again where it ends"); return; }
  page.labels.unwatch(Math.min(unwatching, page.frame), Math.max(unwatching, page.frame) + 1);
  unwatching = null;
  paint();
}

const { a: takeOver, Enter: playBout } = KEYS;
Object.assign(KEYS, {
  a: () => (page.chosen?.predicted || !suggest.suggestions.now ? takeOver() : suggest.answer(true)),
  x: reject, s: suggest.next, u: unwatch,
  Enter: () => (page.chosen ? playBout() : suggest.playStretch()),
});

const rowOfShifted = (event) => page.recording.rows.findIndex(({ key }) => event.code === `Digit${key}` || keyOf(event).toLowerCase() === key.toLowerCase() && /\p{L}/u.test(key));
const isFree = (event) => page.recording && !byId("record").hidden && !document.querySelector("dialog[open]") && !event.target.matches("input, select, textarea") && !event.ctrlKey && !event.metaKey && !event.altKey;

addEventListener("keydown", (event) => {
  if (!isFree(event) || !event.shiftKey) return;
  const row = rowOfShifted(event);
  if (row < 0) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (!event.repeat) refuse(row);
}, true);
// With "hold" a bout lasts as long as its key is down.
addEventListener("keydown", (event) => {
  if (!byId("hold").checked || event.repeat || !isFree(event) || event.shiftKey) return;
  if (page.rowOfKey(keyOf(event)) >= 0) released = keyOf(event);
});
addEventListener("keyup", (event) => {
  if (!released || keyOf(event).toLowerCase() !== released) return; // Shift may be held by now
  const row = page.rowOfKey(released);
  released = null;
  if (page.begun && page.recording.rows[row]?.actions.includes(page.begun.action)) press(row);
});

byId("hold").addEventListener("change", () => byId("hold").blur()); // the keys act again

byId("to-project").addEventListener("click", () => show("project"));
byId("to-record").addEventListener("click", () => openRecording(page.recording?.index ?? 0).catch((error) => showState(error.message, true)));
byId("watched-not").addEventListener("click", unwatch);
byId("refuse-bout").addEventListener("click", reject);
Object.assign(window.mabe, { project, settings, drawing, suggestions: suggest.suggestions });
show("project");
follow();
