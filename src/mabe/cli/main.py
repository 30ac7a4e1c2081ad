"""The command line: `mabe simulate | prepare | train | predict | evaluate | score`.

Only what the user asked for is imported, so that `--help` is quick.
"""

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from mabe import __version__
from mabe.cli import files, show
from mabe.cli.executor_options import (
    Cpus,
    Gpus,
    RayAddress,
    settle_executor,
    settle_words,
)
from mabe.errors import ConfigError, MabeError, StopRequested
from mabe.runtime.executors import HERE
from mabe.runtime.process_group import Team

app = typer.Typer(
    help="Learn from labelled pose tracks which animal does what to whom.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


files.register(app)


Run = Annotated[
    Path,
    typer.Argument(
        help="A run directory such as checkpoints/5090 (its best model), or one "
        "checkpoint file in it."
    ),
]


Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]


Tta = Annotated[
    int,
    typer.Option(
        min=1,
        help="Average over so many variants of a recording (mirrored, turned …), as "
        "many as make a difference.",
    ),
]


SkipBad = Annotated[
    bool,
    typer.Option("--skip-bad", help="Leave out files that cannot be read, and say so."),
]


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    like: Annotated[
        Path | None,
        typer.Option(help="Act out the labels of a real data set (train.csv)."),
    ] = None,
    videos: Annotated[int | None, typer.Option(min=1, help="How many videos.")] = None,
    minutes: Annotated[
        float,
        typer.Option(min=0.05, help="Length of each video; --like has its own."),
    ] = 2.0,
    actions: Annotated[
        str | None,
        typer.Option(
            help="What all labs watch for, instead of their own: chase,flee,sniff."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed, the same data.")] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; all cores by default.")
    ] = None,
) -> None:
    """Make labelled data of animals that act out a script."""
    from mabe.data.simulate import simulate as make

    summary = make(
        out,
        like=like,
        videos=videos,
        minutes=minutes,
        actions=tuple(actions.split(",")) if actions else (),
        seed=seed,
        workers=workers,
    )
    made = "" if summary.written == summary.videos else f" ({summary.written} new)"
    print(
        f"✓ {summary.videos} videos{made} of {summary.labs} labs, "
        f"{summary.frames:,} frames, {summary.bouts:,} bouts: {summary.out_dir}"
    )


@app.command()
def prepare(
    data_dir: Annotated[
        Path, typer.Argument(help="Folder in the Kaggle layout, or its URL (s3://…).")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Store to write; the user's cache by default.")
    ] = None,
    fps: Annotated[
        float, typer.Option(min=1, max=240, help="Working rate, frames per second.")
    ] = 33.3,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; all cores by default.")
    ] = None,
    ray: RayAddress = None,
    cpus_per_task: Cpus = 1.0,
    skip_bad: SkipBad = False,
) -> None:
    """Read recordings into one fast store (`train` does it)."""
    from mabe.data.prepare import default_store_path
    from mabe.data.prepare import prepare as build

    store = build(
        data_dir,
        out or default_store_path(data_dir, fps),
        rate_fps=fps,
        skip_bad=skip_bad,
        executor=settle_executor(workers, ray, cpus_per_task),
    )
    frames = sum(recording.length for recording in store.recordings)
    print(
        f"✓ {len(store.recordings)} recordings, {frames:,} frames at {fps} fps: "
        f"{store.root}"
    )


@app.command()
def train(
    data: Annotated[
        Path | None,
        typer.Argument(
            help="Labelled recordings: a folder in the Kaggle layout, or a store; also "
            "a URL (s3://…). Without --config the strongest model known is "
            "trained on them."
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML file of settings; see configs/.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="The same as DATA.")] = None,
    checkpoint_dir: Annotated[
        Path | None,
        typer.Option("--checkpoint-dir", "--out", help="Run directory to write."),
    ] = None,
    max_sequences: Annotated[
        int | None,
        typer.Option(min=2, help="Use at most this many recordings: a quick test."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with a stopped run; without --config, as it was started.",
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Models trained at once, where several are (model_type: auto); "
            "all cores by default.",
        ),
    ] = None,
    ray: RayAddress = None,
    cpus_per_task: Cpus = 1.0,
    gpus_per_task: Gpus = None,
    skip_bad: SkipBad = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Tell only what the run comes to.")
    ] = False,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard",
            help="Write its epochs for TensorBoard too: RUN/tensorboard.",
        ),
    ] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a setting: --set epochs=20 (repeatable)."),
    ] = None,
) -> None:
    """Train a model; the run directory documents itself."""
    from mabe.config import build_config, parse_changes
    from mabe.experiments.train import merge_settings, train_model
    from mabe.runtime.console import quietly

    given = merge_settings(
        config,
        data_dir=data or data_dir,
        run_dir=checkpoint_dir,
        max_sequences=max_sequences,
        resume=resume,
        changes=parse_changes(changes or []),
    )
    loaded = build_config(given, where="settings")
    executor = settle_executor(workers, ray, cpus_per_task, gpus_per_task)
    if ray is not None and loaded.model_type != "auto":
        raise ConfigError(
            f"--ray: model_type: {loaded.model_type} is one run, which has no parts "
            "to do elsewhere; it is for model_type: auto, and for `mabe crossval`"
        )
    if loaded.model_type == "auto" and ray is None:
        Team.of_environment().refuse("model_type: auto")
    watcher = None
    if tensorboard:
        from mabe.training.tensorboard import EpochLog

        watcher = EpochLog(loaded.checkpoint_dir)
    with quietly(quiet):
        train_model(
            given,
            resume=resume,
            skip_bad=skip_bad,
            executor=executor,
            watcher=watcher,
        )


