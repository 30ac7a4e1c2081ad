"""The checklist before a run is submitted or published.

`gathering` reads everything there is to know of a run, once, into `Facts`; each check
is a small function from facts to one `Finding`; `findings` shows them. Nothing here
asks a model anything, so a check takes seconds.
"""

from mabe.checklist.checks import CHECKS, run_checks
from mabe.checklist.facts import Facts
from mabe.checklist.findings import (
    Finding,
    Verdict,
    findings_json,
    format_findings,
    has_failed,
)
from mabe.checklist.gathering import gather_facts

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
