// Timelines: the whole recording as a strip, and below it a window of it with a row for
// each class: annotated bouts, predicted bouts, and the probability with its threshold.
// Positions are frames; only what lies in the window is drawn.
import * as server from "./server.js";

const BAR = 13, GAP = 2, CURVE = 24, ROW = 2 * (BAR + GAP) + CURVE + 10, AXIS = 18;
const EDGE_PX = 6, LEAST_PX = 1.5, CLOSEST_FRAMES = 12;
const STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 18000];
const UNKNOWN = 255, TOP = 254;

export function clock(seconds, digits = 0) {
  const tenths = 10 ** digits, whole = Math.floor(seconds * tenths + 1e-6) / tenths;
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  const rest = (whole % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

function fit(canvas, height) {
  const ratio = devicePixelRatio || 1, width = canvas.clientWidth;
  canvas.style.height = `${height}px`;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return [pen, width];
}

export class Timeline {
  // `host` gives: recording, labels, views, frame, chosen, begun, isDark, seek, choose, changed, pair.
  constructor(detail, overview, names, host) {
    Object.assign(this, { detail, overview, names, host });
    this.curves = null;
    this.requested = "";
    this.drag = null;
    detail.addEventListener("pointerdown", (event) => this.press(event));
    detail.addEventListener("pointermove", (event) => this.move(event));
    detail.addEventListener("pointerup", (event) => this.release(event));
    detail.addEventListener("pointercancel", () => { this.drag = null; this.host.changed(); });
    detail.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    overview.addEventListener("pointerdown", (event) => { overview.setPointerCapture(event.pointerId); this.scrub(event); });
    overview.addEventListener("pointermove", (event) => { if (event.buttons) this.scrub(event); });
  }
  open() {
    const { recording } = this.host;
    this.start = 0;
    this.stop = Math.min(recording.frames, Math.round(Math.max(600, recording.fps * 120)));
    if (recording.frames < 1.6 * this.stop) this.stop = recording.frames;
    this.curves = null;
    this.requested = "";
    this.kept = null;
    this.rows = new Map(recording.rows.flatMap(({ actions }, place) => actions.map((action) => [action, place])).reverse()); // the first row counts
    this.nameRows();
  }
  nameRows() {
    this.names.replaceChildren(...this.host.recording.rows.map((row, place) => {
      const box = document.createElement("div");
      box.style.top = `${place * ROW}px`;
      const part = (tag, text, kind = "") => Object.assign(document.createElement(tag), { textContent: text, className: kind });
      const dot = part("span", "", "dot"), name = part("b", ""), key = this.host.keyOf(row, place);
      dot.style.background = this.colour(row);
      name.append(dot, part("span", row.name, "name"), ...(key ? [part("kbd", key)] : []));
      name.title = row.name;
      box.append(part("i", "annotated"), part("i", row.hasBouts ? "predicted" : ""), name);
      return box;
    }));
    this.names.style.height = `${this.host.recording.rows.length * ROW}px`;
  }
  colour(row) { return this.host.isDark() ? row.colour.dark : row.colour.light; }
  show(start, stop) {
    const { frames } = this.host.recording;
    const span = Math.min(Math.max(Math.round(stop - start), CLOSEST_FRAMES), frames);
    this.start = Math.min(Math.max(Math.round(start), 0), frames - span);
    this.stop = this.start + span;
    this.host.changed();
  }
  zoom(factor, around = this.host.frame) {
    const fixed = around >= this.start && around < this.stop ? around : (this.start + this.stop) / 2;
    this.show(fixed - (fixed - this.start) * factor, fixed + (this.stop - fixed) * factor);
  }
  follow(frame) {
    if (frame >= this.start && frame < this.stop) return;
    const span = this.stop - this.start;
    this.show(frame - span * 0.1, frame + span * 0.9);
  }
  x(frame) { return ((frame - this.start) / (this.stop - this.start)) * this.detail.clientWidth; }
  frameAt(event) {
    const box = this.detail.getBoundingClientRect();
    return this.start + ((event.clientX - box.left) / box.width) * (this.stop - this.start);
  }
  rowOf(bout) { return this.rows.get(bout.action) ?? -1; }
  // The annotated bouts that are shown: of a pair model those of the chosen pair.
  shown() {
    const { labels: { bouts }, recording, pair } = this.host, shownPair = pair.join();
    if (!recording.isDirected) return bouts;
    if (this.kept?.bouts !== bouts || this.kept.shownPair !== shownPair) {
      const pairs = new Map([...this.rows.keys()].map((action) => [action, this.host.pairFor(action).join()]));
      const shown = bouts.filter(({ action, agent, target }) => pairs.get(action) === `${agent},${target}`);
      this.kept = { bouts, shownPair, shown }; // a list of bouts is never changed in place
    }
    return this.kept.shown;
  }
  isShown({ action, agent, target }) {
    const pair = this.host.pairFor(action);
    return agent === pair[0] && target === pair[1];
  }
  viewIndex() {
    const { views, recording, pair } = this.host;
    if (!views) return -1;
    if (!recording.isDirected) return views.length ? 0 : -1;
    return views.findIndex(({ agent, target }) => agent === pair[0] && target === pair[1]);
  }
  predicted() {
    const index = this.viewIndex();
    return index < 0 ? [] : this.host.views[index].bouts;
  }
  // Spans in which a row's actions were not watched for, for the pair that is shown.
  gaps(row) {
    const { labels, recording } = this.host;
    if (labels.watched === null) return [];
    const isShown = ([, , action, agent, target]) => row.actions.includes(action) && (!recording.isDirected || this.isShown({ action, agent, target }));
    const known = [...labels.watched, ...(labels.coverage ?? recording.coverage).filter(isShown), ...this.shown().filter((bout) => row.actions.includes(bout.action)).map((bout) => [bout.start, bout.stop])];
    const gaps = [];
    let at = 0;
    for (const [start, stop] of known.sort((a, b) => a[0] - b[0])) {
      if (start > at) gaps.push([at, start]);
      at = Math.max(at, stop);
    }
    if (at < recording.frames) gaps.push([at, recording.frames]);
    return gaps;
  }
  drawGaps(pen, row, top, css) {
    pen.strokeStyle = css.getPropertyValue("--soft");
    pen.globalAlpha = 0.45;
    pen.lineWidth = 1;
    for (const [start, stop] of this.gaps(row)) {
      const left = Math.max(this.x(start), 0), right = Math.min(this.x(stop), this.detail.clientWidth);
      if (right <= left) continue;
      pen.save();
      pen.beginPath();
      pen.rect(left, top, right - left, BAR);
      pen.clip();
      pen.beginPath();
      for (let x = Math.floor(left / 7) * 7 - BAR; x < right; x += 7) {
        pen.moveTo(x, top + BAR);
        pen.lineTo(x + BAR, top);
      }
      pen.stroke();
      pen.restore();
    }
    pen.globalAlpha = 1;
  }
  draw() {
    this.drawOverview();
    this.drawDetail();
    this.fetchCurves();
  }
  drawOverview() {
    const { recording, frame } = this.host;
    const [pen, width] = fit(this.overview, 30);
    const css = getComputedStyle(document.body);
    pen.fillStyle = css.getPropertyValue("--track");
    pen.fillRect(0, 0, width, 30);
    const x = (at) => (at / recording.frames) * width;
    const bar = (row, start, stop, top) => {
      if (row < 0) return;
      pen.fillStyle = this.colour(recording.rows[row]);
      pen.fillRect(x(start), top, Math.max(x(stop) - x(start), LEAST_PX), 11);
    };
    for (const bout of this.shown()) bar(this.rowOf(bout), bout.start, bout.stop, 3);
    for (const [start, stop, index] of this.predicted()) bar(this.rowOfClass(index), start, stop, 16);
    pen.fillStyle = css.getPropertyValue("--accent");
    for (const [start, stop] of this.host.labels.watched ?? []) pen.fillRect(x(start), 28, x(stop) - x(start), 2);
    pen.strokeStyle = css.getPropertyValue("--ink");
    pen.lineWidth = 1.5;
    pen.strokeRect(x(this.start) + 0.75, 0.75, Math.max(x(this.stop) - x(this.start) - 1.5, 2), 28.5);
    pen.fillStyle = css.getPropertyValue("--bad");
    pen.fillRect(x(frame) - 1, 0, 2, 30);
  }
  rowOfClass(index) { return this.host.recording.rows.findIndex((row) => row.classIndex === index); }
  drawDetail() {
    const { recording, frame, chosen, begun } = this.host;
    const rows = recording.rows;
    const [pen, width] = fit(this.detail, rows.length * ROW + AXIS);
    const css = getComputedStyle(document.body), ink = css.getPropertyValue("--ink");
    rows.forEach((row, place) => {
      const top = place * ROW;
      pen.fillStyle = css.getPropertyValue("--track");
      pen.fillRect(0, top, width, BAR);
      this.drawGaps(pen, row, top, css);
      if (row.classIndex === null) return;
      if (row.hasBouts) pen.fillRect(0, top + BAR + GAP, width, BAR);
      this.drawCurve(pen, row, top + ROW - 8, css);
    });
    for (const bout of this.shown()) {
      const { start, stop } = bout === this.drag?.bout && this.drag.preview ? this.drag.preview : bout;
      this.drawBout(pen, this.rowOf(bout), 0, start, stop, bout === chosen?.bout, 1, ink);
    }
    for (const each of this.predicted()) this.drawBout(pen, this.rowOfClass(each[2]), 1, each[0], each[1], each === chosen?.predicted, 0.7, ink);
    if (this.drag?.kind === "new") this.drawBout(pen, this.drag.row, 0, ...this.drag.span, true, 0.6, ink);
    if (begun) this.drawBout(pen, this.rowOf(begun), 0, Math.min(begun.start, frame), Math.max(begun.start, frame) + 1, true, 0.6, ink);
    this.drawAxis(pen, width, rows.length * ROW, css);
    pen.fillStyle = css.getPropertyValue("--accent");
    const { watching } = this.host;
    const watched = [...(this.host.labels.watched ?? []), ...(watching === null ? [] : [[Math.min(watching, frame), Math.max(watching, frame) + 1]])];
    for (const [start, stop] of watched) pen.fillRect(this.x(start), rows.length * ROW - 2, this.x(stop) - this.x(start), 3);
    const x = this.x(frame + 0.5);
    pen.fillStyle = css.getPropertyValue("--bad");
    pen.fillRect(x - 1, 0, 2, rows.length * ROW);
  }
  drawBout(pen, row, line, start, stop, isChosen, alpha, ink) {
    if (row < 0 || stop <= this.start || start >= this.stop) return;
    const left = this.x(start), width = Math.max(this.x(stop) - left, LEAST_PX);
    const top = row * ROW + line * (BAR + GAP);
    pen.globalAlpha = alpha;
    pen.fillStyle = this.colour(this.host.recording.rows[row]);
    pen.fillRect(left, top, width, BAR);
    pen.globalAlpha = 1;
    if (!isChosen) return;
    pen.strokeStyle = ink;
    pen.lineWidth = 2;
    pen.strokeRect(left, top + 1, width, BAR - 2);
  }
  drawCurve(pen, row, foot, css) {
    if (row.threshold !== null && row.threshold < 1) {
      pen.strokeStyle = css.getPropertyValue("--soft");
      pen.lineWidth = 1;
      pen.setLineDash([3, 4]);
      pen.beginPath();
      pen.moveTo(0, foot - row.threshold * CURVE);
      pen.lineTo(this.detail.clientWidth, foot - row.threshold * CURVE);
      pen.stroke();
      pen.setLineDash([]);
    }
    const curves = this.curves;
    if (!curves || curves.view !== this.viewIndex()) return;
    const count = curves.values.length / curves.classes;
    const x = (column) => this.x(curves.first + (column + 0.5) * curves.step);
    pen.beginPath();
    let from = null;
    for (let column = 0; column < count; column += 1) {
      const value = curves.values[column * curves.classes + row.classIndex];
      if (value === UNKNOWN) continue;
      if (from === null) pen.moveTo((from = x(column)), foot);
      pen.lineTo(x(column), foot - (value / TOP) * CURVE);
    }
    if (from === null) return;
    pen.lineTo(x(count - 1), foot);
    pen.closePath();
    pen.fillStyle = pen.strokeStyle = this.colour(row);
    pen.globalAlpha = 0.25;
    pen.fill();
    pen.globalAlpha = 0.9;
    pen.lineWidth = 1;
    pen.stroke();
    pen.globalAlpha = 1;
  }
  drawAxis(pen, width, top, css) {
    const { fps } = this.host.recording, seconds = (this.stop - this.start) / fps;
    const step = STEPS_S.find((each) => seconds / each <= width / 90) ?? STEPS_S.at(-1);
    pen.fillStyle = css.getPropertyValue("--soft");
    pen.font = "11px system-ui, sans-serif";
    for (let n = Math.ceil(this.start / fps / step - 1e-9); n * step * fps < this.stop; n += 1) {
      const x = this.x(n * step * fps);
      if (x > width - 34) break;
      pen.fillRect(x, top, 1, 5);
      pen.fillText(clock(n * step + 1e-6, step < 1 ? 1 : 0), x + 3, top + 13);
    }
  }
  // Fetches probabilities around the window, at about a column a pixel, when it has moved.
  fetchCurves() {
    const view = this.viewIndex();
    if (view < 0) return;
    const { recording } = this.host, span = this.stop - this.start;
    const has = this.curves;
    const covers = has && has.view === view && has.index === recording.index && has.start <= this.start && has.last >= this.stop;
    if (covers && has.span / span < 1.6 && span / has.span < 1.6) return;
    const start = Math.max(0, this.start - Math.round(span / 2)), stop = Math.min(recording.frames, this.stop + Math.round(span / 2));
    const key = `${recording.index} ${view} ${start} ${stop}`;
    if (key === this.requested) return;
    this.requested = key;
    this.abort?.abort();
    this.abort = new AbortController();
    const columns = Math.min(4000, Math.max(200, this.detail.clientWidth * 2));
    server.probabilities(recording.index, view, start, stop, columns, this.abort.signal).then(
      (sent) => {
        if (key !== this.requested) return;
        this.curves = { ...sent, view, index: recording.index, span, start, last: stop, classes: this.host.classes() };
        this.host.changed();
      },
      (error) => { if (error.name !== "AbortError") this.host.showState(error.message, true); },
    );
  }
  // What is under the pointer: an annotated bout, its edge, a predicted bout, or a row.
  hit(event) {
    const box = this.detail.getBoundingClientRect();
    const y = event.clientY - box.top, px = event.clientX - box.left;
    const row = Math.floor(y / ROW), within = y - row * ROW;
    if (row < 0 || row >= this.host.recording.rows.length) return { kind: "axis" };
    if (within < BAR + GAP / 2) {
      let best = null;
      for (const bout of this.shown()) {
        if (this.rowOf(bout) !== row) continue;
        const left = this.x(bout.start), right = Math.max(this.x(bout.stop), left + LEAST_PX);
        if (px < left - EDGE_PX || px > right + EDGE_PX) continue;
        const inner = Math.min(EDGE_PX, (right - left) / 3);
        const edge = px < left + inner ? "start" : px > right - inner ? "stop" : null;
        const distance = edge ? Math.min(Math.abs(px - left), Math.abs(px - right)) : 0;
        const isChosen = bout === this.host.chosen?.bout;
        if (!best || distance < best.distance || isChosen) best = { kind: "bout", bout, edge, distance };
        if (isChosen) break;
      }
      return best ?? { kind: "row", row };
    }
    if (within < 2 * BAR + GAP) {
      const predicted = this.predicted().find((each) => this.rowOfClass(each[2]) === row && px >= this.x(each[0]) - 2 && px <= this.x(each[1]) + 2);
      if (predicted) return { kind: "predicted", predicted };
    }
    return { kind: "time" };
  }
  press(event) {
    if (event.button !== 0) return;
    this.detail.focus({ preventScroll: true });
    this.detail.setPointerCapture(event.pointerId);
    const hit = this.hit(event), frame = this.frameAt(event);
    if (hit.kind === "bout") {
      this.host.choose({ bout: hit.bout }, !hit.edge);
      this.drag = { kind: hit.edge ?? "none", bout: hit.bout, from: event.clientX, moved: false };
    } else if (hit.kind === "predicted") {
      this.host.choose({ predicted: hit.predicted }, true);
      this.drag = { kind: "none" };
    } else if (hit.kind === "row") {
      this.drag = { kind: "row", row: hit.row, from: event.clientX, first: frame };
    } else {
      this.drag = { kind: "time" };
      this.host.seek(frame);
    }
  }
  move(event) {
    const { drag } = this, frame = this.frameAt(event);
    if (!drag) {
      const hit = this.hit(event);
      this.detail.style.cursor = hit.edge ? "ew-resize" : hit.kind === "bout" || hit.kind === "predicted" ? "pointer" : "crosshair";
      return;
    }
    if (drag.kind === "time") this.host.seek(frame);
    if (drag.kind === "row" && Math.abs(event.clientX - drag.from) > 3) drag.kind = "new";
    if (drag.kind === "new") {
      drag.span = [Math.min(drag.first, frame), Math.max(drag.first, frame)].map(Math.round);
      this.host.changed();
    }
    if ((drag.kind === "start" || drag.kind === "stop") && Math.abs(event.clientX - drag.from) > 2) {
      drag.moved = true;
      const edge = Math.round(frame);
      const bout = drag.kind === "start" ? { start: Math.min(edge, drag.bout.stop - 1) } : { stop: Math.max(edge, drag.bout.start + 1) };
      drag.preview = { ...drag.bout, ...bout };
      this.host.seek(drag.kind === "start" ? drag.preview.start : drag.preview.stop - 1);
    }
  }
  release(event) {
    const { drag } = this;
    this.drag = null;
    if (!drag) return;
    if (drag.moved) this.host.edit(drag.bout, drag.preview);
    if (drag.kind === "new") this.host.addAt(drag.row, ...drag.span);
    if (drag.kind === "row") this.host.seek(this.frameAt(event));
    this.host.changed();
  }
  wheel(event) {
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) { this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.frameAt(event)); return; }
    const by = ((event.deltaX || event.deltaY) / this.detail.clientWidth) * (this.stop - this.start);
    this.show(this.start + by, this.stop + by);
  }
  scrub(event) {
    const box = this.overview.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    this.host.seek(share * this.host.recording.frames);
  }
}
