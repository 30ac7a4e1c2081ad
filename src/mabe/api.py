"""The public Python interface: what `import mabe` offers.

What is listed in `mabe.__all__` is public; everything else may change without notice.
Names, units and frames are the lab's own: pixels or centimetres as given, spans
``[start, stop)`` in the recording's frames. Only `train` and `evaluate` print.
"""

import html
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import polars as pl

from mabe.bouts import RecordingBouts
from mabe.data.sources import recording_of
from mabe.data.store import from_recording
from mabe.errors import ConfigError, DataError
from mabe.experiments.fold_runs import find_fold_runs
from mabe.experiments.train_by_config import merge_settings, train_model
from mabe.inference.evaluate import Unseen
from mabe.inference.evaluate import evaluate as evaluate_unseen
from mabe.inference.predict import (
    Predictor,
    prediction_provenance,
    recording_provenance,
)
from mabe.io.exporter import WRITERS, write_export
from mabe.io.predictions import (
    BOUTS,
    PROVENANCE,
    PredictionProvenance,
    Predictions,
    bouts_table,
    write_predictions,
)
from mabe.io.probabilities import (
    PROBABILITIES,
    Origin,
    probabilities_path,
    write_probabilities,
)
from mabe.io.project import Project, load_project
from mabe.io.readers.formats import read_file
from mabe.io.readers.poses import Poses
from mabe.io.recording_zones import RecordingZones
from mabe.measures.gather import Options, gather
from mabe.measures.summary import (
    Summary,
    SummarySettings,
    describe,
    summarize,
    write_summary,
)
from mabe.models.checkpoint import load_checkpoint
from mabe.runtime.console import count, quietly
from mabe.runtime.devices import choose_device
from mabe.runtime.executors import Processes
from mabe.runtime.html_table import html_table
from mabe.training.history import read_history
from mabe.viz.notebook import ethogram_svg

__all__ = [
    "Evaluation",
    "Measures",
    "Model",
    "Poses",
    "Prediction",
    "Run",
    "evaluate",
    "load",
    "read_poses",
    "summary",
    "train",
]


def load(run: str | Path, *, device: str = "auto", tta: int = 1) -> "Model":
    """Return the model of a run, of a cross-validation, or of a checkpoint file.

    `device` is auto, cpu, cuda, cuda:1 or mps. `tta` averages so many variants of a
    recording (test-time augmentation). Raises `RunError` where there is no model.
    """
    checkpoint = load_checkpoint(Path(run))
    checkpoint.model.to(choose_device(device))
    return Model(Predictor(checkpoint, tta))


