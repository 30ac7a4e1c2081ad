"""What each command tells, as a record: its JSON object.

The text beside a field says what the key holds; docs/commands.md is made of it. Keys
are kept from version to version; new ones may be added.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from mabe.cli.reporting import ExitCode, Result

Score = float | None
"""A score; null where nothing can be scored."""
Interval = tuple[Score, Score]
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected(Result):
    """`mabe inspect`."""

    path: Annotated[Path | None, "what was inspected"] = None
    kind: Annotated[
        str,
        "`file`, `folder`, `data set`, `formats`, `model`, `predictions` or `store`",
    ]
    own: Annotated[
        Values | None,
        "of a model the card of `mabe info`; of predictions `model`, `recordings`, "
        "`bouts` by action, `notes`; of a store `recordings`, `frames`, `keypoints` …",
    ] = None
    tracks: Annotated[
        Sequence[Any],
        "tracks of each recording: `name`, `file`, `format`, `frames`, `fps`, "
        "`animals`, `keypoints`",
    ] = ()
    labels: Annotated[
        Sequence[Any],
        "labels of each recording: `name`, `file`, `format`, `by` (person or program), "
        "`events`, `behaviours`, `subjects`",
    ] = ()
    not_read: Annotated[Sequence[Any], "files that are not used: `file`, `reason`"] = ()
    guesses: Annotated[
        Sequence[Any],
        "what an import would assume: `kind`, `what`, `reason`, `recording`, `value`",
    ] = ()
    videos: Annotated[int, "of a data set: number of videos"] = 0
    labelled: Annotated[int, "of a data set: number of videos with labels"] = 0
    formats: Annotated[Sequence[str], "with `--formats`: a line for each"] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported(Result):
    """`mabe import`."""

    out: Annotated[Path | None, "the data set; null with `--dry-run`"]
    recordings: Annotated[int, "recordings imported"]
    labelled: Annotated[int, "how many of them have labels"]
    frames: Annotated[int, "frames of all recordings"]
    bouts: Annotated[int, "bouts of all recordings"]
    guesses: Annotated[
        Sequence[Any],
        "what was assumed: `kind`, `what`, `reason`, `recording`, `value`",
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated(Result):
    """`mabe simulate`."""

    out: Annotated[Path, "the data set"]
    labs: Annotated[int, "labs"]
    videos: Annotated[int, "videos in the data set"]
    written: Annotated[int, "how many of them this call wrote"]
    frames: Annotated[int, "frames of all videos"]
    bouts: Annotated[int, "bouts of all videos"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared(Result):
    """`mabe prepare`."""

    store: Annotated[Path, "the store"]
    fps: Annotated[float, "working rate, frames per second"]
    recordings: Annotated[int, "recordings in the store"]
    frames: Annotated[int, "frames of all recordings at that rate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained(Result):
    """`mabe train`."""

    run: Annotated[Path, "the run directory"]
    model: Annotated[Path, "the model's file"]
    macro_f1: Annotated[Score, "on recordings held out; null where none was scored"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossValidated(Result):
    """`mabe crossval`."""

    run: Annotated[Path, "the directory"]
    model: Annotated[Path, "all runs as one model"]
    score: Annotated[Score, "of out-of-fold predictions, averaged over seeds"]
    interval_95: Annotated[Interval, "its 95 % interval over recordings"]
    f1: Annotated[Mapping[str, Score], "F1 of each class or action"]
    seeds: Annotated[
        Values, "by seed: `score`, `interval_95`, `f1`, `folds` (score of each)"
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedRun(Result):
    """`mabe tune`."""

    run: Annotated[Path, "the run"]
    score: Annotated[
        Values,
        "`plain` (default thresholds), `in_sample` (too high), `nested` (to report)",
    ]
    per_lab_and_class: Annotated[
        Sequence[Any],
        "F1: `lab`, `name`, `bouts`, `plain`, `in_sample`, `nested`",
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated(Result):
    """`mabe calibrate`."""

    model: Annotated[str, "the model with the rules to use"]
    of: Annotated[str, "the model as it was, which is unchanged"]
    rules: Annotated[str, "`new` or `kept`"]
    way: Annotated[str, "how the rules were found"]
    score: Annotated[
        Values,
        "`before`, `nested` (of rules that others chose), `gain_interval_95`, "
        "`is_shown` (whether that is above zero)",
    ]
    folds: Annotated[
        Sequence[Any], "left out together: `recordings`, `before`, `nested`"
    ]
    calibration_error: Annotated[Values, "by class: `before`, `nested`"]
    classes_without_labels: Annotated[Sequence[str], "which keep their old rule"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distilled(Result):
    """`mabe distil`."""

    model: Annotated[str, "the network"]
    of: Annotated[str, "the model that it imitates"]
    recordings: Annotated[int, "that it learned from"]
    frames: Annotated[int, "of these, at the working rate"]
    agreement: Annotated[
        Values,
        "F1 by class of its decisions on these; truth is what it was taught",
    ]
    macro_agreement: Annotated[Score, "their mean"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed(Result):
    """`mabe push`."""

    model: Annotated[str, "the address, to be given as MODEL"]
    url: Annotated[str, "of the commit"]
    warnings: Annotated[Sequence[str], "what the card lacks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo(Result):
    """`mabe info`."""

    card: Annotated[
        Values,
        "`name`, `file`, `file_hash`, `task`, `classes`, `undirected`, `members`, "
        "`rate_fps`, `keypoints`, `landmarks`, `animals`, `rates_fps`, `labs`, "
        "`trained_on`, `pretrained_on`, `data`, `started_from`, `distilled_from`, "
        "`rules`, `scores`, `authors`, `licences`, `citations`",
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined(Result):
    """`mabe ensemble`."""

    model: Annotated[Path, "the joined model"]
    members: Annotated[int, "models in it"]
    weights: Annotated[Mapping[str, float], "by run or saved epoch; 0: left out"]
    score: Annotated[
        Score, "on recordings that no run learned from; null where there are none"
    ]
    interval_95: Annotated[Interval, "its 95 % interval over recordings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained(Result):
    """`mabe explain`."""

    run: Annotated[Path, "the run"]
    importance: Annotated[
        Values,
        "by kind of model and feature group: drop in F1, `f1_macro` and each class",
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted(Result):
    """`mabe predict`."""

    out: Annotated[Path, "the folder of predictions"]
    bouts_file: Annotated[Path, "bouts.csv"]
    recordings: Annotated[Sequence[str], "recordings predicted, `LAB/VIDEO`"]
    bouts: Annotated[int, "bouts of all recordings"]
    notes: Annotated[Sequence[str], "what is odd about the predictions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted(Result):
    """`mabe submit`."""

    submission: Annotated[Path, "the file"]
    solution: Annotated[Path | None, "with `--held-out`: labels for `mabe score`"]
    rows: Annotated[int, "predicted bouts"]
    videos: Annotated[int, "videos with predicted bouts"]
    warnings: Annotated[int, "warnings of the check"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported(Result):
    """`mabe export`."""

    files: Annotated[Sequence[Path], "files written"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated(Result):
    """`mabe evaluate`."""

    metrics_file: Annotated[Path, "metrics.json"]
    model: Annotated[Path, "the model's file"]
    data: Annotated[Path, "the recordings"]
    macro_f1: Annotated[Score, "mean F1 of classes; of pairs the challenge's score"]
    scores: Annotated[Values, "as in metrics.json, see docs/training.md"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked(Result):
    """`mabe check`."""

    run: Annotated[str, "the run"]
    passed: Annotated[bool, "whether no check failed"]
    counts: Annotated[Mapping[str, int], "checks by verdict"]
    findings: Annotated[
        Sequence[Any], "`name`, `verdict`, `found`, `advice`, `details` of each check"
    ]

    @property
    def exit_code(self) -> ExitCode:
        """Whether a check failed."""
        return ExitCode.DONE if self.passed else ExitCode.CHECK_FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored(Result):
    """`mabe score`."""

    score: Annotated[Score, "the challenge's score"]
    strict: Annotated[Score, "with `--strict`: the strict score"]
    rules: Annotated[str, "`challenge` or `strict`: the rules of `labs`"]
    labs: Annotated[
        Sequence[Any], "`lab`, `f1`, `bout_f1`, `actions` (counts and scores)"
    ]
    notes: Annotated[Sequence[str], "what was not counted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionChecked(Result):
    """`mabe check-submission`."""

    valid: Annotated[bool, "whether the host accepts the file"]
    rows: Annotated[int, "rows"]
    videos: Annotated[int, "videos"]
    errors: Annotated[int, "number of errors"]
    warnings: Annotated[int, "number of warnings"]
    problems: Annotated[Sequence[Any], "`line`, `message`, `kind`, `severity`"]

    @property
    def exit_code(self) -> ExitCode:
        """Whether the file is valid."""
        return ExitCode.DONE if self.valid else ExitCode.CHECK_FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Summarised(Result):
    """`mabe summary`."""

    out: Annotated[Path, "the folder"]
    workbook: Annotated[Path, "all tables as sheets"]
    tables: Annotated[Mapping[str, int], "rows by table; OUT/TABLE.csv and .parquet"]
    actions: Annotated[Sequence[Any], "the table `actions`: means of each action"]
    comparisons: Annotated[Sequence[str], "groups compared, in words"]
    notes: Annotated[Sequence[str], "what is needed to interpret the tables"]
    figures: Annotated[int, "pictures in OUT/figures, each .svg, .pdf and .png"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported(Result):
    """`mabe report`."""

    report: Annotated[Path, "the page"]
    bytes: Annotated[int, "its size"]
    macro_f1: Annotated[Score, "on the recordings shown"]
    interval_95: Annotated[Interval, "its 95 % interval over recordings"]
    recordings: Annotated[str, "which recordings they are, in words"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filmed(Result):
    """`mabe video`."""

    out: Annotated[Path, "the film; with `--clips` the folder of the clips"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn(Result):
    """`mabe plot`."""

    figure: Annotated[Path, "the picture"]
