"""Options and arguments that several commands share, and what they stand for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mabe.cli.url_roles import UrlRole

if TYPE_CHECKING:  # imported late, so that `--help` is quick
    from mabe.inference.predict import Predictor
    from mabe.io.project import Project

_RUN = typer.Argument(
    help="Run directory such as checkpoints/5090 (its best model), directory of a "
    "cross-validation, checkpoint file, or hf://owner/name[@revision]."
)
Run = Annotated[
    Path,
    UrlRole.READ,
    _RUN,
]
WrittenRun = Annotated[
    Path,
    UrlRole.FOLDER,
    _RUN,
]
"""A run into which a command writes."""
Config = Annotated[
    Path | None,
    UrlRole.READ,
    typer.Option("--config", help="YAML file of settings; see configs/."),
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
    UrlRole.READ,
    typer.Option(
        "--project",
        help="project.yaml with what the files do not give; see docs/formats.md.",
    ),
]


def load_predictor(
    run: Path, device: str, tta: int = 1, actions: str | None = None
) -> "Predictor":
    """Return a run's model on a device, ready to predict.

    `actions` are the names of those to predict, with commas between them.
    """
    from mabe.inference.predict import Predictor
    from mabe.models.checkpoint import load_checkpoint
    from mabe.runtime.devices import choose_device

    checkpoint = load_checkpoint(run)
    checkpoint.model.to(choose_device(device))
    return Predictor(checkpoint, tta, None if actions is None else _names(actions))


def _names(text: str) -> tuple[str, ...]:
    """Return the names in a text with commas between them, each once."""
    names = (name.strip() for name in text.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


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
