"""Commands that show results: `mabe info | report | view | studio | video | plot`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mabe.cli.options import (
    Device,
    Fps,
    IncludeTraining,
    PixelsPerCm,
    ProjectFile,
    Run,
    SkipBad,
    load_predictor,
    load_project,
)
from mabe.cli.reporting import Commands, listing_failures
from mabe.cli.results import Drawn, Filmed, ModelInfo, Reported
from mabe.cli.url_roles import UrlRole

if TYPE_CHECKING:  # imported late, so that `--help` is quick
    from mabe.viz.result_summary import ResultSummary

Data = Annotated[
    Path | None,
    UrlRole.DATA,
    typer.Option(
        help="Labelled recordings: a folder in the Kaggle layout, a store, or a folder "
        "of tracks and labels of any known format; by "
        "default the data that the run was trained on."
    ),
]
Out = Annotated[
    Path, UrlRole.FILE, typer.Option(help="The file to write: .svg, .pdf or .png.")
]
Recordings = Annotated[
    list[str] | None,
    typer.Option(
        "--recording",
        help="LAB/VIDEO (repeatable); by default the first that the model did not "
        "learn from.",
    ),
]
Most = Annotated[int, typer.Option(min=1, help="Draw at most so many recordings.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(info)
    app.command()(report)
    app.command()(view)
    app.command()(studio)
    app.command()(video)
    plots = Commands(
        help="Draw figures for papers: .svg, .pdf or .png.", no_args_is_help=True
    )
    plots.command()(ethogram)
    plots.command()(traces)
    plots.command()(confusion)
    plots.command("learning-curve")(learning_curve)
    app.add_typer(plots, name="plot")


def info(run: Run) -> ModelInfo:
    """Print the card of a model: what it learned from, scores, where it fails."""
    from mabe.experiments.model_card import read_model_card

    card = read_model_card(run)
    print(card.to_text())
    return ModelInfo(card=card.to_json())


def report(
    run: Run,
    data: Data = None,
    out: Annotated[Path, UrlRole.FILE, typer.Option(help="The file to write.")] = Path(
        "report.html"
    ),
    include_training: IncludeTraining = False,
    device: Device = "auto",
    skip_bad: SkipBad = False,
) -> Reported:
    """Write a report of a run as one page."""
    from mabe.viz.report.write_report import write_report

    with listing_failures(out.parent, of=out.stem):
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
        size = out.stat().st_size
        print(f"✓ {out} ({size / 1e6:.1f} MB)")
    return Reported(
        report=out,
        bytes=size,
        macro_f1=score.score,
        interval_95=(score.low, score.high),
        recordings=contents.recordings,
    )


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
            help="Data with the recording of that name; by default the run's data."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for corrected labels, a data set to train on; by default "
            "DATA-corrected beside the data. The data are not changed."
        ),
    ] = None,
    suggest: Annotated[
        bool,
        typer.Option(
            "--suggest",
            help="Predict all recordings first, and list those first that differ most "
            "from their annotations or, without annotations, are most uncertain.",
        ),
    ] = False,
    video: Annotated[
        Path | None,
        typer.Option(
            help="Video of the recording, shown behind the poses; of one that browsers "
            "do not play a copy is made."
        ),
    ] = None,
    pixels_per_cm: Annotated[
        float | None,
        typer.Option(
            min=0.001, help="Scale of the video; by default that of the metadata."
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the page; 0: any free one.")
    ] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address only.")
    ] = False,
    device: Device = "auto",
) -> None:
    """Review and correct predictions on a local page."""
    from mabe.viz.review.launch import find_place, open_session, rank, serve

    predictor = load_predictor(run, device)
    place = find_place(recording, predictor, data)
    session = open_session(
        predictor, place, out=out, video=video, pixels_per_cm=pixels_per_cm
    )
    if suggest:
        rank(session)
        print("Expected errors, seconds per minute, highest first:")
        for index, source in list(enumerate(session.sources))[:10]:
            print(f"  {session.uncertainty[index]:5.1f}  {source.name}")
    serve(session, port=port, open_browser=not no_browser)


def studio(
    project_dir: Annotated[
        Path,
        typer.Argument(
            metavar="PROJECT",
            help="Folder with tracks of any known format, and films and labels if "
            "there are any.",
        ),
    ],
    fps: Fps = None,
    pixels_per_cm: PixelsPerCm = None,
    project: ProjectFile = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the page; 0: any free one.")
    ] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address only.")
    ] = False,
) -> None:
    """Label, train and correct on one local page, from no labels to a model.

    The tracks are imported into PROJECT/mabe, a data set in the standard layout, and
    labels are saved there as they are made. What is settled on the page is written
    into PROJECT/project.yaml. Nothing else in PROJECT is changed.
    """
    from mabe.viz.studio.launch import serve_project

    settings = load_project(project_dir, project, fps=fps, pixels_per_cm=pixels_per_cm)
    serve_project(
        project_dir, settings, file=project, port=port, open_browser=not no_browser
    )


def video(
    run_or_predictions: Annotated[
        Path,
        UrlRole.READ,
        typer.Argument(
            metavar="RUN_OR_PREDICTIONS",
            help="Run directory or checkpoint, or a folder that `mabe predict` wrote.",
        ),
    ],
    film: Annotated[
        Path,
        UrlRole.READ,
        typer.Argument(
            help="The film; or, for poses on plain ground, a tracking file or the name "
            "of a recording (LAB/VIDEO)."
        ),
    ],
    out: Annotated[
        Path,
        UrlRole.FILE,
        typer.Option(help="The film to write (.mp4, .webm); with --clips a folder."),
    ],
    data: Annotated[
        Path | None,
        UrlRole.DATA,
        typer.Option(
            help="Where the recording is: a data set, a tracking file, or a folder of "
            "tracks and labels; by default the film's folder, else the run's data."
        ),
    ] = None,
    recording: Annotated[
        str | None,
        typer.Option(help="Its name (LAB/VIDEO), where the film has another one."),
    ] = None,
    from_s: Annotated[
        float | None, typer.Option("--from", min=0, help="Begin at this second.")
    ] = None,
    to_s: Annotated[
        float | None, typer.Option("--to", min=0, help="End at this second.")
    ] = None,
    clips: Annotated[
        str | None,
        typer.Option(help="Write clips of the bouts of this action instead."),
    ] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="At most so many clips.")] = 20,
    pick: Annotated[
        str,
        typer.Option(help="Which of more bouts: spread, likely, unsure or longest."),
    ] = "spread",
    of: Annotated[
        str, typer.Option(help="Clips of predicted or of annotated bouts.")
    ] = "predicted",
    pad: Annotated[
        str, typer.Option(help="Time before and after the bout of a clip.")
    ] = "2s",
    strip: Annotated[
        str, typer.Option(help="Time that the strip beneath the film shows.")
    ] = "20s",
    rows: Annotated[
        int, typer.Option(min=0, help="At most so many rows in the strip.")
    ] = 8,
    width: Annotated[
        int | None,
        typer.Option(help="Width in pixels; by default the film's, 640 to 1920."),
    ] = None,
    pixels_per_cm: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="Scale of the film, where the tracks are not in its pixels.",
        ),
    ] = None,
    font: Annotated[
        Path | None,
        UrlRole.READ,
        typer.Option(help="Font file, for names in other scripts."),
    ] = None,
    device: Device = "auto",
) -> Filmed:
    """Write a film with poses, names, bouts and probabilities drawn into it.

    Also clips of an action's bouts, for talks and for checking, with a table of them.
    """
    from mabe.cli.measures import parse_seconds
    from mabe.viz.film.annotate import FilmStyle
    from mabe.viz.film.command import FilmOrder, make_films
    from mabe.viz.film.gather import Wanted, is_predictions

    order = FilmOrder(
        out=out,
        style=FilmStyle(
            width=width,
            rows=rows,
            strip_s=parse_seconds(strip, "--strip"),
            font=font,
        ),
        from_s=from_s,
        to_s=to_s,
        clips=clips,
        most=n,
        pick=pick,
        of=of,
        pad_s=parse_seconds(pad, "--pad"),
    )
    is_folder = is_predictions(run_or_predictions)
    make_films(
        run_or_predictions if is_folder else load_predictor(run_or_predictions, device),
        Wanted(film, data, recording, pixels_per_cm),
        order,
    )
    return Filmed(out=out)


def ethogram(
    run: Run,
    out: Out,
    data: Data = None,
    recording: Recordings = None,
    most: Most = 5,
    include_training: IncludeTraining = False,
    device: Device = "auto",
) -> Drawn:
    """Draw annotated bouts above predicted ones."""
    from mabe.viz.paper_figures import draw_ethograms, save

    study = _study(run, device, data, recording, most, include_training)
    save(draw_ethograms(study, study.plots_with_rows()), out)
    print(f"✓ {out}")
    return Drawn(figure=out)


def traces(
    run: Run,
    out: Out,
    data: Data = None,
    recording: Recordings = None,
    most: Most = 1,
    include_training: IncludeTraining = False,
    device: Device = "auto",
) -> Drawn:
    """Draw probabilities over time, with annotated bouts behind them."""
    from mabe.viz.paper_figures import draw_traces, save

    study = _study(run, device, data, recording, most, include_training)
    save(draw_traces(study, study.plots_with_rows()), out)
    print(f"✓ {out}")
    return Drawn(figure=out)


def confusion(
    run: Run,
    out: Out,
    data: Data = None,
    include_training: IncludeTraining = False,
    device: Device = "auto",
) -> Drawn:
    """Draw the confusion matrix of frames."""
    from mabe.viz.paper_figures import draw_confusion, save

    study = _study(run, device, data, None, None, include_training)
    save(draw_confusion(study), out)
    print(f"✓ {out}")
    return Drawn(figure=out)


def learning_curve(
    runs: Annotated[
        list[Path],
        UrlRole.READ,
        typer.Argument(help="Run directories, or that of a cross-validation."),
    ],
    out: Out,
) -> Drawn:
    """Draw loss and macro F1 over epochs."""
    from mabe.viz.paper_figures import draw_learning_curves, save
    from mabe.viz.report.gather_contents import read_training_curves

    save(draw_learning_curves(read_training_curves(runs)), out)
    print(f"✓ {out}")
    return Drawn(figure=out)


def _study(
    run: Path,
    device: str,
    data: Path | None,
    recordings: list[str] | None,
    most: int | None,
    include_training: bool,
) -> "ResultSummary":
    """Return a study of some recordings: those named, else the first."""
    from mabe.viz.report.gather_contents import summarize_run

    return summarize_run(
        run,
        load_predictor(run, device),
        data,
        include_training=include_training,
        only=frozenset(recordings or ()),
        most=None if recordings else most,
    ).study
