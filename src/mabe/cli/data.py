"""Commands that make data sets: `mabe inspect | import | simulate | prepare`."""

from collections.abc import Generator
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from mabe.cli.executor_options import Cpus, RayAddress, choose_executor
from mabe.cli.options import (
    Fps,
    MinConfidence,
    PixelsPerCm,
    ProjectFile,
    SkipBad,
    load_project,
)
from mabe.cli.reporting import listing_failures
from mabe.cli.results import Imported, Inspected, Prepared, Simulated
from mabe.cli.url_roles import UrlRole
from mabe.runtime.console import count

T = TypeVar("T")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("inspect")(inspect_files)
    app.command("import")(import_files)
    app.command()(simulate)
    app.command()(prepare)


def inspect_files(
    path: Annotated[
        Path | None, UrlRole.READ, typer.Argument(help="A file, or a folder of files.")
    ] = None,
    min_confidence: MinConfidence = None,
    project: ProjectFile = None,
    formats: Annotated[
        bool,
        typer.Option("--formats", help="List the formats that are read and written."),
    ] = False,
) -> Inspected:
    """Describe pose and annotation files, and models, predictions and stores of mabe.

    Prints animals, keypoints, frame rate, labels and problems. Of a file that is not
    read: its columns, groups or variables, and for a table of bouts the lines for
    project.yaml that make it readable.
    """
    from mabe.errors import ConfigError
    from mabe.io.format_table import list_formats
    from mabe.io.inspector import inspect

    if formats:
        lines = tuple(list_formats())
        print("\n".join(lines))
        return Inspected(kind="formats", formats=lines)
    if path is None:
        raise ConfigError("inspect: give a file or a folder (or --formats)")
    if _may_be_own(path):
        from mabe.experiments.own_files import describe_own_files

        if (own := describe_own_files(path)) is not None:
            print(own.text)
            return Inspected(path=path, kind=own.kind, own=own.values)
    settings = load_project(path, project, min_confidence=min_confidence)
    found = _print_each(inspect(path, settings))
    return Inspected(
        path=path,
        kind=found.kind,
        tracks=found.tracks,
        labels=found.labels,
        not_read=found.not_read,
        guesses=found.guesses,
        videos=found.videos,
        labelled=found.labelled,
    )


def _may_be_own(path: Path) -> bool:
    """Return whether a path may be a model, predictions or a store of mabe.

    Others are described without loading what models need.
    """
    from mabe.runtime.model_hub import hub_address

    names = ("best.safetensors", "provenance.json", "index.json")
    is_file = path.suffix == ".safetensors"
    return (
        is_file
        or hub_address(path) is not None
        or any((path / name).is_file() for name in names)
    )


def _print_each(lines: Generator[str, None, T]) -> T:
    """Print lines as they come, and return what their generator returns."""
    while True:
        try:
            print(next(lines))
        except StopIteration as end:
            return end.value


def import_files(
    project_dir: Annotated[
        Path,
        UrlRole.READ,
        typer.Argument(help="Folder with tracks and annotations of any format."),
    ],
    out: Annotated[
        Path | None,
        UrlRole.FOLDER,
        typer.Option(
            help="Folder to write, for `mabe train`; not needed with --dry-run."
        ),
    ] = None,
    fps: Fps = None,
    pixels_per_cm: PixelsPerCm = None,
    min_confidence: MinConfidence = None,
    project: ProjectFile = None,
    repair_identities: Annotated[
        bool,
        typer.Option(
            "--repair-identities",
            help="Exchange tracks back where the tracker exchanged animals; "
            "identities.csv lists where. docs/any_animal.md says how well.",
        ),
    ] = False,
    pieces: Annotated[
        int,
        typer.Option(
            min=1,
            help="Cut each recording into so many, so that one recording is enough to "
            "train and to validate.",
        ),
    ] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done; write nothing.")
    ] = False,
    skip_bad: SkipBad = False,
) -> Imported:
    """Convert tracks and annotations to one data set.

    A file that cannot be read is listed with its reason and does not stop the others.
    The exit code is 0 if all tracks and labels were used, 3 if some were left out
    (failures.csv lists them), and 2 if nothing can be imported: no tracks, labels of
    which none is used, or several people's labels of one recording between which
    project.yaml does not choose. Every guess is listed at the end, and in project.yaml
    of the data set.
    """
    from mabe.errors import ConfigError, DataError
    from mabe.io.import_plan import describe_plan, plan_import
    from mabe.io.import_report import Totals, describe_end, describe_recording
    from mabe.io.importer import check_output, run_import
    from mabe.runtime.console import print_lines
    from mabe.runtime.failures import note_failure

    settings = load_project(
        project_dir,
        project,
        fps=fps,
        pixels_per_cm=pixels_per_cm,
        min_confidence=min_confidence,
    )
    if out is not None:
        check_output(out)
    elif not dry_run:
        raise ConfigError(
            "--out: say where the data set is to be written (or --dry-run)"
        )
    if repair_identities:
        settings = settings.with_changes(repair_identities=True)
    plan = plan_import(project_dir, settings, skip=out)
    print_lines(*describe_plan(plan))
    if plan.is_without_its_labels and plan.unused:
        raise DataError(
            f"{project_dir}: none of its labels is used (see above); nothing is "
            "written. `recordings` in project.yaml says which files belong together."
        )
    if plan.is_without_its_labels and not skip_bad:
        raise DataError(
            f"{project_dir}: none of its labels is used: the files that may hold them "
            "are not read (see above); nothing is written. `mabe inspect` says what "
            "they hold; --skip-bad imports the tracks without them."
        )
    place = None if dry_run else out
    totals, shown = Totals(), set[str]()
    with listing_failures(place):
        for file, reason in plan.left_out_files.items():
            note_failure(str(file), reason)
        for imported in run_import(plan, place, pieces=pieces):
            print_lines(*describe_recording(imported, shown))
            totals.add(imported)
        print("\n".join(describe_end(totals, plan, place)))
        if plan.has_labels and not totals.labelled:
            raise DataError(f"{project_dir}: no recording with labels was imported.")
    return Imported(
        out=place,
        recordings=totals.recordings,
        labelled=totals.labelled,
        frames=totals.frames,
        bouts=totals.bouts,
        guesses=tuple(totals.guesses),
    )


