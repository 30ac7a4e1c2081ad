// The annotated bouts of one recording: edited, undone, and saved at once.
// A bout is {start, stop, action, agent, target}, half-open in frames, and never
// changed in place, so that an earlier list is an earlier state.
import * as server from "./server.js";

const WAIT_MS = 300;

export class Labels {
  constructor(recording, showState) {
    this.index = recording.index;
    this.frames = recording.frames;
    this.version = recording.version;
    this.showState = showState;
    this.bouts = recording.bouts.map(([start, stop, action, agent, target]) => ({ start, stop, action, agent, target }));
    this.past = [];
    this.future = [];
    this.timer = null;
    this.saving = Promise.resolve();
    this.unsaved = false;
  }
  change(bouts) {
    this.past.push(this.bouts);
    this.future = [];
    this.take(bouts);
  }
  add(bout) {
    const kept = this.held(bout);
    this.change([...this.bouts, kept]);
    return kept;
  }
  replace(old, bout) {
    const kept = this.held(bout);
    this.change(this.bouts.map((each) => (each === old ? kept : each)));
    return kept;
  }
  remove(bout) {
    this.change(this.bouts.filter((each) => each !== bout));
  }
  held(bout) {
    const start = Math.min(Math.max(Math.round(bout.start), 0), this.frames - 1);
    const stop = Math.min(Math.max(Math.round(bout.stop), start + 1), this.frames);
    return { ...bout, start, stop };
  }
  undo() { this.travel(this.past, this.future); }
  redo() { this.travel(this.future, this.past); }
  travel(from, to) {
    if (!from.length) return;
    to.push(this.bouts);
    this.take(from.pop());
  }
  take(bouts) {
    this.bouts = bouts;
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
    const sent = this.bouts;
    const rows = sent.map((each) => [each.start, each.stop, each.action, each.agent, each.target]);
    try {
      const saved = await server.save(this.index, this.version, rows);
      this.version = saved.version;
      this.unsaved = this.bouts !== sent;
      this.showState(this.unsaved ? "saving …" : `saved: ${saved.path}`);
    } catch (error) {
      this.showState(`not saved: ${error.message}`, true);
      if (error.status === 0) this.timer = setTimeout(() => this.save(), 3000); // the server may come back
    }
  }
}
