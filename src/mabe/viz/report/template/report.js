"use strict";
// Zoom, jumps and keys of ethograms. One unit of a viewBox is a second.
const STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 18000];
const CLOSEST_S = 0.5;
const tip = document.getElementById("tip");

function clock(seconds, step) {
  const digits = step < 1 ? 1 : 0;
  const tenths = 10 ** digits;
  const whole = Math.round(seconds * tenths) / tenths;
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  const rest = (whole % 60).toFixed(digits).padStart(digits ? 4 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

class Ethogram {
  constructor(figure) {
    this.figure = figure;
    this.svg = figure.querySelector(".ethogram");
    this.axis = figure.querySelector(".axis");
    this.brush = figure.querySelector(".brush");
    this.described = figure.querySelector(".described");
    this.duration = Number(figure.dataset.duration);
    this.height = this.svg.viewBox.baseVal.height;
    this.start = 0;
    this.stop = this.duration;
    figure.addEventListener("click", (event) => this.press(event.target.dataset.do));
    figure.addEventListener("keydown", (event) => this.key(event));
    this.svg.addEventListener("pointerdown", (event) => this.beginBrush(event));
    this.svg.addEventListener("dblclick", () => this.show(0, this.duration));
    this.svg.addEventListener("pointermove", (event) => this.hover(event));
    this.svg.addEventListener("pointerleave", () => { tip.hidden = true; });
    this.svg.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }
  show(start, stop) {
    const span = Math.min(Math.max(stop - start, CLOSEST_S), this.duration);
    this.start = Math.min(Math.max(start, 0), this.duration - span);
    this.stop = this.start + span;
    this.svg.setAttribute("viewBox", `${this.start} 0 ${span} ${this.height}`);
    this.drawAxis(span);
  }
  drawAxis(span) {
    const most = Math.max(3, Math.floor(this.axis.clientWidth / 90));
    const step = STEPS_S.find((each) => span / each <= most) ?? STEPS_S.at(-1);
    this.axis.replaceChildren();
    for (let n = Math.ceil(this.start / step - 1e-9); n * step < this.stop; n += 1) {
      const share = (n * step - this.start) / span;
      if ((1 - share) * this.axis.clientWidth < 40) break; // its text would be cut off
      const mark = document.createElement("span");
      mark.textContent = clock(n * step, step);
      mark.style.left = `${100 * share}%`;
      this.axis.append(mark);
    }
  }
  zoom(factor, around = (this.start + this.stop) / 2) {
    this.show(around - (around - this.start) * factor, around + (this.stop - around) * factor);
  }
  move(share) {
    const by = (this.stop - this.start) * share;
    this.show(this.start + by, this.stop + by);
  }
  press(what) {
    const acts = { in: () => this.zoom(0.5), out: () => this.zoom(2), left: () => this.move(-0.5), right: () => this.move(0.5), all: () => this.show(0, this.duration) };
    acts[what]?.();
  }
  key(event) {
    if (event.target !== this.figure || event.ctrlKey || event.metaKey || event.altKey) return;
    const acts = { "+": "in", "=": "in", "-": "out", ArrowLeft: "left", ArrowRight: "right", 0: "all" };
    if (event.key in acts) this.press(acts[event.key]);
    else if (event.key === "n") this.step(1);
    else if (event.key === "p") this.step(-1);
    else return;
    event.preventDefault();
  }
  bouts() {
    this.ordered ??= [...this.svg.querySelectorAll(".annotated, .predicted")].sort((a, b) => a.x.baseVal.value - b.x.baseVal.value);
    return this.ordered;
  }
  step(by) {
    const bouts = this.bouts();
    if (!bouts.length) return;
    const now = this.here ? bouts.indexOf(this.here) : by > 0 ? -1 : 0;
    const next = bouts[(now + by + bouts.length) % bouts.length];
    const start = next.x.baseVal.value, width = next.width.baseVal.value;
    this.jump(start, start + width);
    this.mark(next);
  }
  mark(rect) {
    this.here?.classList.remove("here");
    this.here = rect;
    rect.classList.add("here");
    this.described.textContent = this.describe(rect);
  }
  jump(start, stop) {
    const room = Math.max(5, stop - start);
    this.show(start - room, stop + room);
  }
  describe(rect) {
    const start = rect.x.baseVal.value, width = rect.width.baseVal.value;
    const row = [...rect.closest("svg").children].indexOf(rect.parentNode);
    const name = this.figure.querySelectorAll(".names b")[row].textContent;
    const source = rect.classList.contains("annotated") ? "annotated" : "predicted";
    return `${name}, ${source}: ${clock(start, 0.1)} to ${clock(start + width, 0.1)} (${width.toFixed(1)} s)`;
  }
  hover(event) {
    const rect = event.target;
    if (!rect.matches(".annotated, .predicted")) { tip.hidden = true; return; }
    tip.textContent = this.describe(rect);
    tip.hidden = false;
    tip.style.left = `${Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${event.clientY + 16}px`;
  }
  secondAt(event) {
    const box = this.svg.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    return this.start + share * (this.stop - this.start);
  }
  wheel(event) {
    if (!event.ctrlKey) return; // the page scrolls
    event.preventDefault();
    this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.secondAt(event));
  }
  beginBrush(event) {
    if (event.button !== 0 || event.pointerType === "touch") return;
    const from = event.clientX, box = this.svg.getBoundingClientRect(), first = this.secondAt(event);
    this.svg.setPointerCapture(event.pointerId);
    const draw = (move) => {
      const left = Math.max(Math.min(from, move.clientX), box.left), right = Math.min(Math.max(from, move.clientX), box.right);
      this.brush.hidden = right - left < 4;
      this.brush.style.left = `${left - box.left}px`;
      this.brush.style.width = `${right - left}px`;
    };
    const end = (up) => {
      this.svg.removeEventListener("pointermove", draw);
      this.svg.removeEventListener("pointercancel", end);
      this.brush.hidden = true;
      if (up.type === "pointerup" && Math.abs(up.clientX - from) >= 4) {
        const last = this.secondAt(up);
        this.show(Math.min(first, last), Math.max(first, last));
      }
    };
    this.svg.addEventListener("pointermove", draw);
    this.svg.addEventListener("pointerup", end, { once: true });
    this.svg.addEventListener("pointercancel", end, { once: true });
    this.figure.focus({ preventScroll: true });
  }
}

const ethograms = [...document.querySelectorAll(".view")].map((figure) => new Ethogram(figure));
for (const link of document.querySelectorAll("a[data-view]")) {
  link.addEventListener("click", () => {
    const ethogram = ethograms[Number(link.dataset.view)];
    if (link.dataset.start) {
      const start = Number(link.dataset.start), stop = Number(link.dataset.stop);
      ethogram.jump(start, stop);
      const hit = ethogram.bouts().find((rect) => Math.abs(rect.x.baseVal.value - start) < 0.02 && Math.abs(rect.width.baseVal.value - (stop - start)) < 0.03);
      if (hit) ethogram.mark(hit);
    }
    ethogram.figure.focus({ preventScroll: true });
  });
}
const drawAxes = () => ethograms.forEach((each) => each.drawAxis(each.stop - each.start));
addEventListener("resize", drawAxes);
drawAxes();
addEventListener("beforeprint", () => {
  for (const ethogram of ethograms) ethogram.show(0, ethogram.duration);
  for (const each of document.querySelectorAll("details")) each.open = true;
});