@app.command()
def crossval(
    config: Annotated[
        Path | None, typer.Option(help="YAML file of settings; see configs/.")
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder in the Kaggle layout, or a store; also a URL."),
    ] = None,
    checkpoint_dir: Annotated[
        Path | None,
        typer.Option(help="Directory to write, one run for each fold in it."),
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="How many parts.")] = 5,
    seeds: Annotated[int, typer.Option(min=1, help="How often each is trained.")] = 1,
    group_by: Annotated[
        str | None,
        typer.Option(help="What is held out whole: recording, animal or lab."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Runs at once, of one thread each; 1 by default."),
    ] = None,
    ray: RayAddress = None,
    cpus_per_task: Cpus = 1.0,
    gpus_per_task: Gpus = None,
    skip_bad: SkipBad = False,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a setting: --set epochs=20 (repeatable)."),
    ] = None,
) -> None:
    """Train on all but a part, in turn; goes on where it was stopped."""
    from mabe.config import load_config, parse_changes
    from mabe.experiments.cross_validation import crossval as run

    settings: dict[str, Any] = parse_changes(changes or [])
    given = {
        "data_dir": data_dir,
        "checkpoint_dir": checkpoint_dir,
        "split_by": group_by,
    }
    settings |= {key: value for key, value in given.items() if value is not None}
    loaded = load_config(config, settings)
    if checkpoint_dir is None and "checkpoint_dir" not in settings:
        # A cross-validation must not push a single run aside.
        place = loaded.checkpoint_dir.with_name(
            f"{loaded.checkpoint_dir.name}-crossval"
        )
        loaded = loaded.changed(checkpoint_dir=place)
    if loaded.model_type == "auto":
        raise ConfigError(
            "model_type: auto cross-validates by itself: `mabe train`. To compare "
            "others with it, name one: --set model_type=trees --set feature_set=social"
        )
    executor = settle_executor(workers, ray, cpus_per_task, gpus_per_task) or HERE
    report = run(loaded, folds=folds, seeds=seeds, skip_bad=skip_bad, executor=executor)
    print("\n" + report.to_text())
    print(f"✓ All runs as one model: {loaded.checkpoint_dir}; next: mabe tune")


@app.command()
def tune(
    run: Run,
    folds: Annotated[int, typer.Option(min=2, help="Of the nested score.")] = 5,
    seed: Annotated[int, typer.Option(help="Deals the folds.")] = 0,
) -> None:
    """Find thresholds and smoothing on recordings a run never saw; saved in it."""
    from mabe.experiments.tune import format_tuned, tune_run

    print(format_tuned(tune_run(run, folds=folds, seed=seed)))
    print(f"✓ Saved in the model of {run}")


@app.command()
def ensemble(
    runs: Annotated[
        list[Path], typer.Argument(help="Runs, cross-validations or checkpoint files.")
    ],
    out: Annotated[Path, typer.Option(help="Directory to write.")],
    last: Annotated[
        int | None,
        typer.Option(min=2, help="Of each run its last so many kept epochs."),
    ] = None,
    best: Annotated[
        int | None,
        typer.Option(min=2, help="Of each run its best so many kept epochs."),
    ] = None,
    equal: Annotated[
        bool,
        typer.Option(
            "--equal", help="All count the same; else weights are looked for."
        ),
    ] = False,
) -> None:
    """Join several models into one that is used as any other."""
    from mabe.experiments.ensembling import join_runs

    for line in join_runs(runs, out, last=last, best=best, equal=equal):
        print(line)


