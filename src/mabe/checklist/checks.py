"""All checks, in the order in which they are shown."""

from collections.abc import Callable

from mabe.checklist.data_checks import (
    check_coverage,
    check_missing_points,
    check_submission_file,
)
from mabe.checklist.facts import Facts
from mabe.checklist.findings import Finding
from mabe.checklist.score_checks import (
    check_background,
    check_calibration,
    check_class_f1,
    check_macro_f1,
    check_never_predicted,
)
from mabe.checklist.training_checks import (
    check_epochs,
    check_leaks,
    check_validation_loss,
)

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


def run_checks(facts: Facts) -> tuple[Finding, ...]:
    """Return what each check finds."""
    return tuple(check(facts) for check in CHECKS)