def simulate(
    out: Annotated[Path, UrlRole.FOLDER, typer.Argument(help="Folder to write.")],
    like: Annotated[
        Path | None,
        UrlRole.READ,
        typer.Option(help="Simulate the labels of a real data set (its train.csv)."),
    ] = None,
    videos: Annotated[int | None, typer.Option(min=1, help="Number of videos.")] = None,
    minutes: Annotated[
        float,
        typer.Option(min=0.05, help="Length of each video; not with --like."),
    ] = 2.0,
    actions: Annotated[
        str | None,
        typer.Option(
            help="Actions that all labs annotate, instead of their own: "
            "chase,flee,sniff."
        ),
    ] = None,
    animals: Annotated[
        int | None,
        typer.Option(min=2, max=100, help="Animals in each video; not with --like."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same data.")] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; all cores by default.")
    ] = None,
) -> Simulated:
    """Simulate labelled recordings of animals."""
    from mabe.data.simulate import simulate as write_simulation

    summary = write_simulation(
        out,
        like=like,
        videos=videos,
        minutes=minutes,
        actions=tuple(actions.split(",")) if actions else (),
        animals=animals,
        seed=seed,
        workers=workers,
    )
    made = "" if summary.written == summary.videos else f" ({summary.written} new)"
    print(
        f"✓ {count(summary.videos, 'video')}{made} of {count(summary.labs, 'lab')}, "
        f"{count(summary.frames, 'frame')}, {count(summary.bouts, 'bout')}: "
        f"{summary.out_dir}"
    )
    return Simulated(
        out=summary.out_dir,
        labs=summary.labs,
        videos=summary.videos,
        written=summary.written,
        frames=summary.frames,
        bouts=summary.bouts,
    )


def prepare(
    data_dir: Annotated[
        Path,
        UrlRole.DATA,
        typer.Argument(help="Folder in the Kaggle layout, or its URL (s3://…)."),
    ],
    out: Annotated[
        Path | None,
        UrlRole.FOLDER,
        typer.Option(help="Store to write; by default in the user's cache."),
    ] = None,
    fps: Annotated[
        float, typer.Option(min=1, max=240, help="Working rate, frames per second.")
    ] = 33.3,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Recordings read at once; one for each core."),
    ] = None,
    ray: RayAddress = None,
    cpus_per_task: Cpus = 1.0,
    skip_bad: SkipBad = False,
) -> Prepared:
    """Convert recordings to a store that is fast to read.

    `mabe train` does it by itself.
    """
    from mabe.data.prepare import default_store_path
    from mabe.data.prepare import prepare as write_store

    place = out or default_store_path(data_dir, fps)
    with listing_failures(place):
        store = write_store(
            data_dir,
            place,
            rate_fps=fps,
            skip_bad=skip_bad,
            workers=workers,
            # Without Ray the number of workers decides what they are.
            executor=choose_executor(workers if ray else None, ray, cpus_per_task),
        )
        frames = sum(recording.length for recording in store.recordings)
        print(
            f"✓ {count(len(store.recordings), 'recording')}, {count(frames, 'frame')} "
            f"at {fps} fps: "
            f"{store.root}"
        )
    return Prepared(
        store=store.root, fps=fps, recordings=len(store.recordings), frames=frames
    )