@app.command()
def predict(
    run: Run,
    data: Annotated[
        Path,
        typer.Argument(
            help="A pose file of any known format, a folder of some or in the Kaggle "
            "layout, a store; a URL (s3://…) of one of the last two."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    tta: Tta = 1,
    device: Device = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Recordings at once, of one thread each; 1 by default."
        ),
    ] = None,
    ray: RayAddress = None,
    cpus_per_task: Cpus = 1.0,
    gpus_per_task: Gpus = None,
    skip_bad: SkipBad = False,
    fps: files.Fps = None,
    pixels_per_cm: files.PixelsPerCm = None,
    min_confidence: files.MinConfidence = None,
    project: files.ProjectFile = None,
) -> None:
    """Mark recordings: bouts, and frame probabilities."""
    from mabe.inference.predict import predict as mark

    settings = files.settle_project(
        data,
        project,
        fps=fps,
        pixels_per_cm=pixels_per_cm,
        min_confidence=min_confidence,
    )
    executor = settle_executor(workers, ray, cpus_per_task, gpus_per_task) or HERE
    # Workers take it to the device of their own machine.
    predictor = _load(run, "cpu" if executor.threads else device, tta)
    videos = mark(
        predictor,
        data,
        out,
        skip_bad=skip_bad,
        project=settings,
        executor=executor,
        device=device if executor.threads else None,
    )
    bouts = sum(len(video.bouts) for video in videos)
    print(f"✓ {len(videos)} recordings, {bouts:,} bouts: {out / 'bouts.csv'}")
    print(f"✓ Probabilities of each frame: {out / 'probabilities'}")


@app.command()
def submit(
    run: Run,
    data: Annotated[
        Path, typer.Argument(help="Folder in the Kaggle layout; test.csv is marked.")
    ],
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path(
        "submission.csv"
    ),
    held_out: Annotated[
        bool,
        typer.Option(
            "--held-out",
            help="Mark the labelled recordings it never learned from instead, and "
            "write their solution beside it: `mabe score` then tells the score.",
        ),
    ] = False,
    tta: Tta = 1,
    device: Device = "auto",
    skip_bad: SkipBad = False,
) -> None:
    """Write a submission for the challenge, and check it as the host will."""
    from mabe.inference.evaluate import Unseen
    from mabe.inference.submit import submit as mark
    from mabe.inference.submit import submit_held_out

    predictor = _load(run, device, tta)
    if held_out:
        unseen = Unseen(predictor, data, skip_bad=skip_bad)
        _, solution = submit_held_out(unseen, out)
        print("\n".join(unseen.notes()))
        print(f"✓ Its solution: {solution}; try `mabe score {solution} {out}`")
    else:
        mark(predictor, data, out, skip_bad=skip_bad)


@app.command()
def evaluate(
    run: Run,
    data: Annotated[
        Path, typer.Argument(help="Labelled recordings: a Kaggle layout, or a store.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for metrics.json; RUN/evaluation by default."),
    ] = None,
    include_training: Annotated[
        bool,
        typer.Option(
            "--include-training",
            help="Score recordings it learned from too; not an honest figure.",
        ),
    ] = False,
    tta: Tta = 1,
    device: Device = "auto",
    skip_bad: SkipBad = False,
) -> None:
    """Score a model on recordings it never saw."""
    from mabe.experiments.importance import (
        format_importance,
        importance_json,
        read_importance,
    )
    from mabe.inference.evaluate import Unseen
    from mabe.inference.evaluate import evaluate as run_evaluation
    from mabe.runtime.files import write_json

    predictor = _load(run, device, tta)
    scores = run_evaluation(Unseen(predictor, data, include_training, skip_bad))
    print(scores.to_text())
    run_dir = predictor.checkpoint.path.parent
    importance = read_importance(run_dir)
    if importance:
        print(f"\n{format_importance(importance)}")
    place = (out or run_dir / "evaluation") / "metrics.json"
    about = {
        "model": predictor.checkpoint.path.name,
        "data": str(data),
        "importance": importance_json(importance) if importance else None,
    }
    write_json(place, about | scores.to_json())
    print(f"✓ {place}")


@app.command()
def explain(
    run: Annotated[
        Path,
        typer.Argument(help="The directory of `mabe train DATA`, or a crossval's."),
    ],
    folds: Annotated[
        int | None, typer.Option(min=1, help="How many folds to ask; all by default.")
    ] = None,
) -> None:
    """Tell which features a run's models go by; `evaluate` then tells it too."""
    from mabe.experiments.importance import explain_run

    explain_run(run, folds=folds)


