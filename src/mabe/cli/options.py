"""Options and arguments that several commands share, and what they stand for."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # imported late, so that `--help` is quick
    from mabe.inference.predict import Predictor
    from mabe.io.project import Project

DONE_IN_PART = 3
"""The exit code where files were left out."""

Run = Annotated[
    Path,
    typer.Argument(
        help="Run directory such as checkpoints/5090 (its best model), directory of a "
        "cross-validation, or checkpoint file."
    ),
]
Config = Annotated[
    Path | None, typer.Option("--config", help="YAML file of settings; see configs/.")
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a setting: --set epochs=20 (repeatable)."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Tta = Annotated[
    int,
    typer.Option(
        min=1,
        help="Test-time augmentation: average over so many variants of each recording "
        "(mirrored, rotated …).",
    ),
]
SkipBad = Annotated[
    bool,
    typer.Option("--skip-bad", help="Leave out files that cannot be read; list them."),
]
IncludeTraining = Annotated[
    bool,
    typer.Option(
        "--include-training",
        help="Include recordings that the model learned from; the scores are then too "
        "high.",
    ),
]
Fps = Annotated[
    float | None,
    typer.Option(
        min=0.1, max=2000, help="Frames per second, where the files do not give them."
    ),
]
PixelsPerCm = Annotated[
    float | None,
    typer.Option(
        min=0.01, help="Scale; by default estimated from the length of the body."
    ),
]
MinConfidence = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Treat points with a lower confidence as missing; the default is that of "
        "each tracker.",
    ),
]
ProjectFile = Annotated[
    Path | None,
    typer.Option(
        "--project",
        help="project.yaml with what the files do not give; see docs/formats.md.",
    ),
]


@contextmanager
def listing_failures(folder: Path | None, *, of: str = "") -> Iterator[None]:
    """List in a folder what is left out within the context; then exit with code 3.

    The list is ``failures.csv``; `of` is the name of a file that is the only one of the
    command. Without a folder nothing is written.
    """
    from mabe.runtime.failures import FILE_NAME, collecting_failures, write_failures

    with collecting_failures() as failures:
        yield
    path = folder and folder / (f"{of}.{FILE_NAME}" if of else FILE_NAME)
    if path is not None:
        write_failures(path, failures)
    if failures:
        where = "" if path is None else f"; listed in {path}"
        print(f"! Done in part: {len(failures)} left out{where}", file=sys.stderr)
        raise typer.Exit(DONE_IN_PART)


def load_predictor(run: Path, device: str, tta: int = 1) -> "Predictor":
    """Return a run's model on a device, ready to predict."""
    from mabe.inference.predict import Predictor
    from mabe.models.checkpoint import load_checkpoint
    from mabe.runtime.devices import choose_device

    checkpoint = load_checkpoint(run)
    checkpoint.model.to(choose_device(device))
    return Predictor(checkpoint, tta)


def load_project(
    data: Path,
    project_file: Path | None,
    *,
    fps: float | None = None,
    pixels_per_cm: float | None = None,
    min_confidence: float | None = None,
) -> "Project":
    """Return the project file given, else the one beside the data, with changes."""
    from mabe.io.project import find_project
    from mabe.io.project import load_project as read_project

    project = read_project(project_file) if project_file else find_project(data)
    return project.with_changes(
        fps=fps, pixels_per_cm=pixels_per_cm, min_confidence=min_confidence
    )
