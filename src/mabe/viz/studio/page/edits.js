// The labels of one recording in the studio. Each frame of an action and pair is "yes" (a
// bout), "no" (watched, and no bout) or not watched. What goes to the server is what was
// added and removed since it last answered, so two windows do not replace each other's
// labels; what others have changed comes back and is put below one's own changes. Undo
// takes back one's own edits only, as long as the page is open. Spans are [start, stop), sorted and disjoint.
import * as server from "./server.js";

const WAIT_MS = 150, RETRY_MS = 1000, LOOK_MS = 2000;
const keyOf = ({ action, agent, target }) => `${action},${agent},${target}`;
const idOf = (bout) => `${bout.start},${bout.stop},${keyOf(bout)}`;
const rowOf = (bout) => [bout.start, bout.stop, bout.action, bout.agent, bout.target];
const boutOf = ([start, stop, action, agent, target]) => ({ start, stop, action, agent, target });

export function union(spans) {
  const joined = [];
  for (const [start, stop] of [...spans].sort((a, b) => a[0] - b[0])) {
    const last = joined.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], stop);
    else joined.push([start, stop]);
  }
  return joined;
}

export function minus(spans, gone) {
  let rest = spans;
  for (const [from, to] of gone) {
    rest = rest.flatMap(([start, stop]) => (to <= start || from >= stop ? [[start, stop]] : [[start, from], [to, stop]].filter(([a, b]) => a < b)));
  }
  return rest;
}

function stateOf(bouts, coverage) {
  const state = { bouts: new Map(), cover: new Map() };
  for (const row of bouts) state.bouts.set(idOf(boutOf(row)), boutOf(row));
  for (const [start, stop, action, agent, target] of coverage) {
    const key = keyOf({ action, agent, target });
    state.cover.set(key, [...(state.cover.get(key) ?? []), [start, stop]]);
  }
  return state;
}

function applied(state, edit) {
  const bouts = new Map(state.bouts), cover = new Map(state.cover);
  for (const bout of edit.remove ?? []) bouts.delete(idOf(bout));
  for (const bout of edit.add ?? []) if (!bouts.has(idOf(bout))) bouts.set(idOf(bout), bout);
  for (const span of [...(edit.watch ?? []), ...(edit.add ?? [])]) {
    cover.set(keyOf(span), union([...(cover.get(keyOf(span)) ?? []), [span.start, span.stop]]));
  }
  for (const span of edit.unwatch ?? []) {
    const own = [...bouts.values()].filter((bout) => keyOf(bout) === keyOf(span)).map(({ start, stop }) => [start, stop]);
    cover.set(keyOf(span), minus(cover.get(keyOf(span)) ?? [], minus([[span.start, span.stop]], own)));
  }
  return { bouts, cover };
}

function difference(before, after) {
  const spans = (from, without) => [...from].flatMap(([key, own]) => {
    const [action, agent, target] = key.split(",");
    return minus(own, without.get(key) ?? []).map(([start, stop]) => ({ start, stop, action, agent: Number(agent), target: Number(target) }));
  });
  return {
    add: [...after.bouts.values()].filter((bout) => !before.bouts.has(idOf(bout))),
    remove: [...before.bouts.values()].filter((bout) => !after.bouts.has(idOf(bout))),
    watch: spans(after.cover, before.cover), unwatch: spans(before.cover, after.cover),
  };
}

const inverse = ({ add, remove, watch, unwatch }) => ({ add: remove, remove: add, watch: unwatch, unwatch: watch });
// The edits of each recording, to be undone and redone after it was opened again.
const histories = new Map();
function historyOf({ name, watchable, rows }) {
  const known = new Set(watchable.map(([action, agent, target]) => keyOf({ action, agent, target })));
  const points = new Set(rows.filter((row) => row.point).map((row) => row.name));
  const fits = (span) => known.has(keyOf(span));
  const isPossible = ({ add, remove, watch, unwatch }) => [add, remove, watch, unwatch].every((part) => part.every(fits))
    && [...add, ...remove].every(({ start, stop, action }) => !points.has(action) || stop === start + 1);
  const { past = [], future = [] } = histories.get(name) ?? {};
  const history = { past: past.filter(isPossible), future: future.filter(isPossible) }; // actions may have changed
  histories.set(name, history);
  return history;
}

