"""Whether there are enough labels and points, and whether a submission is valid."""

from mabe.experiments.checklist.facts import DataFacts, Facts, SubmissionFacts
from mabe.experiments.checklist.findings import Finding, Verdict, name_some
from mabe.experiments.checklist.limits import (
    FEWEST_BOUTS,
    MISSING_TO_KNOW,
    MISSING_TO_MEND,
)
from mabe.runtime.console import count, percent
from mabe.skeleton import KEYPOINTS

_NO_DATA = "no DATA given"


_GIVE_DATA = "`mabe check RUN DATA`, a folder in the Kaggle layout or a store"


def check_coverage(facts: Facts) -> Finding:
    """There are labels, and of every watched action at least ten bouts in each lab.

    Too few are a warning: they are what the data are like, and may be all there is.
    """
    name = "coverage of labels"
    if facts.data is None:
        return Finding(name, Verdict.SKIPPED, _NO_DATA, _GIVE_DATA)
    data = facts.data
    total = sum(bouts for lab in data.labs for bouts in lab.bouts.values())
    if not total:
        found = f"not one bout in {count(data.recordings, 'recording')}"
        advice = "is train_annotation beside train.csv, and behaviors_labeled filled?"
        return Finding(name, Verdict.FAILED, found, advice)
    details = _gaps_in_labels(data)
    found = f"{count(total, 'bout')} in {count(data.recordings, 'recording')}"
    if not details:
        return Finding(name, Verdict.OK, found)
    found = "; ".join([found, *_count_gaps(data)])
    advice = (
        "label more of these, name them in `ignore`, or do not rely on their "
        "predictions; --json lists all"
    )
    return Finding(name, Verdict.WARNING, found, advice, details)


def never_seen(data: DataFacts) -> list[str]:
    """Return the (lab, action) that were watched and never occur."""
    return [
        f"{lab.lab} {a}" for lab in data.labs for a, n in lab.bouts.items() if not n
    ]


def seldom_seen(data: DataFacts) -> list[str]:
    """Return the (lab, action) with fewer bouts than can be learned from."""
    return [
        f"{lab.lab} {action} ({bouts})"
        for lab in data.labs
        for action, bouts in lab.bouts.items()
        if 0 < bouts < FEWEST_BOUTS
    ]


def _gaps_in_labels(data: DataFacts) -> tuple[str, ...]:
    return (
        *(f"watched, never annotated: {each}" for each in never_seen(data)),
        *(f"fewer than {FEWEST_BOUTS} bouts: {each}" for each in seldom_seen(data)),
        *(f"watched, without a bout: {each}" for each in data.without_bouts),
        *([f"unlabelled recordings: {data.unlabelled}"] if data.unlabelled else []),
    )


def _count_gaps(data: DataFacts) -> list[str]:
    never, seldom = never_seen(data), seldom_seen(data)
    gaps = [
        (never, f"{len(never)} watched but never annotated: {name_some(never)}"),
        (seldom, f"{len(seldom)} with under {FEWEST_BOUTS} bouts: {name_some(seldom)}"),
        (
            data.without_bouts,
            f"{count(len(data.without_bouts), 'recording')} without a bout",
        ),
        (data.unlabelled, f"{data.unlabelled} unlabelled"),
    ]
    return [text for exists, text in gaps if exists]


def check_missing_points(facts: Facts) -> Finding:
    """Few points of the keypoints that a lab tracks are missing."""
    name = "missing points"
    if facts.data is None:
        return Finding(name, Verdict.SKIPPED, _NO_DATA, _GIVE_DATA)
    data = facts.data
    worst = max(data.labs, key=lambda lab: lab.missing_share)
    present = frozenset[str]().union(*(lab.keypoints for lab in data.labs))
    is_rodent = not present.isdisjoint(KEYPOINTS)
    absent = [name for name in KEYPOINTS if is_rodent and name not in present]
    details = (
        *(
            f"{lab.lab}: {percent(lab.missing_share, digits=1)} of "
            f"{count(len(lab.keypoints), 'keypoint')}"
            for lab in data.labs
        ),
        *(f"never tracked: {keypoint}" for keypoint in absent),
        *(f"nothing tracked: {recording}" for recording in data.untracked),
    )
    found = (
        f"{percent(worst.missing_share, digits=1)} in {worst.lab}, the worst of "
        f"{count(len(data.labs), 'lab')}"
    )
    if absent:
        found += f"; {len(absent)} of {len(KEYPOINTS)} keypoints never occur"
    if data.untracked:
        found += f"; nothing tracked in {name_some(data.untracked)}"
    advice = (
        "track again, lower the tracker's confidence limit, or leave such recordings "
        "out; scores of that lab are worth less"
    )
    if worst.missing_share > MISSING_TO_MEND:
        return Finding(name, Verdict.FAILED, found, advice, details)
    if worst.missing_share > MISSING_TO_KNOW or data.untracked:
        return Finding(name, Verdict.WARNING, found, advice, details)
    return Finding(name, Verdict.OK, found, details=details)


def check_submission_file(facts: Facts) -> Finding:
    """Any submission file is one that the host takes."""
    name = "submission"
    submission = facts.submission
    if submission is None:
        if facts.kind == "scene":
            found = "not applicable: scenes are not submitted"
            return Finding(name, Verdict.SKIPPED, found)
        advice = "`mabe submit RUN DATA --out RUN/submission.csv`, or --submission FILE"
        return Finding(name, Verdict.SKIPPED, "no submission.csv in the run", advice)
    details = (*submission.errors, *submission.warnings)
    advice = f"`mabe check-submission {submission.path}` names every line"
    if submission.errors:
        found = (
            f"{submission.path}: not valid, {count(len(submission.errors), 'error')}: "
            f"{submission.errors[0]}"
        )
        return Finding(name, Verdict.FAILED, found, advice, details)
    found = _describe_valid(submission)
    if submission.warnings:
        found += (
            f", {count(len(submission.warnings), 'warning')}: {submission.warnings[0]}"
        )
        return Finding(name, Verdict.WARNING, found, advice, details)
    return Finding(name, Verdict.OK, found)


def _describe_valid(submission: SubmissionFacts) -> str:
    against = "" if submission.against_data else " (its videos unchecked without DATA)"
    return f"{submission.path}: valid, {count(submission.rows, 'row')}{against}"