@app.command()
def check(
    run: Run,
    data: Annotated[
        Path | None,
        typer.Argument(
            help="A Kaggle layout, or a store: checks labels, points and copies too."
        ),
    ] = None,
    submission: Annotated[
        Path | None,
        typer.Option(help="A file to check too; RUN/submission.csv by default."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="A warning is a failure too.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all that was found as JSON.")
    ] = False,
) -> None:
    """Go through a checklist before you submit or publish; exit code 1 if it fails."""
    import json

    from mabe.experiments.checklist import (
        findings_json,
        format_findings,
        gather_facts,
        has_failed,
        run_checks,
    )

    findings = run_checks(gather_facts(run, data, submission))
    if as_json:
        values = findings_json(str(run), findings, strict=strict)
        print(json.dumps(values, indent=1, ensure_ascii=False))
    else:
        print(format_findings(findings))
    if has_failed(findings, strict=strict):
        raise typer.Exit(1)


@app.command()
def score(
    solution: Annotated[
        Path,
        typer.Argument(
            help="CSV of people's bouts, with lab_id and behaviors_labeled."
        ),
    ],
    submission: Annotated[Path, typer.Argument(help="CSV of predicted bouts.")],
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Also the score without the quirks that flatter."
        ),
    ] = False,
    metadata: Annotated[
        Path | None,
        typer.Option(
            help="train.csv of the scored videos: what was watched also where nothing "
            "happened; implies --strict."
        ),
    ] = None,
    per_lab: Annotated[
        bool, typer.Option("--per-lab", help="Show each lab and action.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Score a submission file as the challenge does."""
    import json

    from mabe.io.readers.kaggle import read_index
    from mabe.metrics import watched_table
    from mabe.metrics.score_files import score_files

    watched = None
    if metadata:
        videos = read_index(metadata.parent, splits=(metadata.stem,))
        watched = watched_table(videos)
    report = score_files(
        solution, submission, strict=strict or metadata is not None, watched=watched
    )
    if as_json:
        values = report.to_json()
        print(json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        print(report.to_text(per_lab=per_lab))


@app.command("check-submission")
def check_submission(
    submission: Annotated[Path, typer.Argument(help="The submission.csv to check.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder in the Kaggle layout, or one table of it (test.csv): checks "
            "videos, animals, actions and ends too."
        ),
    ] = None,
    json_out: Annotated[
        Path | None,
        typer.Option("--json", help="Write all problems as JSON to this file; or -."),
    ] = None,
) -> None:
    """Check a submission file: every problem, with its line."""
    import json

    from mabe.io.submission import describe_review, require_valid, review_submission
    from mabe.runtime.files import write_json

    review = review_submission(submission, data)
    if json_out == Path("-"):
        print(json.dumps(review.to_json(), indent=1, ensure_ascii=False))
    else:
        if json_out:
            write_json(json_out, review.to_json())
        print(describe_review(submission, review))
    require_valid(submission, review)


show.register(app)


def _load(run: Path, device: str, tta: int) -> Any:
    from mabe.inference.predict import Predictor
    from mabe.models.checkpoint import load_checkpoint
    from mabe.runtime.devices import choose_device

    checkpoint = load_checkpoint(run)
    checkpoint.model.to(choose_device(device))
    return Predictor(checkpoint, tta)


def _version(wanted: bool | None) -> None:
    if wanted:
        print(f"mabe {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool | None,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show it and exit."
        ),
    ] = None,
) -> None:
    """Learn from labelled pose tracks which animal does what to whom."""


def _sign() -> str:
    """Return how an error is signed; wait, where the first process may tell the same.

    If it does, the launcher ends this process meanwhile, and one line is told once.
    """
    try:
        label = Team.of_environment().label
    except ConfigError:  # which is then the error that is told
        return ""
    if label:
        time.sleep(2)
    return label


def main(args: list[str] | None = None) -> int:
    """Run the command line; user errors are one line, bugs keep their traceback.

    Returns 0 when all went well, 1 where a check failed, 2 for an error the user can
    mend, 130 after Ctrl-C. Of several processes that train together, those beside the
    first sign their errors.
    """
    # Windows consoles may not know the ✓; a question mark is better than a crash.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    words = settle_words(sys.argv[1:] if args is None else args)
    try:
        # Ray inside a SLURM step gives a command to one of its processes.
        if words[:1] not in ([], ["train"]) and "--ray" not in words:
            Team.of_environment().refuse(f"mabe {words[0]}")
        app(args=words, prog_name="mabe")
    except MabeError as error:
        print(f"mabe{_sign()}: {error}", file=sys.stderr)
        return 2
    except StopRequested as stopped:
        if not _sign():  # the first speaks for all
            print(f"mabe: {stopped}", file=sys.stderr)
        return 130
    except SystemExit as end:  # typer has shown help or a wrong option already
        return int(end.code or 0)
    return 0
