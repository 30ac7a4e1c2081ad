r"""Agent and target of sniffing in one real video of two mice: very little data.

    python benchmarks/mouse_pair.py WORK [--seeds 42 43 44]

A resident mouse and a visitor, tracked by multi-animal DeepLabCut and annotated frame
by frame (2,632 frames, in $MABE_DATA/formats/deeplabcut). Writes the video in the
Kaggle layout as two recordings, trains on the first two thirds, scores the last third;
the 3 s between them are not used. The network is compared with a constant prediction of
the most frequent action, and with a rule that has one threshold: the nose is near the
other's body.

Assumptions, as no file contains the values: 25 frames per second, and 8.5 cm from nose
to tail base. The scale and the threshold of the rule come from the first two thirds.
WORK keeps data and runs. The resident is mouse 1, the visitor mouse 2; spans are
half-open.
"""

import argparse
import io
import json
import os
import pickle
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import polars as pl
from jaxtyping import Bool, Float

from mabe.bouts import Bout, Watched, find_spans, name_animal, name_target
from mabe.config import RunConfig, load_config
from mabe.data.prepare import prepare
from mabe.errors import DataError
from mabe.inference.evaluate import MARK_COLUMNS, Comparison, Unseen, compare
from mabe.inference.predict import Predictor
from mabe.metrics import ScoreTable
from mabe.metrics.challenge import score_table
from mabe.models.checkpoint import load_checkpoint
from mabe.training.objectives import load_training_data
from mabe.training.run import train

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("MABE_DATA", ROOT.parent / "shared" / "data"))
FOLDER = SHARED / "formats" / "deeplabcut"
TRACKS = FOLDER / (
    "DMD_mal_Test_1DLC_dlcrnetms5_More_BodyPartsJul9shuffle1_740000_el_filtered.h5"
)
MARKS = FOLDER / "DMD_mal_Test_1_labels.csv"

FPS = 25.0
"""Assumed: a French laboratory, and at 25 fps the mice run at up to 30 cm/s."""
NOSE_TO_TAIL_BASE_CM = 8.5
"""Assumed for an adult mouse; the median length in pixels gives the scale."""
GAP_S = 3.0
LIKELY = 0.6
"""Points that the tracker is less sure of are missing."""
LAB = "MousePair"
RESIDENT, VISITOR = 1, 2
FIRST, LAST = "first", "last"

COLUMNS = {
    "sniff total resident active": Watched(RESIDENT, VISITOR, "sniff"),
    "sniff total V active": Watched(VISITOR, RESIDENT, "sniff"),
    "redressement R active": Watched(RESIDENT, RESIDENT, "rear"),
    "Redressement V active": Watched(VISITOR, VISITOR, "rear"),
    "grooming R active": Watched(RESIDENT, RESIDENT, "selfgroom"),
    "Grooming V active": Watched(VISITOR, VISITOR, "selfgroom"),
    "Dominance V active": Watched(VISITOR, RESIDENT, "dominance"),
    "Poursuit V active": Watched(VISITOR, RESIDENT, "chase"),
}
"""What a column of the marks stands for. Nobody watched the resident for dominance or
chases, so of those nothing is known."""
NOT_USED = {"contacts generaux (R + V) active", "grooming retest V active"}
"""Touching, whoever began: it names no agent and goes on through sniffing, of which it
would make the second action of one pair. And one that never occurs."""

STARTS_AS_RESIDENT = 1
"""Index of the individual that is the resident in the first frame."""
EXCHANGED_AT = (117, 595)
"""Frames from which the tracker calls each mouse by the other's name, as both come out
of a huddle in which it lost one (113–116) or parts of both (578–594). The tracks show
the second exchange; of the first only the marks tell, see `sureness`. The marks of the
last third were looked at too when this was found; nothing there was changed."""

SETTINGS = {
    "task": "pair",
    "fps": FPS,
    "sequence_length": 150,  # 6 s
    "conv_channels": (16, 32, 32),
    "lstm_hidden": 32,
    "lstm_layers": 1,
    "lab_channels": 0,
    "batch_size": 16,
    "epochs": 10,
    "steps_per_epoch": 60,
    "learning_rate": 2e-3,
    "scheduler": "cosine",
    "early_stopping_patience": 0,
    "ema_decay": 0.99,
    "save_freq": 0,
    "device": "cpu",
    "folds": 2,
}
"""Set once, by hand, before any score was seen. The last step counts, not the best."""


