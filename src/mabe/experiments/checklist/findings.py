"""What a check found, what to do about it, and how both are shown.

A *failed* check is one to mend before anybody relies on the run; a *warning* is one to
know of; a check is *skipped* where its input is absent or it does not apply.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"

    @property
    def sign(self) -> str:
        """One character for the terminal."""
        return {"ok": "✓", "warning": "!", "failed": "✗", "skipped": "–"}[self]


SHOWN = 3
"""A line names so many of what may be a hundred; JSON has them all."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    name: str
    verdict: Verdict
    found: str
    advice: str = ""
    """What to do; empty where there is nothing."""
    details: tuple[str, ...] = ()
    """All that `found` may only name some of."""


def has_failed(findings: Iterable[Finding], *, strict: bool) -> bool:
    """Tell whether a check failed; strictly, a warning is one too."""
    bad = {Verdict.FAILED, Verdict.WARNING} if strict else {Verdict.FAILED}
    return any(finding.verdict in bad for finding in findings)


def format_findings(findings: Sequence[Finding]) -> str:
    """Return a line for each check, advice below it, and the counts at the end."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.verdict.sign} {finding.name:<{width}}  {finding.found}")
        if finding.verdict is not Verdict.OK and finding.advice:
            lines.append(f"  {'':<{width}}  → {finding.advice}")
    return "\n".join([*lines, "", count_line(findings)])


def count_line(findings: Sequence[Finding]) -> str:
    """Return how many checks ended in which way."""
    counts = Counter(finding.verdict for finding in findings)
    words = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict)
    return f"{len(findings)} checks: {words}"


def findings_json(
    run: str, findings: Sequence[Finding], *, strict: bool
) -> dict[str, Any]:
    """Return everything as plain values."""
    counts = Counter(finding.verdict for finding in findings)
    return {
        "run": run,
        "passed": not has_failed(findings, strict=strict),
        "counts": {str(verdict): counts[verdict] for verdict in Verdict},
        "findings": [asdict(finding) for finding in findings],
    }


def name_some(names: Sequence[str], most: int = SHOWN) -> str:
    """Return the first of some names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
