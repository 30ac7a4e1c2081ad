// A line, rectangle, circle or polygon over the film: by mouse, or by a cross that keys move.
// Points are pixels of the film, [x, y].
import { page, paint, showAll, stage } from "./main.js";

const NEAR = 9; // of a point that is taken hold of, in pixels of the window

export class StageDrawing {
  constructor(canvas, changed) {
    Object.assign(this, { canvas, changed, shape: "line", points: [], cross: null, held: null, bounds: null });
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", () => { this.held = null; });
    canvas.addEventListener("keydown", (event) => this.key(event));
    addEventListener("resize", () => this.draw());
  }
  get isOpen() { return !this.canvas.hidden; }
  // All of the film is shown while something is drawn, without one also what lies around.
  open() {
    const { recording } = page, film = stage.film;
    showAll();
    if (!this.isOpen) {
      this.bounds = recording.bounds;
      const [x, y] = recording.originCm, [left, top, right, bottom] = this.bounds;
      const room = 0.15 * Math.max(right - left, bottom - top);
      recording.bounds = recording.video && film.videoWidth
        ? [-x, -y, film.videoWidth / recording.pixelsPerCm - x, film.videoHeight / recording.pixelsPerCm - y]
        : [left - room, top - room, right + room, bottom + room];
    }
    this.of = recording;
    this.canvas.hidden = false;
    const { clientWidth, clientHeight } = this.canvas;
    this.cross = this.pixel([clientWidth / 2, clientHeight / 2]).map(Math.round);
    this.canvas.focus();
    paint();
    this.draw();
  }
  close() {
    if (this.isOpen) this.of.bounds = this.bounds;
    this.canvas.hidden = true;
    this.held = null;
    paint();
  }
  set(shape, points) {
    Object.assign(this, { shape, points, held: null });
    this.draw();
  }
  get most() { return this.shape === "polygon" ? 200 : 2; }
  pixel([x, y]) {
    const { zoom, x: left, y: top } = stage.scale(), { originCm, pixelsPerCm } = page.recording;
    return [((x - left) / zoom + originCm[0]) * pixelsPerCm, ((y - top) / zoom + originCm[1]) * pixelsPerCm];
  }
  place([x, y]) {
    const { zoom, x: left, y: top } = stage.scale(), { originCm, pixelsPerCm } = page.recording;
    return [(x / pixelsPerCm - originCm[0]) * zoom + left, (y / pixelsPerCm - originCm[1]) * zoom + top];
  }
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }
  press(event) {
    const at = this.at(event);
    const near = this.points.findIndex((point) => Math.hypot(...this.place(point).map((each, axis) => each - at[axis])) < NEAR);
    this.canvas.setPointerCapture(event.pointerId);
    if (near >= 0) { this.held = near; return; }
    if (this.shape === "polygon") this.held = this.points.push(this.tidy(this.pixel(at))) - 1;
    else { this.points = [this.tidy(this.pixel(at)), this.tidy(this.pixel(at))]; this.held = 1; }
    this.report();
  }
  move(event) {
    if (this.held === null) return;
    this.points[this.held] = this.tidy(this.pixel(this.at(event)));
    this.report();
  }
  tidy(point) { return point.map((each) => Math.round(each * 10) / 10); }
  report() {
    this.draw();
    this.changed(this.points);
  }
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.key === "Tab") return;
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    event.stopPropagation(); // the keys of the page do not act
    if (by) this.cross = this.cross.map((each, axis) => each + by[axis] * (event.shiftKey ? 10 : 1));
    else if (event.key === "Enter") this.points = this.points.length < this.most ? [...this.points, [...this.cross]] : [[...this.cross]];
    else if (event.key === "Backspace") this.points = this.points.slice(0, -1);
    else if (event.key === "Escape") { this.close(); this.changed(this.points); return; }
    else return;
    event.preventDefault();
    this.report();
  }
  draw() {
    if (!this.isOpen) return;
    const { canvas, points } = this, ratio = devicePixelRatio || 1, pen = canvas.getContext("2d");
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const at = points.map((point) => this.place(point));
    for (const [colour, width] of [["#ffffff", 5], ["#b3261e", 2]]) { // legible on any film
      pen.strokeStyle = colour;
      pen.lineWidth = width;
      pen.beginPath();
      this.outline(pen, at);
      for (const [x, y] of at) { pen.moveTo(x + 4, y); pen.arc(x, y, 4, 0, 7); }
      if (document.activeElement === canvas && this.held === null) {
        const [x, y] = this.place(this.cross);
        pen.moveTo(x - 9, y); pen.lineTo(x + 9, y); pen.moveTo(x, y - 9); pen.lineTo(x, y + 9);
      }
      pen.stroke();
    }
  }
  outline(pen, at) {
    if (at.length < 2) return;
    const [[x, y], [right, bottom]] = at;
    if (this.shape === "circle") pen.arc(x, y, Math.hypot(right - x, bottom - y), 0, 7);
    else if (this.shape === "rectangle") pen.rect(x, y, right - x, bottom - y);
    else {
      pen.moveTo(x, y);
      for (const each of at.slice(1)) pen.lineTo(...each);
      if (this.shape === "polygon") pen.closePath();
    }
  }
}
