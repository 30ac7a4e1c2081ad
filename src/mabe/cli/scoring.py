"""Commands that score and check: `mabe evaluate | check | score | check-submission`."""

from pathlib import Path
from typing import Annotated

import typer

from mabe.cli.options import (
    Device,
    IncludeTraining,
    Run,
    SkipBad,
    Tta,
    WrittenRun,
    load_predictor,
)
from mabe.cli.reporting import listing_failures
from mabe.cli.results import Checked, Evaluated, Scored, SubmissionChecked
from mabe.cli.url_roles import UrlRole
from mabe.errors import ConfigError
from mabe.runtime.executors import prepare_workers
from mabe.runtime.model_hub import hub_address


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(evaluate)
    app.command()(check)
    app.command()(score)
    app.command("check-submission")(check_submission)


def evaluate(
    run: WrittenRun,
    data: Annotated[
        Path,
        UrlRole.DATA,
        typer.Argument(
            help="Labelled recordings: a folder in the Kaggle layout, a store, or a "
            "folder of tracks and labels of any known format."
        ),
    ],
    out: Annotated[
        Path | None,
        UrlRole.FOLDER,
        typer.Option(help="Folder for metrics.json; RUN/evaluation by default."),
    ] = None,
    include_training: IncludeTraining = False,
    tta: Tta = 1,
    device: Device = "auto",
    skip_bad: SkipBad = False,
) -> Evaluated:
    """Score a model on recordings that it did not learn from."""
    from mabe.experiments.importance import (
        format_importance,
        importance_json,
        read_importance,
    )
    from mabe.inference.evaluate import Unseen
    from mabe.inference.evaluate import evaluate as run_evaluation
    from mabe.runtime.files import write_json

    if out is None and hub_address(run) is not None:
        raise ConfigError("--out: name a folder for the scores of this model")
    if data.is_dir():
        prepare_workers()
    predictor = load_predictor(run, device, tta)
    run_dir = predictor.checkpoint.path.parent
    path = (out or run_dir / "evaluation") / "metrics.json"
    with listing_failures(path.parent):
        scores = run_evaluation(Unseen(predictor, data, include_training, skip_bad))
        print(scores.to_text())
        importance = read_importance(run_dir)
        if importance:
            print(f"\n{format_importance(importance)}")
        origin = {
            "model": predictor.checkpoint.path.name,
            "data": str(data),
            "importance": importance_json(importance) if importance else None,
        }
        write_json(path, origin | scores.to_json())
        print(f"✓ {path}")
    return Evaluated(
        metrics_file=path,
        model=predictor.checkpoint.path,
        data=data,
        macro_f1=scores.macro_f1,
        scores=scores.to_json(),
    )


def check(
    run: Run,
    data: Annotated[
        Path | None,
        UrlRole.READ,
        typer.Argument(
            help="Folder in the Kaggle layout, or a store: checks its labels, points "
            "and copies too."
        ),
    ] = None,
    submission: Annotated[
        Path | None,
        UrlRole.READ,
        typer.Option(
            help="Submission file to check too; RUN/submission.csv by default."
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Treat warnings as failures.")
    ] = False,
) -> Checked:
    """Check a run before it is submitted or published.

    The exit code is 1 if a check fails.
    """
    from mabe.experiments.checklist import (
        findings_json,
        format_findings,
        gather_facts,
        run_checks,
    )

    findings = run_checks(gather_facts(run, data, submission))
    print(format_findings(findings))
    return Checked(**findings_json(str(run), findings, strict=strict))


def score(
    solution: Annotated[
        Path,
        UrlRole.READ,
        typer.Argument(
            help="CSV of annotated bouts, with lab_id and behaviors_labeled."
        ),
    ],
    submission: Annotated[
        Path, UrlRole.READ, typer.Argument(help="CSV of predicted bouts.")
    ],
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Also print a score without the quirks of the challenge's own.",
        ),
    ] = False,
    metadata: Annotated[
        Path | None,
        UrlRole.READ,
        typer.Option(
            help="train.csv of the scored videos, which lists what was watched also "
            "where nothing happened; implies --strict."
        ),
    ] = None,
    per_lab: Annotated[
        bool, typer.Option("--per-lab", help="Print each lab and action.")
    ] = False,
) -> Scored:
    """Score a submission file as the challenge does."""
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
    print(report.to_text(per_lab=per_lab))
    return Scored(**report.to_json())


def check_submission(
    submission: Annotated[
        Path, UrlRole.READ, typer.Argument(help="The submission.csv to check.")
    ],
    data: Annotated[
        Path | None,
        UrlRole.READ,
        typer.Option(
            help="Folder in the Kaggle layout, or one of its tables (test.csv): checks "
            "videos, animals, actions and frame numbers too."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        UrlRole.FILE,
        typer.Option(help="Write all problems as JSON to this file too."),
    ] = None,
) -> SubmissionChecked:
    """Check a submission file line by line.

    The exit code is 1 if it has errors.
    """
    from mabe.io.submission import describe_review, review_submission
    from mabe.runtime.files import write_json

    review = review_submission(submission, data)
    if out:
        write_json(out, review.to_json())
    print(describe_review(submission, review))
    return SubmissionChecked(**review.to_json())