def read_poses(path: str | Path, *, recording: str | None = None) -> Poses:
    """Return the tracks of a pose file of any known format, as the file has them.

    Names, pixels and confidence are the lab's own. Of a file with several recordings,
    name one. Raises `DataError` where the file cannot be read or holds no such
    recording.
    """
    poses = {each.name: each for each in read_file(Path(path)).poses}
    if recording is None and len(poses) == 1:
        return next(iter(poses.values()))
    if recording not in poses:
        wanted = "one of" if recording is None else f"{recording!r} is not among"
        raise DataError(
            f"{path}: holds {count(len(poses), 'recording')}; {wanted} "
            f"{list(poses)[:8]}; give "
            "recording="
        )
    return poses[recording]


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model, ready for use; `load` returns one."""

    predictor: Predictor = field(repr=False)

    @property
    def classes(self) -> tuple[str, ...]:
        """What the model predicts: classes of a scene, or actions of pairs."""
        return self.predictor.task.classes

    @property
    def task(self) -> str:
        """``scene`` (one class per frame) or ``pair`` (who does what to whom)."""
        return str(self.predictor.task.kind)

    @property
    def fps(self) -> float:
        """The rate to which the model resamples every recording."""
        return self.predictor.rate_fps

    @property
    def path(self) -> Path:
        """The checkpoint file."""
        return self.predictor.checkpoint.path

    def predict(
        self,
        poses: Poses,
        *,
        fps: float | None = None,
        pixels_per_cm: float | None = None,
        min_confidence: float | None = None,
        project: str | Path | None = None,
        lab: str | None = None,
        actions: Sequence[str] | None = None,
    ) -> "Prediction":
        """Return bouts and probabilities of one recording, in memory.

        What is not given is taken from the file `project` (a project.yaml), then from
        the poses, then estimated or assumed, which stands in the result's `notes`.
        `lab` chooses the decision thresholds of a lab that the model was trained on.
        `actions` are the only ones to predict (docs/reuse.md). Raises `ConfigError` for
        one that the model does not know, and `DataError` where the scale cannot be
        estimated, or no keypoint is among those that the model was trained on.
        """
        wanted = None if actions is None else tuple(actions)
        predictor = replace(self.predictor, actions=wanted)
        settings = load_project(Path(project)) if project else Project()
        zones = RecordingZones.of(settings, Path(project or "").parent)
        settings = settings.with_changes(
            fps=fps, pixels_per_cm=pixels_per_cm, min_confidence=min_confidence
        )
        recording = recording_of(
            poses,
            settings,
            Path(poses.name),
            lab=lab or settings.lab or "lab",
            usual_fps=predictor.usual_fps,
            zones=zones,
        )
        store = from_recording(recording, predictor.rate_fps)
        source = replace(
            recording_provenance(predictor, store, 0), file=None, file_hash=None
        )
        bouts, columns = predictor.predict_recording(store, 0)
        return Prediction(bouts, columns, prediction_provenance(predictor, [source]))

    def _repr_html_(self) -> str:
        about = {
            "task": self.task,
            "classes": ", ".join(self.classes),
            "works at": f"{self.fps:g} frames per second",
            "file": str(self.path),
        }
        return html_table(about)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Predicted bouts and probabilities of one recording."""

    recording: RecordingBouts = field(repr=False)
    columns: dict[str, Any] = field(repr=False)
    """Probabilities by column name, arrays of shape [frame]."""
    provenance: PredictionProvenance = field(repr=False)

    @property
    def bouts(self) -> pl.DataFrame:
        """A row per bout, as in bouts.csv: frames, seconds, mean probability.

        Animals have the names that the poses give them; the target of an action on
        oneself is ``self``.
        """
        return bouts_table(Predictions(self.provenance, (self.recording,)))

    @property
    def probabilities(self) -> pl.DataFrame:
        """A row per frame: its number, and the probability of each class or action."""
        frames = pl.int_range(self.recording.length, dtype=pl.Int32, eager=True)
        return pl.DataFrame({"frame": frames, **self.columns})

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed, estimated or treated as missing."""
        return self.provenance.sources[0].notes

    def save(self, out: str | Path, *, format: str = "mabe") -> list[Path]:
        """Write the prediction into a folder, and return the files.

        `format` is ``mabe`` (bouts.csv, probabilities and provenance, as `mabe predict`
        writes them), boris, csv, nwb, slp, calms21 or submission. Raises `ConfigError`
        for another one.
        """
        folder = Path(out)
        predictions = Predictions(self.provenance, (self.recording,))
        if format == "mabe":
            write_predictions(folder, predictions)
            table = probabilities_path(
                folder / PROBABILITIES, self.recording.lab, self.recording.video
            )
            about, bouts = self.provenance, self.recording.bouts
            origin = Origin("", about.model_hash, about.variants, bouts)
            length = self.recording.length
            write_probabilities(table, self.columns, frames=length, origin=origin)
            return [folder / BOUTS, folder / PROVENANCE, table]
        if format not in WRITERS:
            known = ", ".join(["mabe", *WRITERS])
            raise ConfigError(f"format={format!r} is unknown; known: {known}")
        return write_export(predictions, format, folder)

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        return (
            f"{ethogram_svg(self.recording, self.provenance.actions)}"
            f"{self.bouts._repr_html_()}<ul>{notes}</ul>"
        )


@dataclass(frozen=True, slots=True)
class Run:
    """A finished training; `train` returns one."""

    path: Path
    """The run directory."""
    model: Model
    score: float | None
    """Macro F1 on held-out recordings; None where none could be scored."""
    history: pl.DataFrame = field(repr=False)
    """A row per epoch (of several runs: and run): losses, macro F1, learning rate."""

    def _repr_html_(self) -> str:
        score = "-" if self.score is None else f"{self.score:.3f}"
        about = {"run": str(self.path), "macro F1, held out": score}
        return f"{html_table(about)}{self.model._repr_html_()}"


def train(
    data: str | Path | None = None,
    *,
    out: str | Path | None = None,
    config: str | Path | None = None,
    resume: bool = False,
    skip_bad: bool = False,
    quiet: bool = False,
    **settings: Any,
) -> Run:
    """Train a model on labelled recordings, as `mabe train` does.

    `data` is a data set or a prepared store, `out` the run directory, `config` a YAML
    file of settings; `settings` change single ones, such as ``epochs=20``. Without a
    config and a `model_type` the automatic recipe is trained. Prints its progress,
    `quiet` only the result. Raises `MabeError` for what you can mend.
    """
    given = merge_settings(
        Path(config) if config else None,
        data_dir=Path(data) if data else None,
        run_dir=Path(out) if out else None,
        resume=resume,
        changes=settings,
    )
    with quietly(quiet):
        run = train_model(given, resume=resume, skip_bad=skip_bad)
    return Run(run.run_dir, load(run.model_path), run.macro_f1, _history(run.run_dir))


_HISTORY_TYPES = dict.fromkeys(
    ("train_loss", "held_out_loss", "macro_f1", "learning_rate", "seconds"), pl.Float64
)


def _history(run_dir: Path) -> pl.DataFrame:
    """Return the epochs of a run, or of all runs of a cross-validation."""
    fold_runs = [each.run_dir for each in find_fold_runs(run_dir)]
    names = {folder: folder.relative_to(run_dir).as_posix() for folder in fold_runs}
    rows = [
        {
            "run": name,
            "epoch": epoch.number,
            "train_loss": epoch.train_loss,
            "held_out_loss": epoch.val_loss,
            "macro_f1": epoch.macro_f1,
            "learning_rate": epoch.learning_rate,
            "seconds": epoch.seconds,
        }
        for folder, name in (names or {run_dir: run_dir.name}).items()
        for epoch in read_history(folder)
    ]
    return pl.DataFrame(rows, schema_overrides=_HISTORY_TYPES)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of a model on labelled recordings; `evaluate` returns one."""

    macro_f1: float | None
    """Mean F1 over classes; of a pair model the challenge's score."""
    per_class: pl.DataFrame = field(repr=False)
    """A row per class; of a pair model per lab and action, by the strict rules."""
    notes: tuple[str, ...] = field(repr=False)
    """Which recordings were scored, and which were left out."""
    text: str = field(repr=False)
    """The table that `mabe evaluate` prints."""

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text)}</pre>"


