"""The commands that show something: `mabe report | plot | view`.

Only what the user asked for is imported, so that `--help` is quick.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

Run = Annotated[
    Path,
    typer.Argument(
        help="A run directory such as checkpoints/5090 (its best recogniser), that of "
        "a cross-validation, or one checkpoint file."
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Labelled recordings: a Kaggle layout, or a store; by default what the "
        "run was trained on."
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
SkipBad = Annotated[
    bool,
    typer.Option("--skip-bad", help="Leave out files that cannot be read, and say so."),
]
IncludeTraining = Annotated[
    bool,
    typer.Option(
        "--include-training",
        help="Show recordings it learned from too; not an honest figure.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(report)


def report(
    run: Run,
    data: Data = None,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("report.html"),
    include_training: IncludeTraining = False,
    device: Device = "auto",
    skip_bad: SkipBad = False,
) -> None:
    """Write all there is to see of a run as one page: how good, where it fails, why."""
    from mabe.reporting import write_report

    contents = write_report(
        run,
        out,
        marker=load_marker(run, device),
        data=data,
        include_training=include_training,
        skip_bad=skip_bad,
    )
    score = contents.study.confidence()
    print(f"macro F1 {score}, on {contents.judged_on}")
    print(f"✓ {out} ({out.stat().st_size / 1e6:.1f} MB)")


def load_marker(run: Path, device: str) -> Any:
    """Return a run's recogniser, ready to mark."""
    from mabe.checkpoint import load_checkpoint
    from mabe.devices import choose_device
    from mabe.prediction import Marker

    checkpoint = load_checkpoint(run)
    checkpoint.recogniser.to(choose_device(device))
    return Marker(checkpoint)
