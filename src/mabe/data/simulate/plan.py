"""What the files of a simulated data set are made from."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from mabe.bouts import Bout
from mabe.data.simulate.arena import Arena
from mabe.data.simulate.tracker_errors import Camera
from mabe.runtime.file_names import path_under
from mabe.skeleton import ANIMALS


def metadata_columns(animals: int = ANIMALS) -> tuple[str, ...]:
    """Return the columns of train.csv for so many animals; the challenge's at least."""
    return (
        "lab_id",
        "video_id",
        *(
            f"mouse{mouse}_{fact}"
            for mouse in range(1, max(ANIMALS, animals) + 1)
            for fact in ("strain", "color", "sex", "id", "age", "condition")
        ),
        *("frames_per_second", "video_duration_sec", "pix_per_cm_approx"),
        *("video_width_pix", "video_height_pix", "arena_width_cm", "arena_height_cm"),
        *("arena_shape", "arena_type", "body_parts_tracked", "behaviors_labeled"),
        "tracking_method",
    )


METADATA_COLUMNS = metadata_columns()


ANNOTATION_COLUMNS = ("agent_id", "target_id", "action", "start_frame", "stop_frame")


@dataclass(frozen=True, slots=True, kw_only=True)
class Widths:
    """Integer types of a video's files, by their Arrow names."""

    frame: str
    mouse: str

    def holding(self, frames: int) -> "Widths":
        """Return these types, or wider ones where the number of frames needs them."""
        fits = frames <= 2 ** (pa.type_for_alias(self.frame).bit_width - 1) - 1
        return self if fits else Widths(frame="int32", mouse=self.mouse)


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoPlan:
    """One video: its animals, bouts, arena and camera."""

    lab: str
    video: str
    seed: int
    frames: int
    animals: tuple[int, ...]
    body_parts: tuple[str, ...]
    arena: Arena
    camera: Camera
    bouts: tuple[Bout, ...]
    annotation: pa.Table | None
    """The labels as they are written; None: no file."""
    widths: Widths
    split: str = "train"
    """``train``, or ``test``: without labels."""

    @property
    def name(self) -> str:
        """The video as messages name it."""
        return f"{self.lab}/{self.video}"

    def content(self) -> str:
        """Return all that the files depend on, for fingerprints."""
        labels = self.annotation and (
            self.annotation.schema,
            self.annotation.to_pydict(),
        )
        facts = (self.lab, self.video, self.seed, self.frames, self.animals)
        # Simulated bouts have no probability, and early fingerprints did not name it.
        bouts = repr(self.bouts).replace(", probability=None", "")
        more = f"{self.body_parts}, {self.arena}, {self.camera}, {bouts}, {self.widths}"
        return f"{facts} ({more}) {labels}"

    def tracking_path(self, out_dir: Path) -> Path:
        """Return the path of its tracking file."""
        folder = out_dir / f"{self.split}_tracking"
        return path_under(folder, self.lab, self.video, ending=".parquet")

    def annotation_path(self, out_dir: Path) -> Path:
        """Return the path of its annotation file."""
        folder = out_dir / "train_annotation"
        return path_under(folder, self.lab, self.video, ending=".parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSetPlan:
    """A data set: the rows of its tables, and its videos."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    videos: tuple[VideoPlan, ...]
    test_rows: tuple[tuple[str, ...], ...] = ()
    """Of test.csv; empty: there is none."""
    test_videos: tuple[VideoPlan, ...] = ()
