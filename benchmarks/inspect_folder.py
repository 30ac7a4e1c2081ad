"""Time `mabe inspect` and `mabe import --dry-run` of a folder of many files.

    python benchmarks/inspect_folder.py --files 200 --minutes 5

Half of the files are tracks of two animals (DeepLabCut CSV, 30 fps), half are BORIS
tables with 40 bouts each.
"""

import argparse
import contextlib
import io
import tempfile
import time
from pathlib import Path

import numpy as np

from mabe.cli.main import main

FPS = 30
ANIMALS = ("resident", "intruder")
KEYPOINTS = ("nose", "left_ear", "right_ear", "neck", "hip_left", "hip_right", "tail")
TAIL = "DLC_dlcrnetms5_benchMar1shuffle1_50000_el"
HEAD = "Time,Media file path,Total length,FPS,Subject,Behavior,Comment,Status\n"


def write_tracks(path: Path, frames: int, seed: int) -> None:
    """Write tracks that wander."""
    columns = [(animal, part) for animal in ANIMALS for part in KEYPOINTS]
    rng = np.random.default_rng(seed)
    xy = np.cumsum(rng.normal(size=(frames, 2 * len(columns))), axis=0) + 500
    values = np.full((frames, 3 * len(columns)), 0.95)
    values[:, 0::3], values[:, 1::3] = xy[:, 0::2], xy[:, 1::2]
    names = [(TAIL, *column) for column in columns for _ in range(3)]
    levels = ("scorer", "individuals", "bodyparts")
    head = [
        ",".join([level, *(n[at] for n in names)]) for at, level in enumerate(levels)
    ]
    head.append(",".join(["coords", *("x", "y", "likelihood") * len(columns)]))
    body = np.column_stack([np.arange(frames), values])
    with path.open("w", encoding="utf-8") as file:
        file.write("\n".join(head) + "\n")
        np.savetxt(file, body, fmt=["%d"] + ["%.3f"] * values.shape[1], delimiter=",")


def write_labels(path: Path, name: str, frames: int, seed: int) -> None:
    """Write forty bouts, one after the other."""
    edges = np.sort(np.random.default_rng(seed).choice(frames, 80, replace=False))
    rows = "".join(
        f"{frame / FPS:.3f},/v/{name}.mp4,{frames / FPS:.3f},{FPS},"
        f"{ANIMALS[at // 2 % 2]},{('sniff', 'attack')[at // 4 % 2]},,"
        f"{('START', 'STOP')[at % 2]}\n"
        for at, frame in enumerate(edges)
    )
    path.write_text(f"Observation id,{name}\n{HEAD}{rows}", encoding="utf-8")


def timed(command: list[str]) -> tuple[float, int]:
    """Return the seconds that a command takes, and its lines."""
    start, told = time.perf_counter(), io.StringIO()
    with contextlib.redirect_stdout(told):
        code = main(command)
    if code:
        raise SystemExit(f"{command} ended with {code}")
    return time.perf_counter() - start, len(told.getvalue().splitlines())


def run(files: int, minutes: float) -> None:
    """Write the folder and print how long the commands take."""
    frames = round(minutes * 60 * FPS)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "lab"
        folder.mkdir()
        for number in range(files // 2):
            name = f"mouse{number:03}"
            write_tracks(folder / f"{name}{TAIL}.csv", frames, number)
            write_labels(folder / f"{name}.csv", name, frames, number)
        size_mb = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        print(f"{files} files, {size_mb:,.0f} MB, {minutes:g} minutes a recording")
        out = str(Path(place) / "out")
        commands = (
            ["inspect", str(folder)],
            ["import", str(folder), "--out", out, "--dry-run"],
        )
        for command in commands:
            seconds, lines = timed(command)
            print(f"mabe {command[0]}: {seconds:.1f} s, {lines} lines")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=5)
    options = parser.parse_args()
    run(options.files, options.minutes)
