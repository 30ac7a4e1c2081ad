"""What the process of a job prints for the server that started it.

A line of JSON for each step, ``{"stage": …, "done": n, "total": m}``, at the end
``{"finished": true, "written": …}``, or ``{"error": …}`` for what the user can correct.
"""

import json
from collections.abc import Callable
from typing import Any

from mabe.errors import MabeError


def report(stage: str, done: int, total: int) -> None:
    """Print what is being done, and how much of it is done."""
    _print({"stage": stage, "done": done, "total": total})


def run_job(work: Callable[[], object]) -> int:
    """Do some work; print its result, the path it has written, and return a code."""
    try:
        return _run(work)
    except BrokenPipeError:  # the server is gone, and nobody reads
        return 1


def _run(work: Callable[[], object]) -> int:
    try:
        written = work()
    except MabeError as error:
        _print({"error": str(error)})
        return 2
    _print({"finished": True, "written": "" if written is None else str(written)})
    return 0


def _print(values: dict[str, Any]) -> None:
    print(json.dumps(values), flush=True)
