"""The commands that show something: `mabe report | plot | view`.

Only what the user asked for is imported, so that `--help` is quick.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

Run = Annotated[
    Path,
    typer.Argument(
        help="A run directory such as checkpoints/5090 (its best model), that of "
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
    app.command()(view)
    plots = typer.Typer(
        help="Pictures for papers: .svg, .pdf or .png.", no_args_is_help=True
    )
    plots.command()(ethogram)
    plots.command()(traces)
    plots.command()(confusion)
    plots.command("learning-curve")(learning_curve)
    app.add_typer(plots, name="plot")


def report(
    run: Run,
    data: Data = None,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("report.html"),
    include_training: IncludeTraining = False,
    device: Device = "auto",
    skip_bad: SkipBad = False,
) -> None:
    """Write all there is to see of a run as one page."""
    from mabe.viz.report.gather import write_report

    contents = write_report(
        run,
        out,
        predictor=load_predictor(run, device),
        data=data,
        include_training=include_training,
        skip_bad=skip_bad,
    )
    score = contents.study.confidence()
    print(f"macro F1 {score}, on {contents.recordings}")
    print(f"✓ {out} ({out.stat().st_size / 1e6:.1f} MB)")


def view(
    run: Run,
    recording: Annotated[
        str,
        typer.Argument(
            help="A tracking file, a folder or store of recordings to choose from, or "
            "the name of a recording in --data (LAB/VIDEO, or VIDEO)."
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Where a recording of that name is; by default the run's data."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for corrected labels, a data set to train on; DATA-corrected "
            "beside the data by default. The data themselves stay as they are."
        ),
    ] = None,
    suggest: Annotated[
        bool,
        typer.Option(
            "--suggest",
            help="Look at all recordings first, and begin with those (and their "
            "bouts) of which a correction would teach most.",
        ),
    ] = False,
    video: Annotated[
        Path | None,
        typer.Option(help="The film of the recording, shown behind the poses."),
    ] = None,
    pixels_per_cm: Annotated[
        float | None,
        typer.Option(min=0.001, help="Scale of the film; by default the metadata's."),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="0: any that is free.")
    ] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only print the address.")
    ] = False,
    device: Device = "auto",
) -> None:
    """Review and correct what is found, on a local page."""
    from mabe.viz.review.launch import find_place, open_session, rank, serve

    predictor = load_predictor(run, device)
    place = find_place(recording, predictor, data)
    session = open_session(
        predictor, place, out=out, video=video, pixels_per_cm=pixels_per_cm
    )
    if suggest:
        rank(session)
        print("Seconds a minute that are expected to be wrong, the most first:")
        for index, source in list(enumerate(session.sources))[:10]:
            print(f"  {session.uncertainty[index]:5.1f}  {source.name}")
    serve(session, port=port, open_browser=not no_browser)


Out = Annotated[Path, typer.Option(help="The file to write: .svg, .pdf or .png.")]


Recordings = Annotated[
    list[str] | None,
    typer.Option(
        "--recording",
        help="LAB/VIDEO (repeatable); by default the first that it never saw.",
    ),
]


Most = Annotated[int, typer.Option(min=1, help="Draw so many recordings.")]


def ethogram(
    run: Run,
    out: Out,
    data: Data = None,
    recording: Recordings = None,
    most: Most = 5,
    include_training: IncludeTraining = False,
    device: Device = "auto",
) -> None:
    """Draw people's bouts above those found."""
    from mabe.viz.figures import draw_ethograms, save

    study = _study(run, device, data, recording, most, include_training)
    save(draw_ethograms(study, study.plots_with_rows()), out)
    print(f"✓ {out}")


def traces(
    run: Run,
    out: Out,
    data: Data = None,
    recording: Recordings = None,
    most: Most = 1,
    include_training: IncludeTraining = False,
    device: Device = "auto",
) -> None:
    """Draw probabilities over time, with people's bouts behind them."""
    from mabe.viz.figures import draw_traces, save

    study = _study(run, device, data, recording, most, include_training)
    save(draw_traces(study, study.plots_with_rows()), out)
    print(f"✓ {out}")


def confusion(
    run: Run,
    out: Out,
    data: Data = None,
    include_training: IncludeTraining = False,
    device: Device = "auto",
) -> None:
    """Draw what is taken for what."""
    from mabe.viz.figures import draw_confusion, save

    study = _study(run, device, data, None, None, include_training)
    save(draw_confusion(study), out)
    print(f"✓ {out}")


def learning_curve(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Run directories, or that of a cross-validation."),
    ],
    out: Out,
) -> None:
    """Draw loss and macro F1 over epochs."""
    from mabe.errors import RunError
    from mabe.models.checkpoint import load_checkpoint
    from mabe.viz.figures import draw_learning_curves, save
    from mabe.viz.report.gather import find_training_curves

    curves: list[Any] = []
    for run in runs:
        found = find_training_curves(run, load_checkpoint(run))
        if not found:
            raise RunError(f"{run}: no history.json here; give a run directory")
        curves += found
    save(draw_learning_curves(curves), out)
    print(f"✓ {out}")


def _study(
    run: Path,
    device: str,
    data: Path | None,
    recordings: list[str] | None,
    most: int | None,
    include_training: bool,
) -> Any:
    """Return a study of some recordings: those named, else the first."""
    from mabe.viz.report.gather import study_run

    return study_run(
        run,
        load_predictor(run, device),
        data,
        include_training=include_training,
        only=frozenset(recordings or ()),
        most=None if recordings else most,
    ).study


def load_predictor(run: Path, device: str) -> Any:
    """Return a run's model, ready to mark."""
    from mabe.inference.predict import Predictor
    from mabe.models.checkpoint import load_checkpoint
    from mabe.runtime.devices import choose_device

    checkpoint = load_checkpoint(run)
    checkpoint.model.to(choose_device(device))
    return Predictor(checkpoint)