@dataclass(frozen=True, slots=True)
class Video:
    """Both mice, the resident first, and what people marked, frame by frame."""

    parts: tuple[str, ...]
    """Names of the body parts, as the tracker has them."""
    xy_px: Float[np.ndarray, "time 2 part 2"]
    """NaN where a point is missing."""
    marks: pl.DataFrame
    """One column of true and false for each of `COLUMNS`."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the video that becomes a recording of its own."""

    name: str
    start: int
    stop: int

    @property
    def frames(self) -> slice:
        return slice(self.start, self.stop)


@dataclass(frozen=True, slots=True)
class Sureness:
    """How well the names of the mice fit the marks, see `sureness`."""

    frames: int
    share: float


@dataclass(frozen=True, slots=True)
class Grade:
    """How well something did on the last third: F1 over frames."""

    score: float
    """The challenge's: the mean over actions."""
    by_action: dict[str, float]
    sniff_exchanged: float
    """Of sniffing, with agent and target exchanged in the labels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    given = parser.parse_args()
    video = read_video(TRACKS, MARKS)
    as_tracked = read_video(TRACKS, MARKS, exchanged_at=())
    print_size(video)
    print_sureness({"mended": video, "as tracked": as_tracked})
    mended = run(video, given.work / "mended", given.seeds)
    swapped = run(as_tracked, given.work / "as-tracked", given.seeds)
    truth = mended[0]
    sniffs = truth.solution.filter(action="sniff").select(list(MARK_COLUMNS))
    print_grades(
        {
            "network": [grade(truth, found.submission) for found in mended],
            "network, identities as tracked": [
                grade(truth, found.submission) for found in swapped
            ],
            "nose near the other's body": [grade(truth, near_nose(video))],
            "most frequent action, always": [grade(truth, most_frequent(video))],
            "the true sniffs": [grade(truth, sniffs)],
        }
    )


def read_video(
    tracks: Path, marks: Path, *, exchanged_at: Sequence[int] = EXCHANGED_AT
) -> Video:
    """Read poses and marks; `exchanged_at` says where the two change names."""
    parts, xy_px = read_tracks(tracks)
    table = read_timeline(marks)
    if len(table) != len(xy_px):
        raise DataError(
            f"{marks}: {len(table)} frames, but {tracks} has {len(xy_px)}; are they "
            "of the same video?"
        )
    return Video(parts, resident_first(xy_px, exchanged_at), table)


class _PlainUnpickler(pickle.Unpickler):
    """Reads lists, tuples and text; whatever would run code is refused."""

    def find_class(self, module: str, name: str):
        raise DataError(
            f"the names of the columns call for {module}.{name}; expected plain text. "
            "Was the file made by DeepLabCut?"
        )


def read_tracks(path: Path) -> tuple[tuple[str, ...], Float[np.ndarray, "time 2 p 2"]]:
    """Return the body parts and both individuals' points in pixels, as tracked."""
    with h5py.File(path) as file:
        table = file["df_with_missing/table"]
        names = bytes(table.attrs["values_block_0_kind"])
        frames, values = table["index"], table["values_block_0"]
    columns = _PlainUnpickler(io.BytesIO(names)).load()
    individuals = list(dict.fromkeys(individual for _, individual, _, _ in columns))
    parts = tuple(dict.fromkeys(part for _, _, part, _ in columns))
    axes = [(i, p, c) for i in individuals for p in parts for c in _COORDINATES]
    if [tuple(column[1:]) for column in columns] != axes or len(individuals) != 2:
        raise DataError(
            f"{path}: expected x, y and likelihood of the same parts of two "
            f"individuals, found {individuals} with {len(columns)} columns"
        )
    if not np.array_equal(frames, np.arange(len(frames))):
        raise DataError(f"{path}: frames are not 0, 1, 2 …; is it part of a video?")
    values = values.reshape(len(frames), 2, len(parts), len(_COORDINATES))
    xy_px, likelihood = values[..., :2], values[..., 2:]
    # What a filter filled in has likelihood 0. Some points have x without y or the
    # reverse, and two lie at (0, 0), where no mouse was.
    is_place = np.isfinite(xy_px).all(axis=-1, keepdims=True)
    is_place &= (xy_px != 0).any(axis=-1, keepdims=True)
    seen = is_place & (likelihood >= LIKELY)
    return parts, np.where(seen, xy_px, np.nan)


