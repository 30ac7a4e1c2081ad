"""Commands that make models, or change how they decide.

`mabe train | crossval | tune | calibrate | ensemble | distil | explain | push`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mabe.cli.executor_options import Cpus, Gpus, RayAddress, choose_executor
from mabe.cli.options import (
    Changes,
    Config,
    Device,
    Run,
    SkipBad,
    WrittenRun,
    load_predictor,
)
from mabe.cli.reporting import listing_failures
from mabe.cli.results import (
    Calibrated,
    CrossValidated,
    Distilled,
    Explained,
    Joined,
    Pushed,
    Trained,
    TunedRun,
)
from mabe.cli.url_roles import UrlRole
from mabe.errors import ConfigError
from mabe.runtime.console import count, print_lines
from mabe.runtime.executors import HERE, prepare_workers
from mabe.runtime.launch_environment import ProcessGroup
from mabe.runtime.model_hub import hub_address

if TYPE_CHECKING:  # imported late, so that `--help` is quick
    from mabe.training.training_loop import Watcher


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(train)
    app.command()(crossval)
    app.command()(tune)
    app.command()(calibrate)
    app.command()(ensemble)
    app.command()(distil)
    app.command()(explain)
    app.command()(push)


def train(
    data: Annotated[
        Path | None,
        UrlRole.DATA,
        typer.Argument(
            help="Labelled recordings: a folder in the Kaggle layout, a store, or the "
            "URL of one (s3://…). Without --config the automatic recipe is trained on "
            "them."
        ),
    ] = None,
    config: Config = None,
    from_model: Annotated[
        Path | None,
        UrlRole.READ,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Start from this model instead of from the beginning: networks keep "
            "its trunk, trees grow on; seconds to a minute. See docs/reuse.md.",
        ),
    ] = None,
    keep_actions: Annotated[
        bool,
        typer.Option(
            "--keep-actions",
            help="With --from: keep its actions that DATA has no labels of.",
        ),
    ] = False,
    freeze: Annotated[
        bool,
        typer.Option("--freeze", help="With --from: of networks only the heads learn."),
    ] = False,
    data_dir: Annotated[
        Path | None, UrlRole.DATA, typer.Option(help="The same as DATA.")
    ] = None,
    checkpoint_dir: Annotated[
        Path | None,
        typer.Option("--checkpoint-dir", "--out", help="Run directory to write."),
    ] = None,
    author: Annotated[
        str | None, typer.Option(help="Who made the model, for its card.")
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(help="Under which others may use it, such as cc-by-4.0."),
    ] = None,
    cite: Annotated[
        str | None, typer.Option(help="How to cite it: a reference, or a DOI.")
    ] = None,
    max_sequences: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Use at most this many recordings, for a quick test, which has three "
            "epochs unless --set epochs=… is given.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue a run that was stopped; without --config with the settings "
            "that it was started with.",
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Models of the automatic recipe that are trained at once; all cores "
            "by default.",
        ),
    ] = None,
    ray: RayAddress = None,
    cpus_per_task: Cpus = 1.0,
    gpus_per_task: Gpus = None,
    skip_bad: SkipBad = False,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard",
            help="Write the epochs for TensorBoard too, into RUN/tensorboard.",
        ),
    ] = False,
    changes: Changes = None,
) -> Trained:
    """Train a model."""
    from mabe.config import build_config, parse_changes
    from mabe.experiments.train_by_config import merge_settings, train_model

    given = merge_settings(
        config,
        data_dir=data or data_dir,
        run_dir=checkpoint_dir,
        from_model=from_model,
        max_sequences=max_sequences,
        resume=resume,
        changes=parse_changes(changes or [])
        | {
            name: value
            for name, value in (
                *(("keep_actions", keep_actions), ("freeze", freeze)),
                *(("author", author), ("licence", licence), ("cite", cite)),
            )
            if value
        },
    )
    settings = build_config(given, where="settings")
    if max_sequences:
        print_lines(
            f"Quick test: {max_sequences} recordings, "
            f"{count(settings.epochs, 'epoch')} (--set epochs=… for more)"
        )
    _check_place(settings.model_type, ray)
    with listing_failures(settings.checkpoint_dir):
        trained = train_model(
            given,
            resume=resume,
            skip_bad=skip_bad,
            executor=choose_executor(workers, ray, cpus_per_task, gpus_per_task),
            watcher=_watcher(settings.checkpoint_dir) if tensorboard else None,
        )
    return Trained(
        run=trained.run_dir, model=trained.model_path, macro_f1=trained.macro_f1
    )


def _check_place(model_type: str, ray: str | None) -> None:
    """Raise `ConfigError` where a training cannot be done in this place."""
    if model_type == "auto" and ray is None:
        ProcessGroup.from_environment().refuse("model_type: auto")
    if model_type != "auto" and ray is not None:
        raise ConfigError(
            f"--ray: model_type: {model_type} is a single run, which cannot be divided "
            "into tasks; --ray is for model_type: auto, and for `mabe crossval`"
        )


def _watcher(run_dir: Path) -> "Watcher":
    from mabe.training.tensorboard import EpochLog

    return EpochLog(run_dir)


def crossval(
    config: Config = None,
    data_dir: Annotated[
        Path | None,
        UrlRole.DATA,
        typer.Option(
            help="Folder in the Kaggle layout, a store, or the URL of one (s3://…)."
        ),
    ] = None,
    checkpoint_dir: Annotated[
        Path | None,
        typer.Option(help="Directory to write, with a run for each fold in it."),
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Number of folds.")] = 5,
    seeds: Annotated[
        int, typer.Option(min=1, help="Number of runs for each fold.")
    ] = 1,
    group_by: Annotated[
        str | None,
        typer.Option(help="What is held out as a whole: recording, animal or lab."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Runs at once, with one thread each; 1 by default."),
    ] = None,
    ray: RayAddress = None,
    cpus_per_task: Cpus = 1.0,
    gpus_per_task: Gpus = None,
    skip_bad: SkipBad = False,
    changes: Changes = None,
) -> CrossValidated:
    """Cross-validate a model: hold out each fold once.

    The same command resumes a cross-validation that was stopped.
    """
    from mabe.config import build_config, parse_changes, read_settings
    from mabe.experiments.cross_validation import crossval as run_crossval
    from mabe.experiments.model_card import write_model_card
    from mabe.models.checkpoint import SUFFIX

    options = {
        "data_dir": data_dir,
        "checkpoint_dir": checkpoint_dir,
        "split_by": group_by,
    }
    given = {key: value for key, value in options.items() if value is not None}
    settings = build_config(
        read_settings(config, parse_changes(changes or []) | given, suffix="crossval"),
        where="settings",
    )
    executor = choose_executor(workers, ray, cpus_per_task, gpus_per_task) or HERE
    with listing_failures(settings.checkpoint_dir):
        report = run_crossval(
            settings, folds=folds, seeds=seeds, skip_bad=skip_bad, executor=executor
        )
        print(f"\n{report.to_text()}")
        print(f"✓ Model card: {write_model_card(settings.checkpoint_dir)}")
        print(f"✓ All runs as one model: {settings.checkpoint_dir}; next: mabe tune")
    return CrossValidated(
        run=settings.checkpoint_dir,
        model=settings.checkpoint_dir / f"best{SUFFIX}",
        score=report.all_seeds.score,
        interval_95=report.all_seeds.interval,
        f1=report.all_seeds.f1,
        seeds={str(seed): each.to_json() for seed, each in report.seeds.items()},
    )


def tune(
    run: WrittenRun,
    folds: Annotated[
        int, typer.Option(min=2, help="Number of folds for the nested score.")
    ] = 5,
    seed: Annotated[int, typer.Option(help="Seed of the split into folds.")] = 0,
) -> TunedRun:
    """Tune thresholds and smoothing of a model.

    Uses recordings that were held out, and saves the rules in the model.
    """
    from mabe.experiments.model_card import write_model_card
    from mabe.experiments.rule_tuning import format_tuned, tune_run, tuning_json

    tuned = tune_run(run, folds=folds, seed=seed)
    print(format_tuned(tuned))
    write_model_card(run)
    print(f"✓ Saved in the model of {run}")
    values = tuning_json(tuned)
    return TunedRun(
        run=run,
        score=values["score"],
        per_lab_and_class=tuple(values["per_lab_and_class"]),
    )


def calibrate(
    run: Run,
    data: Annotated[
        Path,
        UrlRole.DATA,
        typer.Argument(
            help="A few scored recordings of the new camera or lab: a data set, a "
            "store, or a folder of tracks and labels of any known format."
        ),
    ],
    out: Annotated[
        Path | None,
        UrlRole.FOLDER,
        typer.Option(
            help="Folder to write; by default the model is written beside MODEL, as "
            "…-calibrated.safetensors."
        ),
    ] = None,
    device: Device = "auto",
    skip_bad: SkipBad = False,
) -> Calibrated:
    """Fit thresholds and calibration of a model to a new camera, without training.

    Leaves each recording out in turn; the model's own rules stay unless others are
    better on the recordings left out. The model itself is not changed.
    """
    from mabe.experiments.calibrate import calibrate as run_calibration
    from mabe.experiments.model_card import write_model_card

    if out is None and hub_address(run) is not None:
        raise ConfigError("--out: name a folder for the new model of this repository")
    if data.is_dir():
        prepare_workers()
    predictor = load_predictor(run, device)
    with listing_failures(out):
        done = run_calibration(predictor, data, out, skip_bad=skip_bad)
        print(done.to_text())
        if out is not None:
            print(f"✓ Model card: {write_model_card(done.model)}")
    values = done.to_json()
    return Calibrated(
        **{
            name: values[name]
            for name in ("model", "of", "rules", "way", "score", "folds")
        },
        calibration_error=values["calibration_error"],
        classes_without_labels=values["classes_without_labels"],
    )


def ensemble(
    runs: Annotated[
        list[Path],
        UrlRole.READ,
        typer.Argument(help="Runs, cross-validations or checkpoint files."),
    ],
    out: Annotated[Path, UrlRole.FOLDER, typer.Option(help="Directory to write.")],
    last: Annotated[
        int | None,
        typer.Option(min=2, help="Use the last so many saved epochs of each run."),
    ] = None,
    best: Annotated[
        int | None,
        typer.Option(min=2, help="Use the best so many saved epochs of each run."),
    ] = None,
    equal: Annotated[
        bool,
        typer.Option(
            "--equal",
            help="Weight all models equally, instead of by held-out predictions.",
        ),
    ] = False,
) -> Joined:
    """Join several models into one."""
    from mabe.experiments.ensembling import join_runs

    made = join_runs(runs, out, last=last, best=best, equal=equal)
    print("\n".join(made.to_lines()))
    score = made.joined
    return Joined(
        model=made.model,
        members=made.members,
        weights=made.weights,
        score=score.score if score else None,
        interval_95=(score.low, score.high) if score else (None, None),
    )


def distil(
    model: Annotated[
        Path,
        UrlRole.READ,
        typer.Argument(help="The model to imitate: a run, or a checkpoint file."),
    ],
    data: Annotated[
        Path,
        UrlRole.DATA,
        typer.Argument(
            help="Recordings to learn from, with labels or without: a folder in the "
            "Kaggle layout (`mabe import` makes one of tracks alone too), or a store."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Run directory to write.")],
    ignore_labels: Annotated[
        bool,
        typer.Option(
            "--ignore-labels", help="Imitate the model also where there are labels."
        ),
    ] = False,
    author: Annotated[
        str | None, typer.Option(help="Who made the network; else the model's author.")
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(help="Under which others may use it; else the model's licence."),
    ] = None,
    cite: Annotated[
        str | None, typer.Option(help="How to cite it; else as the model.")
    ] = None,
    changes: Changes = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a run that was stopped.")
    ] = False,
    device: Device = "auto",
    skip_bad: SkipBad = False,
) -> Distilled:
    """Train one network to predict what a model of many members does.

    It predicts recordings in the time of one network. It learns labels where there are
    some, elsewhere the model's probabilities, so recordings that nobody scored count
    too (docs/reuse.md has measurements).
    """
    from mabe.config import parse_changes
    from mabe.experiments.distil import distil as run_distillation

    prepare_workers()
    with listing_failures(out):
        done = run_distillation(
            model,
            data,
            out,
            changes=parse_changes(changes or [])
            | {
                name: value
                for name, value in (
                    *(("ignore_labels", ignore_labels), ("author", author)),
                    *(("licence", licence), ("cite", cite)),
                    ("device", None if device == "auto" else device),
                )
                if value
            },
            resume=resume,
            skip_bad=skip_bad,
        )
        print(done.to_text())
    return Distilled(**done.to_json())


def explain(
    run: Annotated[
        Path,
        UrlRole.FOLDER,
        typer.Argument(help="Directory of `mabe train DATA`, or of `mabe crossval`."),
    ],
    folds: Annotated[
        int | None, typer.Option(min=1, help="Number of folds; all by default.")
    ] = None,
) -> Explained:
    """Measure the importance of feature groups.

    Prints the drop in F1 when a group is shuffled; `mabe evaluate` prints it too.
    """
    from mabe.experiments.importance import (
        explain_run,
        format_importance,
        importance_json,
    )

    importance = explain_run(run, folds=folds)
    print(f"\n{format_importance(importance)}")
    return Explained(run=run, importance=importance_json(importance))


def push(
    run: Run,
    to: Annotated[str, typer.Argument(help="hf://owner/name.")],
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository a private one.")
    ] = False,
) -> Pushed:
    """Push a model and its card to the Hugging Face Hub.

    Others then use it as MODEL: mabe predict hf://owner/name recordings --out out
    """
    from mabe.experiments.push import push as run_push

    pushed = run_push(run, Path(to), private=private)
    for warning in pushed.warnings:
        print(f"! {warning}")
    print(f"✓ {pushed.address}: {pushed.url}")
    return Pushed(model=str(pushed.address), url=pushed.url, warnings=pushed.warnings)
