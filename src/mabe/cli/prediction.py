"""Commands that use a model on new recordings: `mabe predict | submit | export`."""

from pathlib import Path
from typing import Annotated

import typer

from mabe.cli.executor_options import Cpus, Gpus, RayAddress, choose_executor
from mabe.cli.options import (
    Device,
    Fps,
    MinConfidence,
    PixelsPerCm,
    ProjectFile,
    Run,
    SkipBad,
    Tta,
    load_predictor,
    load_project,
)
from mabe.cli.reporting import listing_failures
from mabe.cli.results import Exported, Predicted, Submitted
from mabe.cli.url_roles import UrlRole
from mabe.runtime.console import count
from mabe.runtime.executors import prepare_workers


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(predict)
    app.command()(submit)
    app.command("export")(export_predictions)


def predict(
    run: Run,
    data: Annotated[
        Path,
        UrlRole.DATA,
        typer.Argument(
            help="A pose file of any known format, a folder of such files, a folder in "
            "the Kaggle layout, or a store; of the last two also a URL (s3://…)."
        ),
    ],
    out: Annotated[Path, UrlRole.FOLDER, typer.Option(help="Folder to write.")],
    actions: Annotated[
        str | None,
        typer.Option(
            help="Predict only these actions, or classes: attack,sniff. Others of a "
            "pair model do not compete then; classes of a scene still do."
        ),
    ] = None,
    tta: Tta = 1,
    device: Device = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Recordings at once, with one thread each; by default all cores where "
            "several recordings take a while.",
        ),
    ] = None,
    ray: RayAddress = None,
    cpus_per_task: Cpus = 1.0,
    gpus_per_task: Gpus = None,
    skip_bad: SkipBad = False,
    fps: Fps = None,
    pixels_per_cm: PixelsPerCm = None,
    min_confidence: MinConfidence = None,
    project: ProjectFile = None,
) -> Predicted:
    """Predict bouts, and probabilities for each frame."""
    from mabe.inference.filled_recordings import notes_on_filled
    from mabe.inference.predict import predict as run_prediction

    settings = load_project(
        data,
        project,
        fps=fps,
        pixels_per_cm=pixels_per_cm,
        min_confidence=min_confidence,
    )
    executor = choose_executor(workers, ray, cpus_per_task, gpus_per_task)
    in_workers = executor is not None and executor.threads is not None
    if executor is None and data.is_dir():
        prepare_workers()
    # Workers move the model to the device of their own machine.
    where = "cpu" if in_workers else device
    predictor = load_predictor(run, where, tta, actions)
    with listing_failures(out):
        recordings = run_prediction(
            predictor,
            data,
            out,
            skip_bad=skip_bad,
            project=settings,
            executor=executor,
            device=device if in_workers else None,
        )
        bouts = sum(len(recording.bouts) for recording in recordings)
        odd = notes_on_filled(recordings)
        for note in odd:
            print(f"! {note}")
        found = f"{count(len(recordings), 'recording')}, {count(bouts, 'bout')}"
        found += f": {out / 'bouts.csv'}"
        print(f"{'!' if odd else '✓'} {found}")
        print(f"✓ Probabilities of each frame: {out / 'probabilities'}")
    return Predicted(
        out=out,
        bouts_file=out / "bouts.csv",
        recordings=tuple(f"{each.lab}/{each.video}" for each in recordings),
        bouts=bouts,
        notes=tuple(odd),
    )


def submit(
    run: Run,
    data: Annotated[
        Path,
        UrlRole.READ,
        typer.Argument(help="Folder in the Kaggle layout; its test.csv is predicted."),
    ],
    out: Annotated[Path, UrlRole.FILE, typer.Option(help="The file to write.")] = Path(
        "submission.csv"
    ),
    held_out: Annotated[
        bool,
        typer.Option(
            "--held-out",
            help="Predict the labelled recordings that the model did not learn from, "
            "and write their solution too, for `mabe score`.",
        ),
    ] = False,
    tta: Tta = 1,
    device: Device = "auto",
    skip_bad: SkipBad = False,
) -> Submitted:
    """Write and check a submission for the challenge."""
    from mabe.inference.evaluate import Unseen
    from mabe.inference.submit import submit as write_submission
    from mabe.inference.submit import submit_held_out

    predictor = load_predictor(run, device, tta)
    solution = None
    with listing_failures(out.parent, of=out.stem):
        if held_out:
            unseen = Unseen(predictor, data, skip_bad=skip_bad)
            review, solution = submit_held_out(unseen, out)
            print("\n".join(unseen.notes()))
            print(f"✓ Its solution: {solution}; next: mabe score {solution} {out}")
        else:
            review = write_submission(predictor, data, out, skip_bad=skip_bad)
    return Submitted(
        submission=out,
        solution=solution,
        rows=review.rows,
        videos=review.videos,
        warnings=review.warnings,
    )


def export_predictions(
    predictions: Annotated[
        Path,
        UrlRole.FOLDER,
        typer.Argument(help="Folder that `mabe predict` has written."),
    ],
    to: Annotated[
        str, typer.Option(help="boris, csv, nwb, slp, calms21 or submission.")
    ] = "csv",
    out: Annotated[
        Path | None,
        UrlRole.FOLDER,
        typer.Option(help="Folder to write; PREDICTIONS/export by default."),
    ] = None,
) -> Exported:
    """Convert predictions to the format of another program."""
    from mabe.io.exporter import export

    files = tuple(export(predictions, to, out or predictions / "export"))
    for path in files:
        print(f"✓ {path}")
    return Exported(files=files)