_COORDINATES = ("x", "y", "likelihood")


def read_timeline(path: Path) -> pl.DataFrame:
    """Return the columns that are used, as true and false for each frame."""
    table = pl.read_csv(path)
    expected = {"Frame", *COLUMNS, *NOT_USED}
    if set(table.columns) != expected:
        odd = sorted(set(table.columns) ^ expected)
        raise DataError(f"{path}: too many or too few columns: {odd}")
    if table["Frame"].to_list() != list(range(len(table))):
        raise DataError(f"{path}: frames are not 0, 1, 2 …; is it part of a video?")
    return table.select(pl.col(*COLUMNS) > 0)


def resident_first(
    xy_px: Float[np.ndarray, "time 2 part 2"], exchanged_at: Sequence[int]
) -> Float[np.ndarray, "time 2 part 2"]:
    """Put the resident first in every frame."""
    times = np.searchsorted(exchanged_at, np.arange(len(xy_px)), side="right")
    resident = (STARTS_AS_RESIDENT + times) % 2
    order = np.stack([resident, 1 - resident], axis=1)
    return np.take_along_axis(xy_px, order[:, :, None, None], axis=1)


def divide(frames: int) -> tuple[Part, Part]:
    """Return the first two thirds, but for the gap at their end, and the last third."""
    border = frames * 2 // 3
    return (
        Part(FIRST, 0, border - round(GAP_S * FPS)),
        Part(LAST, border, frames),
    )


def pixels_per_cm(video: Video) -> float:
    """Return the scale by the mice's length, in the first two thirds."""
    first, _ = divide(len(video.xy_px))
    nose, tail = (
        video.xy_px[first.frames, :, video.parts.index(part)]
        for part in ("Nose", "Tail_base")
    )
    return float(np.nanmedian(length_px(nose - tail)) / NOSE_TO_TAIL_BASE_CM)


def length_px(vectors: Float[np.ndarray, "*shape 2"]) -> Float[np.ndarray, "*shape"]:
    return np.linalg.norm(vectors, axis=-1)


def convert(video: Video, folder: Path) -> None:
    """Write a data set in the Kaggle layout with a recording for each part."""
    parts = divide(len(video.xy_px))
    for part in parts:
        place = f"{LAB}/{part.name}.parquet"
        write(point_table(video, part), folder / "train_tracking" / place)
        write(label_table(find_bouts(video, part)), folder / "train_annotation" / place)
    watched = [
        f"{name_animal(of.agent)},{name_target(of.agent, of.target)},{of.action}"
        for of in COLUMNS.values()
    ]
    index = pl.DataFrame(
        {
            "lab_id": LAB,
            "video_id": [part.name for part in parts],
            "frames_per_second": FPS,
            "pix_per_cm_approx": pixels_per_cm(video),
            "behaviors_labeled": json.dumps(watched),
        }
    )
    index.write_csv(folder / "train.csv")


