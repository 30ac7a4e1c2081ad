"""The walk-through of docs/any_animal.md, run as it is written, on made-up flies."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

PAGE = Path(__file__).parents[1] / "docs" / "any_animal.md"
FPS = 25
FRAMES = 1500
PLACES = {
    "head_tip": (1.0, 0.0),
    "eye_L": (0.8, 0.3),
    "eye_R": (0.8, -0.3),
    "thorax": (0.0, 0.0),
    "wing_L": (-0.6, 0.5),
    "wing_R": (-0.6, -0.5),
    "abdomen_tip": (-1.2, 0.0),
}
"""Where a fly's points are, in shares of half a body: ahead, and to the left."""

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="no bash")


def flies(seed):
    """Return the points of two flies of which one at times follows the other."""
    rng = np.random.default_rng(seed)
    heading = rng.normal(0, 0.08, (FRAMES, 2)).cumsum(axis=0)
    steps = np.stack([np.cos(heading), np.sin(heading)], axis=-1) * 3
    centre = steps.cumsum(axis=0)
    centre[:, 1, 0] += 300
    bouts = []
    for number, start in enumerate(range(100, FRAMES - 200, 280)):
        stop = start + int(rng.integers(80, 140))
        agent = number % 2
        frames = slice(start, stop)
        late = slice(start - 20, stop - 20)
        # It is where the other was 20 frames ago, and heads where that one headed.
        centre[frames, agent] = centre[late, 1 - agent]
        heading[frames, agent] = heading[late, 1 - agent]
        bouts.append((agent, 1 - agent, start, stop))
    ahead = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    left = np.stack([-ahead[..., 1], ahead[..., 0]], axis=-1)
    places = 25 * np.array(list(PLACES.values()))
    points = centre[:, :, None] + places[:, :1] * ahead[:, :, None]
    points = points + places[:, 1:] * left[:, :, None]
    return points + rng.normal(0, 0.5, points.shape), bouts


def write(folder, name, seed):
    points, bouts = flies(seed)
    frame, fly, keypoint = (
        place.ravel() for place in np.indices(points.shape[:3], np.int32)
    )
    names = np.array(list(PLACES))
    pl.DataFrame(
        {
            "frame": frame,
            "individual": np.array(["anna", "ben"])[fly],
            "keypoint": names[keypoint],
            "x": points[..., 0].ravel(),
            "y": points[..., 1].ravel(),
        }
    ).write_csv(folder / f"{name}.csv")
    rows = [
        (("anna", "ben")[agent], ("anna", "ben")[target], "chase", start, stop)
        for agent, target, start, stop in bouts
    ]
    columns = ["agent", "target", "action", "start_frame", "stop_frame"]
    pl.DataFrame(rows, schema=columns, orient="row").write_csv(
        folder / f"{name}_bouts.csv"
    )


def run(command, folder):
    place = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{place}{os.pathsep}{os.environ['PATH']}",
        "MABE_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-e", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_from_tracks_of_flies_to_who_chases_whom(tmp_path):
    folder = tmp_path / "flies"
    folder.mkdir()
    for seed in range(4):
        write(folder, f"film{seed}", seed)
    section = PAGE.read_text(encoding="utf-8").split("## Walk-through")[1]
    [commands] = re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)

    shown = run(commands, tmp_path)

    assert "snout: head_tip" in shown
    settings = yaml.safe_load((tmp_path / "data" / "project.yaml").read_text("utf-8"))
    assert settings["skeleton"]["rump"] == ["abdomen_tip"]
    learned = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text("utf-8"))
    assert "wing_L" in learned["skeleton"]["keypoints"]
    predicted = pl.read_csv(tmp_path / "predicted" / "bouts.csv")
    assert set(predicted["agent"]) == {"anna", "ben"}
    assert overlap(predicted, folder) > 0.8


def overlap(predicted, folder):
    """Return the share of chased frames that are predicted in the right direction."""
    found = total = 0
    for seed in range(4):
        own = predicted.filter(pl.col("video") == f"film{seed}")
        for agent, target, _, start, stop in pl.read_csv(
            folder / f"film{seed}_bouts.csv"
        ).iter_rows():
            total += stop - start
            same = own.filter((pl.col("agent") == agent) & (pl.col("target") == target))
            for row in same.iter_rows(named=True):
                both = min(stop, row["stop_frame"]) - max(start, row["start_frame"])
                found += max(0, both)
    return found / total
