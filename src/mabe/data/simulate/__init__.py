"""Simulated data sets in the Kaggle layout, whose poses follow from the labels.

Either six invented laboratories (small enough to try everything with), or the labs,
metadata and labels of a real data set with simulated poses (as large as it). The poses
are plausible, not real: scores on them show that a model can learn, not how well it
performs on mice.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mabe.data.simulate.plan import DataSetPlan, VideoPlan
from mabe.data.simulate.plan_like import plan_like
from mabe.data.simulate.plan_new import plan_invented
from mabe.data.simulate.write_files import write_listings, write_video
from mabe.errors import ConfigError, DataError
from mabe.runtime.console import progress_bar
from mabe.runtime.documents import read_json
from mabe.runtime.executors import Processes
from mabe.runtime.files import write_json
from mabe.runtime.threads import usable_cores

DEFAULT_VIDEOS = 24


DEFAULT_MINUTES = 2.0


MANIFEST = "simulation.json"
"""The settings a folder was made with; a rerun with the same ones completes it."""


_GENERATION = 1
"""Incremented when the same settings give different files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSummary:
    """Counts of a simulated data set, and of the files this call wrote."""

    out_dir: Path
    labs: int
    videos: int
    written: int
    """Videos written by this call; the others existed."""
    frames: int
    bouts: int
    """Simulated bouts, labelled or not."""


def simulate(
    out_dir: Path,
    *,
    like: Path | None = None,
    videos: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
    minutes: float = DEFAULT_MINUTES,
    actions: Sequence[str] = (),
    animals: int | None = None,
) -> SimulationSummary:
    """Make a data set; the same settings give the same bytes, and complete a folder.

    `like` is a real data set with train.csv and train_annotation/, whose labels are
    simulated, and so are the videos of its test.csv (without one: the first video);
    otherwise `minutes` is the length of each of the `videos` of invented
    labs, which watch for `actions` instead of their own, and have groups of so many
    `animals` with as much room for each, if given. With `like`, `videos`
    is how many are simulated, from all labs in turns. `workers` is the number of
    processes.

    Raises
    ------
    DataError
        If `out_dir` holds other files, or `like` is not such a data set.
    ConfigError
        If a number is not above zero, or `actions` or `animals` are given together
        with `like`.

    """
    _check_settings(videos=videos, minutes=minutes, workers=workers)
    for name, given in (("actions", actions), ("animals", animals)):
        if like and given:
            raise ConfigError(
                f"simulate: --{name} applies to the invented labs, --like has its own "
                f"{name}. Leave one of them out."
            )
    if like is None:
        plan = plan_invented(
            videos=videos or DEFAULT_VIDEOS,
            minutes=minutes,
            seed=seed,
            actions=actions,
            animals=animals,
        )
    else:
        plan = plan_like(like, videos=videos, seed=seed)
    _claim_folder(out_dir, plan, seed=seed, like=like)
    write_listings(out_dir, plan)
    written = 0
    done = _write_all(out_dir, plan.videos, workers or usable_cores())
    for made in progress_bar(
        done,
        total=len(plan.videos),
        desc="Simulating",
        unit="video",
        wanted=progress,
        leave=True,
    ):
        written += made
    for video in plan.test_videos:
        write_video(out_dir, video)
    return SimulationSummary(
        out_dir=out_dir,
        labs=len({video.lab for video in plan.videos}),
        videos=len(plan.videos),
        written=written,
        frames=sum(video.frames for video in plan.videos),
        bouts=sum(len(video.bouts) for video in plan.videos),
    )


def _check_settings(*, videos: int | None, minutes: float, workers: int | None) -> None:
    for name, value in (("videos", videos), ("minutes", minutes), ("workers", workers)):
        if value is not None and not value > 0:
            raise ConfigError(
                f"simulate: {name} must be above 0, found {value}. "
                "Leave it out for the default."
            )


def _claim_folder(
    out_dir: Path, plan: DataSetPlan, *, seed: int, like: Path | None
) -> None:
    """Write the manifest into an empty folder; raise where it holds anything else."""
    manifest = {
        "made_by": "mabe simulate",
        "generation": _GENERATION,
        "seed": seed,
        "like": like.name if like else None,
        "videos": len(plan.videos),
        "fingerprint": _fingerprint(plan),
    }
    path = out_dir / MANIFEST
    if path.is_file():
        if (found := _read_manifest(path)) != manifest:
            raise DataError(
                f"{out_dir}: holds a simulation with other settings or labels "
                f"(seed {found.get('seed')}, {found.get('videos')} videos, like "
                f"{found.get('like')}), expected none or the same. Choose another "
                "folder or delete this one."
            )
        _sweep(out_dir)
        return
    if out_dir.exists() and not out_dir.is_dir():
        raise DataError(
            f"{out_dir}: expected a folder, found a file. Choose another name."
        )
    others = sorted(p.name for p in out_dir.iterdir()) if out_dir.exists() else []
    # A run that was stopped at once may leave only its unfinished manifest.
    if others := [name for name in others if not name.startswith(f".{MANIFEST}.")]:
        raise DataError(
            f"{out_dir}: expected a new or empty folder, found {others[:3]}. "
            "Choose another folder."
        )
    write_json(path, manifest)


def _sweep(out_dir: Path) -> None:
    """Remove the unfinished files of a run that was killed."""
    for leftover in out_dir.rglob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: expected the JSON of an earlier simulation ({error}). "
            "Choose another folder."
        ) from error
    return found if isinstance(found, dict) else {}


def _fingerprint(plan: DataSetPlan) -> str:
    digest = hashlib.sha256(repr((plan.columns, plan.rows)).encode())
    for video in plan.videos:
        digest.update(video.content().encode())
    for row in plan.test_rows:
        digest.update(repr(row).encode())
    return digest.hexdigest()[:20]


def _write_all(
    out_dir: Path, videos: tuple[VideoPlan, ...], workers: int
) -> Iterator[bool]:
    """Write every video; yield whether files were absent, in any order."""
    # The longest first, so that all workers finish at about the same time.
    longest_first = sorted(videos, key=lambda video: -video.frames)
    executor = Processes(min(workers, len(videos)))
    for _, written in executor.run(write_video, out_dir, longest_first):
        yield written
