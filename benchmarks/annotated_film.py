"""Memory and time of `mabe video` on films of one minute and of ten.

    python benchmarks/annotated_film.py WORK

Videos of each length are simulated, and a film is made of the first of each. Trees are
grown on those of one minute, and each film is annotated in a process of its own, whose
peak memory is printed. What grows with length are poses and probabilities, no frames.
"""

import argparse
import json
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from mabe.data.simulate import simulate
from mabe.io.readers.kaggle import read_index, read_recording
from mabe.recording import Recording
from mabe.viz.film.film_writer import FilmSize, writing_film

MEASURED = """
import json, resource, sys, time
from mabe.cli.main import main
began = time.perf_counter()
code = main(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"code": code, "mb": used.ru_maxrss / 1024,
                  "s": time.perf_counter() - began}))
"""


def film_of(recording: Recording, out: Path) -> Path:
    """Write a film of grey animals where a recording has them; return its path."""
    every = recording.xy_px.reshape(-1, 2)
    low, high = np.nanmin(every, axis=0), np.nanmax(every, axis=0)
    rate = Fraction(recording.info.fps).limit_denominator(1000)
    width, height = (int(side) + int(side) % 2 + 40 for side in high)
    size = FilmSize(width=width, height=height, rate_fps=rate, time_base=1 / rate)
    with writing_film(out, size) as writer:
        for number, points in enumerate(recording.xy_px):
            page = Image.new("RGB", (width, height), (196, 190, 178))
            pen = ImageDraw.Draw(page)
            pen.rectangle((*(low - 20), *(high + 20)), outline=(120, 110, 100), width=4)
            animals = np.array([point.animal for point in recording.points])
            for animal in sorted(set(animals.tolist())):
                mine = points[animals == animal]
                mine = mine[np.isfinite(mine).all(axis=1)]
                for x, y in mine:
                    pen.ellipse((x - 14, y - 14, x + 14, y + 14), (60, 55, 50))
            writer.add(np.asarray(page), number)
    return out


def make_data(work: Path, name: str, minutes: float, videos: int = 2) -> Path:
    """Simulate labelled videos; return the film of the first, in their folder."""
    data = work / name
    if not (data / "train.csv").is_file():
        simulate(
            data,
            videos=videos,
            minutes=minutes,
            actions=("chase", "sniff"),
            animals=2,
            seed=4,
            workers=1,
        )
    info = read_index(data)[0]
    film = data / f"{info.video}.mp4"
    if not film.is_file():
        film_of(read_recording(info), film)
    return film


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    work = parser.parse_args().work
    films = {minutes: make_data(work, f"m{minutes}", minutes) for minutes in (1, 10)}
    run = work / "run"
    if not (run / "best.safetensors").is_file():
        config = work / "trees.yaml"
        config.write_text(
            "{task: pair, model_type: trees, feature_set: social, tree_rounds: 60}\n"
        )
        train = ["train", "--config", config, "--data-dir", work / "m1"]
        command = [*train, "--checkpoint-dir", run, "--quiet"]
        subprocess.run([sys.executable, "-m", "mabe", *command], check=True)
    for minutes, film in films.items():
        began = time.perf_counter()
        out = work / f"annotated-{minutes}.mp4"
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, "video", run, film, "--out", out],
            capture_output=True,
            text=True,
            check=True,
        )
        last = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{minutes} min: exit {last['code']}, {last['mb']:.0f} MB at most, "
            f"{time.perf_counter() - began:.1f} s, {out.stat().st_size / 1e6:.1f} MB"
        )


if __name__ == "__main__":
    main()
