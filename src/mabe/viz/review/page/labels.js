// The annotated bouts of one recording, and the spans that were watched: edited, undone,
// and saved at once. A bout is {start, stop, action, agent, target}, half-open in frames.
// `watched` is null (all of it) or a list of [start, stop]. Neither is changed in place, so
// that an earlier list is an earlier state. In a scene one class excludes the others: a bout
// cuts those that it overlaps. Overlapping bouts of one action and pair become one.
import * as server from "./server.js";

const WAIT_MS = 300;

// The parts of a bout outside [start, stop).
function cut(bout, start, stop) {
  if (bout.stop <= start || bout.start >= stop) return [bout];
  const parts = [{ ...bout, stop: start }, { ...bout, start: stop }];
  return parts.filter((each) => each.start < each.stop);
}

export class Labels {
  constructor(recording, showState) {
    this.index = recording.index;
    this.frames = recording.frames;
    this.isExclusive = !recording.isDirected;
    this.version = recording.version;
    this.showState = showState;
    this.bouts = recording.bouts.map(([start, stop, action, agent, target]) => ({ start, stop, action, agent, target }));
    this.watched = recording.watched;
    this.past = [];
    this.future = [];
    this.timer = null;
    this.saving = Promise.resolve();
    this.unsaved = false;
  }
  state() { return { bouts: this.bouts, watched: this.watched }; }
  change(changes) {
    this.past.push(this.state());
    this.future = [];
    this.take({ ...this.state(), ...changes });
  }
  add(bout) {
    return this.place(this.held(bout));
  }
  replace(old, bout) {
    return this.place(this.held(bout), old);
  }
  place(bout, old = null) {
    const isSame = (each) => each.action === bout.action && each.agent === bout.agent && each.target === bout.target;
    const meets = (each) => each.start < bout.stop && bout.start < each.stop;
    const joined = this.bouts.filter((each) => each !== old && isSame(each) && meets(each));
    const start = Math.min(bout.start, ...joined.map((each) => each.start)), stop = Math.max(bout.stop, ...joined.map((each) => each.stop));
    const whole = { ...bout, start, stop };
    const bouts = this.bouts.flatMap((each) => {
      if (each === old) return [whole];
      if (joined.includes(each)) return [];
      return this.isExclusive ? cut(each, start, stop) : [each];
    });
    this.change({ bouts: old === null ? [...bouts, whole] : bouts });
    return whole;
  }
  remove(bout) {
    this.change({ bouts: this.bouts.filter((each) => each !== bout) });
  }
  // Adds a span that was watched; spans that meet become one.
  watch(start, stop) {
    if (this.watched === null) return;
    const spans = [...this.watched, [start, Math.min(stop, this.frames)]].sort((a, b) => a[0] - b[0]);
    const joined = [];
    for (const [from, to] of spans) {
      const last = joined.at(-1);
      if (last && from <= last[1]) joined[joined.length - 1] = [last[0], Math.max(last[1], to)];
      else joined.push([from, to]);
    }
    this.change({ watched: joined });
  }
  watchAll(isAll) { this.change({ watched: isAll ? null : [] }); }
  held(bout) {
    const start = Math.min(Math.max(Math.round(bout.start), 0), this.frames - 1);
    const stop = Math.min(Math.max(Math.round(bout.stop), start + 1), this.frames);
    return { ...bout, start, stop };
  }
  undo() { this.travel(this.past, this.future); }
  redo() { this.travel(this.future, this.past); }
  travel(from, to) {
    if (!from.length) return;
    to.push(this.state());
    this.take(from.pop());
  }
  take({ bouts, watched }) {
    this.bouts = bouts;
    this.watched = watched;
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
    const sent = this.state();
    const rows = sent.bouts.map((each) => [each.start, each.stop, each.action, each.agent, each.target]);
    try {
      const saved = await server.save(this.index, this.version, rows, sent.watched);
      this.version = saved.version;
      this.unsaved = this.bouts !== sent.bouts || this.watched !== sent.watched;
      this.showState(this.unsaved ? "saving …" : `saved: ${saved.path}`);
    } catch (error) {
      this.showState(`not saved: ${error.message}`, true);
      if (error.status === 0) this.timer = setTimeout(() => this.save(), 3000); // the server may come back
    }
  }
}