def write(table: pl.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.write_parquet(path)


def point_table(video: Video, part: Part) -> pl.DataFrame:
    """Return a row for each point that was seen; frames count from the part's start."""
    xy_px = video.xy_px[part.frames]
    frame, animal, which = np.nonzero(np.isfinite(xy_px).all(axis=-1))
    return pl.DataFrame(
        {
            "video_frame": frame.astype(np.int32),
            "mouse_id": (animal + 1).astype(np.int8),
            "bodypart": np.array(video.parts)[which],
            "x": xy_px[frame, animal, which, 0],
            "y": xy_px[frame, animal, which, 1],
        }
    )


def find_bouts(video: Video, part: Part) -> list[Bout]:
    """Return what was marked; frames count from the part's start."""
    return [
        Bout(int(start), int(stop), of.action, of.agent, of.target)
        for column, of in COLUMNS.items()
        for start, stop in find_spans(video.marks[column].to_numpy()[part.frames])
    ]


def label_table(bouts: Sequence[Bout]) -> pl.DataFrame:
    ids = {"agent_id": pl.Int8, "target_id": pl.Int8, "action": pl.String}
    frames = {"start_frame": pl.Int32, "stop_frame": pl.Int32}
    rows = [(b.agent, b.target, b.action, b.start, b.stop) for b in bouts]
    return pl.DataFrame(rows, schema=ids | frames, orient="row")


def nose_gap_px(video: Video) -> Float[np.ndarray, "time 2"]:
    """From each mouse's nose to the nearest part of the other but the tail.

    Infinite where the nose, or the whole other mouse, is missing.
    """
    trunk = video.parts.index("Tail_base") + 1
    nose = video.xy_px[:, :, video.parts.index("Nose"), None]
    gaps = length_px(nose - video.xy_px[:, ::-1, :trunk])
    return np.where(np.isnan(gaps), np.inf, gaps).min(axis=-1)


def sniffing(video: Video) -> Bool[np.ndarray, "time 2"]:
    """Whether the resident, and whether the visitor, was marked as sniffing."""
    columns = [column for column, of in COLUMNS.items() if of.action == "sniff"]
    return video.marks.select(columns).to_numpy()


def sureness(video: Video, part: Part) -> Sureness:
    """Return how often the one marked as the only sniffer has its nose nearer.

    Nearer to the other's body than the other's nose to its own: half of the frames
    would be chance, and exchanged names would give less. Frames with a nose missing
    do not count.
    """
    resident, visitor = nose_gap_px(video)[part.frames].T
    marked = sniffing(video)[part.frames]
    counts = (marked[:, 0] != marked[:, 1]) & np.isfinite(resident + visitor)
    agrees = (resident < visitor) == marked[:, 0]
    return Sureness(int(counts.sum()), float(agrees[counts].mean()))


def run(video: Video, work: Path, seeds: Sequence[int]) -> list[Comparison]:
    """Train once for each seed, and return what is found in the last third."""
    convert(video, work / "data")
    prepare(work / "data", work / "store", rate_fps=FPS, workers=1)
    return [learn(settings(work, seed=seed)) for seed in seeds]


def settings(work: Path, *, seed: int, **changes: object) -> RunConfig:
    """Return the settings that learn from the first part and hold out the last."""
    where = {"data_dir": work / "store", "checkpoint_dir": work / f"run-{seed}"}
    for fold in range(2):  # which is which depends on a hash of the tracks
        values = {**SETTINGS, **where, "seed": seed, "fold": fold, **changes}
        config = load_config(None, values)
        chosen = load_training_data(config)
        learned = [chosen.store.recordings[index].video for index in chosen.learned]
        if learned == [FIRST]:
            return config
    raise DataError(
        f"{work}: expected a fold that learns from {FIRST!r} alone, found {learned}; "
        "remove the folder and run again"
    )


def learn(config: RunConfig) -> Comparison:
    """Train, and mark what was held out; a run that is finished is not repeated."""
    history = config.checkpoint_dir / "history.json"
    train(config, resume=history.is_file())
    last = load_checkpoint(config.checkpoint_dir / "last.safetensors")
    return compare(Unseen(Predictor(last), config.data_dir))


def nose_limit_px(video: Video) -> int:
    """Return within what distance a nose sniffs, by F1 on the first two thirds."""
    first, _ = divide(len(video.xy_px))
    gap, marked = nose_gap_px(video)[first.frames], sniffing(video)[first.frames]

    def f1(limit_px: int) -> float:
        near = gap < limit_px
        return float(2 * (near & marked).sum() / (near.sum() + marked.sum()))

    return max(range(1, 200), key=f1)


def near_nose(video: Video) -> pl.DataFrame:
    """Mark a sniff in the last third wherever a nose is near the other's body."""
    _, last = divide(len(video.xy_px))
    near = nose_gap_px(video)[last.frames] < nose_limit_px(video)
    return as_submission(
        Bout(int(start), int(stop), of.action, of.agent, of.target)
        for of in COLUMNS.values()
        if of.action == "sniff"
        for start, stop in find_spans(near[:, of.agent - 1])
    )


def most_frequent(video: Video) -> pl.DataFrame:
    """Mark, in all of the last third, what is most frequent in the first two.

    That is one action on the other mouse and one on oneself, by either.
    """
    first, last = divide(len(video.xy_px))
    frames: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for bout in find_bouts(video, first):
        frames[bout.agent == bout.target][bout.action] += bout.stop - bout.start
    chosen = {counts.most_common(1)[0][0] for counts in frames.values()}
    return as_submission(
        Bout(0, last.stop - last.start, of.action, of.agent, of.target)
        for of in COLUMNS.values()
        if of.action in chosen
    )


def as_submission(bouts: Iterable[Bout]) -> pl.DataFrame:
    """Return bouts of the last third as a submission has them."""
    rows = [
        (
            LAST,
            name_animal(b.agent),
            name_target(b.agent, b.target),
            b.action,
            b.start,
            b.stop,
        )
        for b in bouts
    ]
    return pl.DataFrame(rows, schema=MARK_COLUMNS, orient="row")


def grade(truth: Comparison, submission: pl.DataFrame) -> Grade:
    """Score what was found in the last third."""
    right = score_table(truth.solution, submission, truth.watched)
    exchanged = truth.solution.filter(action="sniff").rename(
        {"agent_id": "target_id", "target_id": "agent_id"}
    )
    wrong = score_table(exchanged, submission, truth.watched)
    return Grade(right.f_score(), f1_by_action(right), f1_by_action(wrong)["sniff"])


def f1_by_action(table: ScoreTable) -> dict[str, float]:
    return {each.action: each.f1 for each in table.actions if each.in_mean}


def print_size(video: Video) -> None:
    """Print how many frames and bouts there are of each action in each part."""
    first, last = divide(len(video.xy_px))
    sizes = [f"{part.stop - part.start} frames" for part in (first, last)]
    print(f"| who | action | first part: {sizes[0]} | last: {sizes[1]} |")
    print("|---|---|---|---|")
    for of in COLUMNS.values():
        cells = [count(find_bouts(video, part), of) for part in (first, last)]
        who = f"{name_animal(of.agent)} → {name_target(of.agent, of.target)}"
        print(f"| {who} | {of.action} | {' | '.join(cells)} |")


def count(bouts: Sequence[Bout], of: Watched) -> str:
    lengths = [
        b.stop - b.start for b in bouts if Watched(b.agent, b.target, b.action) == of
    ]
    return f"{len(lengths)} bouts, {sum(lengths)} frames"


def print_sureness(videos: dict[str, Video]) -> None:
    """Print how well the names of the mice fit the marks, and the nose rule."""
    for name, video in videos.items():
        for part in divide(len(video.xy_px)):
            fit = sureness(video, part)
            print(
                f"identities {name}, {part.name} part: the only sniffer's nose is "
                f"nearer in {fit.share:.0%} of {fit.frames} frames"
            )
    video = next(iter(videos.values()))
    limit_px, scale = nose_limit_px(video), pixels_per_cm(video)
    print(f"{scale:.1f} px/cm; a nose is near within {limit_px / scale:.1f} cm")


def print_grades(grades: dict[str, list[Grade]]) -> None:
    """Print a row for each method, as mean (least–most) over the seeds."""
    actions = list(grades["network"][0].by_action)
    print(f"| | score | {' | '.join(actions)} | sniff, exchanged |")
    print("|---" * (3 + len(actions)) + "|")
    for name, of_seeds in grades.items():
        cells = [spread([each.score for each in of_seeds])]
        cells += [spread([each.by_action[a] for each in of_seeds]) for a in actions]
        cells.append(spread([each.sniff_exchanged for each in of_seeds]))
        print(f"| {name} | {' | '.join(cells)} |")


def spread(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} ({min(values):.3f}–{max(values):.3f})"


if __name__ == "__main__":
    main()
