"""Actions at a zone whose place varies: with the zone, as a point, and without it.

    python benchmarks/zone_actions.py WORK [--recordings 6] [--new 4] [--seeds 2]

A simulated mouse walks about an arena of 60 by 50 cm for a minute. Its nest is at a
random place in each recording: a circle, a rectangle, or two rectangles. It digs in
four of five stays of its nose in the nest, so no model can be perfect. Trees are
trained on some recordings and predict new ones; the frame F1 of `dig` is printed with
the nest as a zone, as an object (the point at its centre), and with digging as an
action on oneself.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from mabe.bouts import find_spans
from mabe.io.zone_settings import ZoneSettings

FPS, SCALE, SECONDS = 10.0, 10.0, 60.0
ARENA_CM = np.array([60.0, 50.0])
KEYPOINTS = ("nose", "body_center", "tail_base")
DUG = 0.8
COMMAND = "import sys; from mabe.cli.main import main; sys.exit(main())"
WAYS = {"a zone": "nest", "an object at its centre": "nest", "no place": "self"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--recordings", type=int, default=6)
    parser.add_argument("--new", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args()
    for way in WAYS:
        scores = [
            score(given.work, way, seed, given.recordings, given.new)
            for seed in range(given.seeds)
        ]
        each = " ".join(f"{score:.3f}" for score in scores)
        print(f"nest as {way}: F1 {np.mean(scores):.3f} ({each})", flush=True)


def score(work: Path, way: str, seed: int, recordings: int, new: int) -> float:
    """Return the frame F1 of new recordings, for one way to give the nest."""
    shutil.rmtree(work, ignore_errors=True)
    numbers = range(1000 * seed, 1000 * seed + recordings + new)
    learned, fresh = numbers[:recordings], numbers[recordings:]
    for folder, those in (("lab", learned), ("new", fresh)):
        (work / folder).mkdir(parents=True)
        for number in those:
            write_recording(work / folder, number, way, labels=folder == "lab")
        settings = settings_of(those, way)
        (work / folder / "project.yaml").write_text(yaml.safe_dump(settings))
    mabe("import", work / "lab", "--out", work / "data")
    options = ["task=pair", "model_type=trees", "feature_set=social", f"fps={FPS:g}"]
    options += ["tree_rounds=40", "tree_min_rows=20", f"seed={seed}", "num_workers=1"]
    flags = [part for option in options for part in ("--set", option)]
    mabe("train", work / "data", "--out", work / "run", *flags)
    mabe("import", work / "new", "--out", work / "unseen")
    mabe("predict", work / "run", work / "unseen", "--out", work / "predicted")
    found = pl.read_csv(work / "predicted" / "bouts.csv")
    return frame_f1(found, fresh)


def mabe(*arguments: object) -> None:
    command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def nest_of(number: int) -> dict[str, Any]:
    """Return the nest of a recording, as project.yaml has it."""
    rng = np.random.default_rng([number, 1])
    x, y = (rng.uniform(12, ARENA_CM - 12) * SCALE).tolist()
    if number % 3 == 0:
        return {"circle": [x, y, 70.0]}
    if number % 3 == 1:
        return {"rectangle": [x - 80, y - 50, x + 80, y + 50]}
    left = {"rectangle": [x - 90, y - 60, x - 10, y + 60]}
    return {"parts": [left, {"rectangle": [x + 10, y - 60, x + 90, y + 60]}]}


def walk(number: int) -> np.ndarray:
    """Return a mouse's walk, [time, keypoint, 2] in pixels."""
    rng = np.random.default_rng([number, 2])
    time = np.arange(int(SECONDS * FPS)) / FPS
    rates = rng.uniform(0.1, 0.5, (3, 2))
    phases = rng.uniform(0, 2 * np.pi, (3, 2))
    swing = np.sin(time[:, None, None] * rates + phases).mean(axis=1)
    body = ARENA_CM * (0.5 + 0.62 * swing) * SCALE
    ahead = np.gradient(body, axis=0)
    ahead *= 25 / np.linalg.norm(ahead, axis=1, keepdims=True)
    xy: np.ndarray = np.stack([body + ahead, body, body - ahead], axis=1)
    return xy + rng.normal(0, 0.5, xy.shape)


def digs(number: int) -> list[list[int]]:
    """Return the spans of frames in which the mouse digs."""
    zone = ZoneSettings(**nest_of(number)).in_cm("nest", SCALE)
    stays = find_spans(zone.inside(walk(number)[:, 0] / SCALE))
    is_dug = np.random.default_rng([number, 3]).random(len(stays)) < DUG
    found: list[list[int]] = stays[is_dug].tolist()
    return found


def settings_of(numbers: range, way: str) -> dict[str, Any]:
    own: list[dict[str, Any]] = []
    for number in numbers:
        zone = ZoneSettings(**nest_of(number)).in_cm("nest", SCALE)
        place = {"nest": {"cm": list(zone.centre)}}
        kinds = {"a zone": {"zones": {"nest": nest_of(number)}}}
        kinds["an object at its centre"] = {"objects": place}
        own.append({"name": f"day{number}", **kinds.get(way, {})})
    settings: dict[str, Any] = {"fps": FPS, "pixels_per_cm": SCALE, "recordings": own}
    if way == "an object at its centre":
        settings["actions"] = {"dig": {"target": "other"}}
    return settings


def write_recording(folder: Path, number: int, way: str, *, labels: bool) -> None:
    xy = walk(number)
    frames = np.repeat(np.arange(len(xy)), len(KEYPOINTS))
    columns = {"frame": frames, "individual": ["mouse"] * len(frames)}
    columns |= {"keypoint": list(KEYPOINTS) * len(xy)}
    columns |= {"x": xy[..., 0].ravel(), "y": xy[..., 1].ravel()}
    pl.DataFrame(columns).write_parquet(folder / f"day{number}.parquet")
    if labels:
        rows = "".join(f"mouse,{WAYS[way]},dig,{a},{b}\n" for a, b in digs(number))
        head = "agent,target,action,start_frame,stop_frame\n"
        (folder / f"day{number}_bouts.csv").write_text(head + rows)


def frame_f1(found: pl.DataFrame, numbers: range) -> float:
    """Return F1 over the frames of all recordings together."""
    counts = np.zeros(3, int)
    for number in numbers:
        real, said = np.zeros((2, int(SECONDS * FPS)), bool)
        for start, stop in digs(number):
            real[start:stop] = True
        rows = found.filter(pl.col("video") == f"day{number}")
        for start, stop in rows.select("start_frame", "stop_frame").iter_rows():
            said[start:stop] = True
        counts += [int((real & said).sum()), int(real.sum()), int(said.sum())]
    return float(2 * counts[0] / max(1, counts[1] + counts[2]))


if __name__ == "__main__":
    main()