def evaluate(
    model: Model,
    data: str | Path,
    *,
    include_training: bool = False,
    skip_bad: bool = False,
    workers: int = 1,
) -> Evaluation:
    """Score a model on the labelled recordings of `data` that it was not trained on.

    `data` is a data set, a store, or a folder of tracks and labels of any known
    format. `include_training` also scores recordings that the model was trained on,
    which is not an honest figure. With several `workers` (processes of one thread),
    call it under ``if __name__ == "__main__":``. Raises `DataError` where nothing is
    left to score.
    """
    unseen = Unseen(
        model.predictor,
        Path(data),
        include_training,
        skip_bad,
        executor=Processes(workers),
    )
    scores = evaluate_unseen(unseen)
    return Evaluation(
        macro_f1=scores.macro_f1,
        per_class=scores.to_frame(),
        notes=unseen.notes(),
        text=scores.to_text(),
    )


@dataclass(frozen=True, slots=True)
class Measures:
    """What a paper reports of bouts, as tables; `summary` returns one."""

    whole: Summary = field(repr=False)

    @property
    def tables(self) -> dict[str, pl.DataFrame]:
        """The tables by name; docs/measures.md describes every column."""
        return self.whole.tables

    @property
    def notes(self) -> tuple[str, ...]:
        """What is needed to interpret the tables."""
        return self.whole.notes

    def save(self, out: str | Path) -> Path:
        """Write all tables into a folder, as `mabe summary` does; return the folder."""
        write_summary(Path(out), self.whole)
        return Path(out)

    def __str__(self) -> str:
        return "\n".join(describe(self.whole))

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def summary(
    path: str | Path,
    *,
    data: str | Path | None = None,
    held_out: str | Path | None = None,
    metadata: str | Path | None = None,
    by: Sequence[str] = (),
    bin_s: float | None = None,
    lag_s: float = 5.0,
    within_cm: float = 10.0,
    tolerance_s: float = 0.25,
    undirected: Collection[str] = (),
    unit: Literal["animal", "recording"] = "animal",
    animals: Literal["same", "different"] | None = None,
    seed: int = 0,
    skip_bad: bool = False,
) -> Measures:
    """Measure bouts as papers report them, as `mabe summary` does; writes nothing.

    `path` is a folder of predictions, a run, or recordings with labels; `data` are the
    recordings that were predicted. `by` are the facts (of `metadata` or the data) by
    which groups are compared, `animals` whether animals with one id in several
    recordings are one animal. Durations are in seconds. Raises `DataError` where there
    is nothing to measure, `ConfigError` where groups cannot be formed.
    """
    gathered = gather(
        Path(path),
        Options(
            data=_path(data),
            held_out=_path(held_out),
            metadata=_path(metadata),
            undirected=frozenset(undirected),
            within_cm=within_cm,
            skip_bad=skip_bad,
        ),
    )
    settings = SummarySettings(
        by=tuple(by),
        bin_s=bin_s,
        lag_s=lag_s,
        tolerance_s=tolerance_s,
        unit=unit,
        identity=animals,
        seed=seed,
    )
    return Measures(summarize(gathered, settings))


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)
