"""How many identities `repair_identities` puts right, and how many it gets wrong.

    python benchmarks/identities.py [--animals 2 4 12] [--minutes 4] [--data rat_dyad]

Simulated groups whose tracker exchanges nobody (noise, outliers and gaps are kept), and
real tracks (of `$MABE_DATA`). Into each, faults are put at random times: *swaps* of two
animals whose middles are at most 7 cm apart, for good or for a second, and *breaks*,
two animals lost for 0.2 to 1 s, after which each goes on in the other's track. `right`
is the share of frames, of those in which an animal is tracked, in which it has its own
track. `false` counts the exchanges in the tracks without faults, for each hour.
"""

import argparse
import os
import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
import polars as pl

from mabe.data.simulate import simulate, tracker_errors
from mabe.io.readers.formats import read_again
from mabe.io.readers.poses import Poses
from mabe.io.repair_identities import repair_identities
from mabe.recording import mean_of_tracked

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("MABE_DATA", ROOT.parent / "shared" / "data"))
FAULTS_PER_MINUTE = 2
CLOSE_CM = 7.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--animals", type=int, nargs="*", default=[2, 4, 12])
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--videos", type=int, default=6)
    parser.add_argument("--data", nargs="*", default=["rat_dyad"])
    parser.add_argument("--recordings", type=int, help="Of each real data set.")
    given = parser.parse_args()
    print("| tracks | hours | faults | right before | right after | false per hour |")
    print("|---|---|---|---|---|---|")
    for animals in given.animals:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "data"
            with patch.object(tracker_errors, "_SWAPS_PER_MINUTE", 0.0):
                simulate(
                    out,
                    videos=given.videos,
                    minutes=given.minutes,
                    animals=animals,
                    workers=1,
                )
            print(measure(f"simulated, {animals} animals", out), flush=True)
    for name in given.data:
        print(measure(name, DATA / name, given.recordings), flush=True)


def measure(name: str, data: Path, recordings: int | None = None) -> str:
    """Return a row of the table, of so many recordings."""
    rng = np.random.default_rng(0)
    hours = faults = false = 0.0
    frames, before, after = 0, 0, 0
    table = pl.read_csv(data / "train.csv", infer_schema_length=0)[:recordings]
    for row in table.to_dicts():
        fps, scale = (
            float(row[column]) for column in ("frames_per_second", "pix_per_cm_approx")
        )
        path = data / "train_tracking" / row["lab_id"] / f"{row['video_id']}.parquet"
        [poses] = read_again(path).poses
        hours += len(poses.xy_px) / fps / 3600
        false += len(repair_identities(poses, fps=fps, pixels_per_cm=scale)[1])
        broken, owner, number = with_faults(poses, fps, scale, rng)
        faults += number
        _, exchanges = repair_identities(broken, fps=fps, pixels_per_cm=scale)
        is_there = np.isfinite(broken.xy_px[..., 0]).any(axis=2)
        found = repaired_owner(owner, broken, exchanges)
        there = repaired_owner(is_there, broken, exchanges)
        own = np.arange(owner.shape[1])
        frames += int(is_there.sum())
        before += int(((owner == own) & is_there).sum())
        after += int(((found == own) & there).sum())
    return (
        f"| {name} | {hours:.1f} | {faults:.0f} | {before / frames:.3f} | "
        f"{after / frames:.3f} | {false / hours:.1f} |"
    )


def with_faults(
    poses: Poses, fps: float, scale: float, rng: np.random.Generator
) -> tuple[Poses, np.ndarray, int]:
    """Return poses with faults, the animal of each track, and the faults' number."""
    xy = poses.xy_px.copy()
    owner = np.tile(np.arange(xy.shape[1]), (len(xy), 1))
    centres = mean_of_tracked(xy)
    number = 0
    for _ in range(rng.poisson(FAULTS_PER_MINUTE * len(xy) / fps / 60)):
        start = int(rng.integers(1, len(xy)))
        one, other = rng.choice(xy.shape[1], 2, replace=False)
        apart = np.linalg.norm(centres[start, one] - centres[start, other]) / scale
        stop = len(xy)
        if apart <= CLOSE_CM:
            if rng.random() < 0.5:
                stop = min(stop, start + round(fps))
        elif rng.random() < 0.5:
            lost = start + round(rng.uniform(0.2, 1.0) * fps)
            xy[start:lost, [one, other]] = np.nan
            start = lost
        else:
            continue  # trackers do not exchange animals that are apart
        number += 1
        for values in (xy, owner, centres):
            values[start:stop, [one, other]] = values[start:stop, [other, one]]
    poses = Poses(
        xy,
        keypoints=poses.keypoints,
        animals=poses.animals,
        first_frame=poses.first_frame,
    )
    return poses, owner, number


def repaired_owner(values: np.ndarray, poses: Poses, exchanges) -> np.ndarray:
    """Return values of each track and frame in the order of the animals."""
    order = np.arange(values.shape[1])
    found = values.copy()
    index = {name: at for at, name in enumerate(poses.animals)}
    for each in exchanges:
        order[[index[name] for name in each.animals]] = [
            index[name] for name in each.tracks
        ]
        row = each.frame - poses.first_frame
        found[row:] = values[row:][:, order]
    return found


if __name__ == "__main__":
    main()
