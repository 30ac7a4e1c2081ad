"""The checklist before a run is submitted or published.

`gather` reads all facts of a run, once, into `Facts`. Each check is a function from
facts to one `Finding`, and `findings` formats them. No model predicts anything here, so
the checklist takes seconds.
"""

from collections.abc import Callable

from mabe.experiments.checklist.data_checks import (
    check_coverage,
    check_missing_points,
    check_submission_file,
)
from mabe.experiments.checklist.facts import Facts
from mabe.experiments.checklist.findings import (
    Finding,
    Verdict,
    findings_json,
    format_findings,
    has_failed,
)
from mabe.experiments.checklist.read_run_facts import gather_facts
from mabe.experiments.checklist.score_checks import (
    check_background,
    check_calibration,
    check_class_f1,
    check_macro_f1,
    check_never_predicted,
)
from mabe.experiments.checklist.training_checks import (
    check_epochs,
    check_leaks,
    check_validation_loss,
)

__all__ = [
    "CHECKS",
    "Facts",
    "Finding",
    "Verdict",
    "findings_json",
    "format_findings",
    "gather_facts",
    "has_failed",
    "run_checks",
]


CHECKS: tuple[Callable[[Facts], Finding], ...] = (
    check_epochs,
    check_validation_loss,
    check_leaks,
    check_macro_f1,
    check_class_f1,
    check_background,
    check_never_predicted,
    check_calibration,
    check_coverage,
    check_missing_points,
    check_submission_file,
)
"""All checks, in the order in which they are printed."""


def run_checks(facts: Facts) -> tuple[Finding, ...]:
    """Return what each check finds."""
    return tuple(check(facts) for check in CHECKS)