const isNothing = (edit) => Object.values(edit).every((part) => !part.length);

export class StudioLabels {
  constructor(recording, showState, changed) {
    Object.assign(this, { index: recording.index, frames: recording.frames, showState, changed });
    this.watchable = recording.watchable.map(([action, agent, target]) => ({ action, agent, target }));
    this.version = recording.version;
    this.saved = this.now = stateOf(recording.bouts, recording.coverage);
    Object.assign(this, historyOf(recording));
    this.timer = null;
    this.saving = Promise.resolve();
    this.unsaved = false;
    this.looking = setInterval(() => this.look(), LOOK_MS);
  }
  close() { clearInterval(this.looking); }
  get bouts() { return this.memo("bouts", () => [...this.now.bouts.values()]); }
  get coverage() {
    return this.memo("rows", () => [...this.now.cover].flatMap(([key, spans]) => {
      const [action, agent, target] = key.split(",");
      return spans.map(([start, stop]) => [start, stop, action, Number(agent), Number(target)]);
    }));
  }
  // The spans in which everything was watched for.
  get watched() {
    return this.memo("watched", () => {
      let spans = this.watchable.length ? [[0, this.frames]] : [];
      for (const key of this.watchable.map(keyOf)) spans = minus(spans, minus([[0, this.frames]], this.now.cover.get(key) ?? []));
      return spans;
    });
  }
  // What was watched for some actions or animals alone, in words; null where there is none.
  partly(time) {
    return this.memo("partly", () => {
      const length = (spans) => spans.reduce((sum, [start, stop]) => sum + stop - start, 0);
      const rows = this.coverage, some = union(rows.map(([start, stop]) => [start, stop])), all = length(this.watched);
      if (length(some) === all) return null;
      const actions = [...new Set(this.watchable.map(({ action }) => action))];
      const lacking = actions.filter((action) => minus(some, rows.filter((row) => row[2] === action)).length);
      const names = lacking.length > 3 ? [...lacking.slice(0, 3), `${lacking.length - 3} more`] : lacking;
      const what = names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0] ?? "all animals";
      return `${time(length(some))} of ${time(this.frames)}, but not for ${what}${all ? ` (for everything: ${time(all)})` : ""}`;
    });
  }
  memo(name, make) {
    if (this.memoOf !== this.now) { this.memoOf = this.now; this.memos = {}; }
    return (this.memos[name] ??= make());
  }
  held(bout) {
    const start = Math.min(Math.max(Math.round(bout.start), 0), this.frames - 1);
    return { ...bout, start, stop: Math.min(Math.max(Math.round(bout.stop), start + 1), this.frames) };
  }
  // One step that can be undone.
  change(edit) {
    const after = applied(this.now, edit), made = difference(this.now, after);
    if (isNothing(made)) return;
    this.past.push(made);
    this.future.length = 0; // the list is kept for when the recording is opened again
    this.take(after);
  }
  add(bout) { return this.place(this.held(bout)); }
  replace(old, bout) { return this.place(this.held(bout), old); }
  place(bout, old = null) {
    const same = (each) => keyOf(each) === keyOf(bout) && each !== old && each.start < bout.stop && bout.start < each.stop;
    const joined = this.bouts.filter(same);
    const start = Math.min(bout.start, ...joined.map((each) => each.start)), stop = Math.max(bout.stop, ...joined.map((each) => each.stop));
    const whole = { ...boutOf(rowOf(bout)), start, stop };
    const gone = old ? [...joined, old] : joined;
    this.change({ add: [whole], remove: gone.filter((each) => idOf(each) !== idOf(whole)), unwatch: old ? this.onlyBout(old) : [] });
    return this.now.bouts.get(idOf(whole)) ?? whole;
  }
  remove(bout) { this.change({ remove: [bout], unwatch: this.onlyBout(bout) }); }
  // The frames of a bout, where nothing but bouts was watched around it: without the bout they
  // are not watched. In time that was watched they become "no".
  onlyBout(bout) {
    const own = this.bouts.filter((each) => keyOf(each) === keyOf(bout)).map(({ start, stop }) => [start, stop]);
    const around = (this.now.cover.get(keyOf(bout)) ?? []).filter(([start, stop]) => start <= bout.start && bout.stop <= stop);
    return minus(around, union(own)).length ? [] : [bout];
  }
  // "No": the action does not happen in these frames.
  refuse(span) {
    const { start, stop } = this.held(span);
    const cut = this.bouts.filter((each) => keyOf(each) === keyOf(span) && each.start < stop && start < each.stop);
    const rest = cut.flatMap((each) => minus([[each.start, each.stop]], [[start, stop]]).map(([a, b]) => ({ ...each, start: a, stop: b })));
    this.change({ remove: cut, add: rest, watch: [{ ...span, start, stop }] });
  }
  spansOf(keys, start, stop) { return keys.map((key) => ({ ...key, start: Math.max(0, start), stop: Math.min(stop, this.frames) })); }
  watch(start, stop) { this.change({ watch: this.spansOf(this.watchable, start, stop) }); }
  unwatch(start, stop) { this.change({ unwatch: this.spansOf(this.watchable, start, stop) }); }
  watchAll() {
    const isAll = this.watched.length === 1 && this.watched[0][1] - this.watched[0][0] === this.frames;
    if (isAll) this.unwatch(0, this.frames);
    else this.watch(0, this.frames);
  }
  undo() { this.travel(this.past, this.future, (made) => inverse(made)); }
  redo() { this.travel(this.future, this.past, (made) => made); }
  travel(from, to, turn) {
    if (!from.length) return;
    const made = from.pop();
    to.push(made);
    this.take(applied(this.now, turn(made)));
  }
  take(state) {
    this.now = state;
    this.unsaved = true;
    this.showState("saving …");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), WAIT_MS);
  }
  save() {
    clearTimeout(this.timer);
    this.saving = this.saving.then(() => this.send()); // one after the other
    return this.saving;
  }
  async send() {
    if (!this.unsaved) return;
    const sent = this.now, edit = difference(this.saved, sent);
    const rows = Object.fromEntries(Object.entries(edit).map(([name, part]) => [name, part.map(rowOf)]));
    try {
      const answer = await server.request(`recordings/${this.index}/labels`, { method: "POST", body: JSON.stringify({ version: this.version, ...rows }) });
      this.answered(sent, await answer.json());
      this.unsaved = this.now !== sent && !isNothing(difference(this.saved, this.now));
      this.showState(this.unsaved ? "saving …" : "saved");
    } catch (error) {
      const again = error.status === 0 ? "; make the edits since the last “saved” again there" : "";
      this.showState(`not saved: ${error.message}${again}`, true);
      if (error.status === 0) this.timer = setTimeout(() => this.save(), RETRY_MS); // the server may come back
    }
  }
  answered(sent, { version, bouts, coverage }) {
    this.version = version;
    this.saved = sent;
    if (!bouts) return;
    const own = difference(sent, this.now), theirs = stateOf(bouts, coverage);
    for (const id of theirs.bouts.keys()) if (this.now.bouts.has(id)) theirs.bouts.set(id, this.now.bouts.get(id)); // a chosen bout stays chosen
    this.saved = theirs;
    this.now = isNothing(own) ? theirs : applied(theirs, own);
    this.changed();
  }
  // Takes over what another window has changed.
  async look() {
    if (this.unsaved || document.hidden) return;
    const before = this.now;
    try {
      const labels = await (await server.request(`recordings/${this.index}/labels`)).json();
      if (this.unsaved || this.now !== before || labels.version === this.version) return;
      this.answered(before, labels);
    } catch (error) {
      this.showState(error.message, true);
    }
  }
}
