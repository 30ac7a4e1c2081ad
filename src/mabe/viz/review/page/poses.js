// Poses, fetched piece by piece around the current frame, and drawn.
// They are at the model's rate, and interpolated between two of its frames.
import * as server from "./server.js";

const KEPT = 24; // pieces; each is at most a few hundred kilobytes

export function colourOfAnimal(recording, animal) {
  const colours = recording.animalColours;
  return colours[animal % colours.length];
}

export class Poses {
  constructor(recording, arrived) {
    this.recording = recording;
    this.arrived = arrived;
    this.size = Math.min(1024, recording.mostPoseFrames);
    this.values = recording.points.length * 2;
    this.pieces = new Map();
    this.failure = "";
  }
  piece(number) {
    if (number < 0 || number * this.size >= this.recording.poseFrames) return null;
    let piece = this.pieces.get(number);
    if (piece) this.pieces.delete(number); // the last one is the one used last
    else piece = this.fetch(number);
    this.pieces.set(number, piece);
    return piece;
  }
  fetch(number) {
    const piece = { values: null };
    const start = number * this.size;
    server.poses(this.recording.index, start, start + this.size).then(
      (values) => { piece.values = values; this.failure = ""; this.arrived(); },
      (error) => { this.failure = error.message; this.pieces.delete(number); this.arrived(); },
    );
    while (this.pieces.size >= KEPT) this.pieces.delete(this.pieces.keys().next().value);
    return piece;
  }
  // Points in cm as [x, y] or null where missing; null where they are not loaded yet.
  at(frame) {
    const place = Math.min((frame * this.recording.poseFps) / this.recording.fps, this.recording.poseFrames - 1);
    const before = Math.floor(place + 1e-6);
    const one = this.raw(before);
    this.piece(Math.floor(before / this.size) + 1); // load ahead
    if (!one) return null;
    const share = place - before;
    const other = share > 0.01 ? this.raw(before + 1) : null;
    return this.recording.points.map((_, point) => {
      const a = this.point(one, point), b = other && this.point(other, point);
      if (!a || !b) return share > 0.5 && b ? b : a;
      return [a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share];
    });
  }
  raw(frame) {
    if (frame >= this.recording.poseFrames) return null;
    const piece = this.piece(Math.floor(frame / this.size));
    if (!piece?.values) return null;
    return { values: piece.values, at: (frame % this.size) * this.values };
  }
  point({ values, at }, point) {
    const x = values[at + 2 * point], y = values[at + 2 * point + 1];
    if (x === this.recording.missing || y === this.recording.missing) return null;
    return [x * this.recording.stepCm, y * this.recording.stepCm];
  }
}

