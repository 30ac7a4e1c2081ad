"""Commands that bring labs' files in and predictions out.

`mabe inspect | import | export`; registered by `mabe.cli`.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

Fps = Annotated[
    float | None,
    typer.Option(min=0.1, max=2000, help="Frames per second, where no file says it."),
]


PixelsPerCm = Annotated[
    float | None,
    typer.Option(min=0.01, help="Scale; else estimated from the length of the body."),
]


MinConfidence = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Points below are missing; by default what the tracker's makers use.",
    ),
]


ProjectFile = Annotated[
    Path | None,
    typer.Option(
        "--project",
        help="project.yaml with what files do not say; see docs/formats.md.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("inspect")(inspect_files)
    app.command("import")(import_files)
    app.command("export")(export_predictions)


def settle_project(data: Path, given: Path | None, **changes: Any) -> Any:
    """Return the project of a command: the file given, else the one beside the data."""
    from mabe.io.project import find_project, load_project

    project = load_project(given) if given else find_project(data)
    return project.with_changes(**changes)


def inspect_files(
    path: Annotated[Path, typer.Argument(help="A file, or a folder of files.")],
    min_confidence: MinConfidence = None,
    project: ProjectFile = None,
) -> None:
    """Tell what files are: animals, keypoints, rate, labels, problems."""
    from mabe.io.inspector import inspect

    settings = settle_project(path, project, min_confidence=min_confidence)
    for line in inspect(path, settings):
        print(line)


def import_files(
    project_dir: Annotated[
        Path, typer.Argument(help="Folder with tracks and annotations of any format.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write, for `mabe train`.")],
    fps: Fps = None,
    pixels_per_cm: PixelsPerCm = None,
    min_confidence: MinConfidence = None,
    project: ProjectFile = None,
    pieces: Annotated[
        int,
        typer.Option(
            min=1,
            help="Cut every recording into so many: with a single one there is else "
            "nothing to check a model on.",
        ),
    ] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, write nothing.")
    ] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out files that cannot be read.")
    ] = False,
) -> None:
    """Bring tracks and annotations of any known format into one data set."""
    from mabe.io.file_matching import plan_import
    from mabe.io.importer import (
        Totals,
        check_output,
        describe_end,
        describe_plan,
        describe_recording,
        run_import,
    )

    settings = settle_project(
        project_dir,
        project,
        fps=fps,
        pixels_per_cm=pixels_per_cm,
        min_confidence=min_confidence,
    )
    check_output(out)
    plan = plan_import(project_dir, settings, skip=out, skip_bad=skip_bad)
    for line in describe_plan(plan):
        print(line)
    place = None if dry_run else out
    totals, shown = Totals(), set[str]()
    for imported in run_import(plan, place, pieces=pieces):
        print("\n".join(describe_recording(imported, shown)))
        totals.add(imported)
    print(describe_end(totals, place))


def export_predictions(
    predictions: Annotated[
        Path, typer.Argument(help="Folder that `mabe predict` has written.")
    ],
    to: Annotated[
        str, typer.Option(help="boris, csv, nwb, calms21 or submission.")
    ] = "csv",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write; PREDICTIONS/export by default."),
    ] = None,
) -> None:
    """Write predictions as other programs read them, with where they come from."""
    from mabe.io.exporter import export

    for path in export(predictions, to, out or predictions / "export"):
        print(f"✓ {path}")