// Draws points and bones; a missing point stays where it was last seen, hollow.
export class Stage {
  constructor(canvas, film) {
    this.canvas = canvas;
    this.film = film;
    this.lastSeen = [];
    this.lastFrame = -1;
  }
  open(recording) {
    this.recording = recording;
    this.lastSeen = [];
    this.lastFrame = -1;
    this.followed = this.centre = null;
  }
  // Shows a quarter of the recording around one animal, by its number from 0; null: all of it.
  follow(animal) {
    this.followed = animal;
    this.centre = null;
  }
  // What is shown, in cm. An animal that is not seen stays in the middle where it was last.
  shown() {
    const { bounds, points } = this.recording, [left, top, right, bottom] = bounds;
    if (this.followed === null) return bounds;
    const seen = this.lastSeen.filter((point, place) => point && points[place].animal === this.followed);
    if (seen.length) this.centre = [0, 1].map((axis) => seen.reduce((sum, point) => sum + point[axis], 0) / seen.length);
    if (!this.centre) return bounds;
    const [x, y] = this.centre, [width, height] = [(right - left) / 8, (bottom - top) / 8];
    return [x - width, y - height, x + width, y + height];
  }
  scale() {
    const [left, top, right, bottom] = this.shown();
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const zoom = Math.min(width / (right - left), height / (bottom - top));
    return { zoom, x: (width - zoom * (right - left)) / 2 - left * zoom, y: (height - zoom * (bottom - top)) / 2 - top * zoom };
  }
  draw(points, frame, isDark) {
    const { canvas } = this, ratio = devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const isNear = Math.abs(frame - this.lastFrame) <= this.recording.fps;
    if (points) {
      this.lastSeen = points.map((point, place) => point ?? (isNear ? this.lastSeen[place] ?? null : null));
      this.lastFrame = frame;
    }
    const { zoom, x, y } = this.scale();
    this.placeFilm(zoom, x, y);
    this.zones(pen, zoom, x, y, isDark);
    if (!points) { this.ruler(pen, zoom, width, height, isDark); return; }
    const colour = (place) => {
      const of = colourOfAnimal(this.recording, this.recording.points[place].animal);
      return isDark ? of.dark : of.light;
    };
    const at = (place) => [this.lastSeen[place][0] * zoom + x, this.lastSeen[place][1] * zoom + y];
    pen.lineCap = "round";
    for (const [one, other] of this.recording.bones) {
      if (!this.lastSeen[one] || !this.lastSeen[other]) continue;
      const isSeen = points[one] && points[other];
      pen.strokeStyle = colour(one);
      pen.lineWidth = isSeen ? 3 : 1.5;
      pen.globalAlpha = isSeen ? 0.85 : 0.5;
      pen.setLineDash(isSeen ? [] : [4, 4]);
      pen.beginPath();
      pen.moveTo(...at(one));
      pen.lineTo(...at(other));
      pen.stroke();
    }
    pen.setLineDash([]);
    this.fronts(pen, at, colour, isDark);
    this.lastSeen.forEach((point, place) => {
      if (!point) return;
      const isSeen = Boolean(points[place]);
      pen.globalAlpha = isSeen ? 1 : 0.7;
      pen.fillStyle = pen.strokeStyle = colour(place);
      pen.lineWidth = 1.5;
      pen.beginPath();
      pen.arc(...at(place), 3.5, 0, 7);
      if (isSeen) pen.fill();
      else pen.stroke();
    });
    pen.globalAlpha = 1;
    this.ruler(pen, zoom, width, height, isDark);
  }
  // An arrowhead at the front of each animal, which points away from the rest of its body.
  fronts(pen, at, colour, isDark) {
    const { fronts, points } = this.recording, mean = (places) => {
      const seen = places.filter((place) => this.lastSeen[place]).map(at);
      return seen.length ? [0, 1].map((axis) => seen.reduce((sum, each) => sum + each[axis], 0) / seen.length) : null;
    };
    for (const front of fronts) {
      const { animal } = points[front[0]];
      const rest = points.flatMap((point, place) => (point.animal === animal && !front.includes(place) ? [place] : []));
      const tip = front.every((place) => this.lastSeen[place]) && mean(front), middle = mean(rest);
      const length = tip && middle ? Math.hypot(tip[0] - middle[0], tip[1] - middle[1]) : 0;
      if (length < 1) continue;
      const [x, y] = [0, 1].map((axis) => (tip[axis] - middle[axis]) / length);
      pen.beginPath();
      pen.moveTo(tip[0] + 13 * x, tip[1] + 13 * y);
      pen.lineTo(tip[0] - 3 * x - 8 * y, tip[1] - 3 * y + 8 * x);
      pen.lineTo(tip[0] - 3 * x + 8 * y, tip[1] - 3 * y - 8 * x);
      pen.closePath();
      pen.fillStyle = colour(front[0]);
      pen.strokeStyle = isDark ? "#0f1114" : "#fbfbfc";
      pen.lineWidth = 3;
      pen.globalAlpha = 1;
      pen.stroke();
      pen.fill();
    }
  }
  // The scale, on a ground of its own, so that it is legible on any film.
  ruler(pen, zoom, width, height, isDark) {
    const cm = [500, 200, 100, 50, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02].find((each) => each * zoom < width / 4) ?? 0.01;
    pen.globalAlpha = 0.82;
    pen.fillStyle = isDark ? "#0f1114" : "#fbfbfc";
    pen.fillRect(8, height - 38, Math.max(cm * zoom, 44) + 12, 32);
    pen.globalAlpha = 1;
    pen.strokeStyle = pen.fillStyle = isDark ? "#e6e9ee" : "#1b1f24";
    pen.lineWidth = 2;
    pen.beginPath();
    for (const [x, y] of [[14, -5], [14, 0], [14 + cm * zoom, 0], [14 + cm * zoom, -5]]) pen.lineTo(x, height - 14 + y);
    pen.stroke();
    pen.font = "12px system-ui, sans-serif";
    pen.fillText(cm < 1 ? `${cm * 10} mm` : `${cm} cm`, 18, height - 21);
  }
  zones(pen, zoom, x, y, isDark) {
    const [ink, paper] = isDark ? ["#e3e7ec", "#14171c"] : ["#3a424d", "#ffffff"];
    pen.font = "12px system-ui, sans-serif";
    for (const { name, lines } of this.recording.zones) {
      pen.beginPath();
      for (const line of lines) {
        line.forEach(([left, top], at) => pen[at ? "lineTo" : "moveTo"](left * zoom + x, top * zoom + y));
      }
      // On a film, too: a dark line beside a light one.
      for (const [colour, width] of [[paper, 3.5], [ink, 1.5]]) {
        pen.strokeStyle = colour;
        pen.lineWidth = width;
        pen.stroke();
      }
      const [left, top] = lines[0].reduce((one, other) => (other[1] < one[1] ? other : one));
      pen.strokeStyle = paper;
      pen.fillStyle = ink;
      pen.lineWidth = 3;
      pen.strokeText(name, left * zoom + x + 6, top * zoom + y + 16);
      pen.fillText(name, left * zoom + x + 6, top * zoom + y + 16);
    }
  }
  placeFilm(zoom, x, y) {
    if (!this.recording.video) return;
    // A pixel of the film is 1 / pixelsPerCm; poses are relative to their origin.
    const size = zoom / this.recording.pixelsPerCm;
    const [originX, originY] = this.recording.originCm;
    this.film.style.transform = `translate(${x - originX * zoom}px, ${y - originY * zoom}px) scale(${size})`;
  }
}
