"""Work in a process of its own: its progress, its end, and how it is cancelled."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mabe.errors import MabeError

What = Literal[
    "read", "train", "full", "predict", "copy", "film", "trust", "settle", "incoming"
]


_MODULES: dict[str, str] = {
    "full": "mabe.viz.studio.full_training",
    "read": "mabe.viz.studio.reading",
    "trust": "mabe.viz.studio.trust",
    "settle": "mabe.viz.studio.settling",
    "incoming": "mabe.viz.studio.incoming",
}
"""Of work that has a module of its own."""
_WORKER = "mabe.viz.studio.worker"


@dataclass(slots=True)
class Job:
    """One run of `mabe.viz.studio.worker`, `film_jobs`, or one of `_MODULES`."""

    what: What
    process: "subprocess.Popen[str]"
    after: Callable[[], None]
    """Called once when it has finished; what it raises is the job's error."""
    written: str = ""
    """What it has written, once it has finished."""
    stage: str = "starting"
    done: int = 0
    total: int = 1
    error: str | None = None
    finished: bool = False
    cancelled: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_running(self) -> bool:
        """Whether it is neither finished, failed nor cancelled."""
        return not (self.finished or self.cancelled or self.error is not None)

    def to_json(self) -> dict[str, Any]:
        """Return what the page shows of it."""
        return {
            "what": self.what,
            "stage": self.stage,
            "done": self.done,
            "total": self.total,
            "error": self.error,
            "running": self.is_running,
            "cancelled": self.cancelled,
            "written": self.written,
        }

    def cancel(self) -> None:
        """End the process; what it has written so far is not used."""
        with self._lock:
            if not self.is_running:
                return
            self.cancelled = True
            self.process.kill()

    def follow(self) -> None:
        """Read the process's lines until it ends."""
        assert self.process.stdout is not None
        last: dict[str, Any] = {}
        for line in self.process.stdout:
            if not line.startswith("{"):
                continue
            last = json.loads(line)
            self.stage = last.get("stage", self.stage)
            self.done = last.get("done", self.done)
            self.total = last.get("total", self.total)
        code = self.process.wait()
        with self._lock:
            if self.cancelled:
                return
            if code or not last.get("finished"):
                reason = last.get("error")
                self.error = (
                    reason or f"the process ended with code {code}; see the terminal"
                )
                return
        self.written = last.get("written", "")
        try:
            self.after()
        except MabeError as error:
            self.error = str(error)
            return
        self.finished = True


class WaitingWorker:
    """A worker that has loaded its libraries, which takes seconds, before it is needed.

    It holds about 400 MB of memory until it is used or ended, and ends by itself
    when the server is gone.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Start one, unless one is waiting."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = _start_process(_WORKER, "wait", stdin=subprocess.PIPE)

    def take(self, what: What, data: Path) -> "subprocess.Popen[str] | None":
        """Let the one that waits do some work, and return it; None if none waits."""
        with self._lock:
            process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return None
        assert process.stdin is not None
        try:
            with process.stdin as sent:
                sent.write(json.dumps([what, str(data)]))
        except OSError:  # it has just ended: another one is started
            process.kill()
            process.wait()
            return None
        return process

    def end(self) -> None:
        """End the one that waits, if one does."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def start_job(
    what: What,
    data: Path,
    after: Callable[[], None],
    *given: str,
    waiting: WaitingWorker | None = None,
) -> Job:
    """Start work on a data set in a process, and follow it in a thread.

    `given` are further arguments of the process. Training and prediction are done by
    the worker that is waiting, if one is.
    """
    arguments = [_WORKER, what]
    if what in ("copy", "film"):
        arguments = ["mabe.viz.studio.film_jobs", what]
    elif what in _MODULES:
        arguments = [_MODULES[what]]
    process = None
    if waiting is not None and arguments[0] == _WORKER:
        process = waiting.take(what, data)
    job = Job(what, process or _start_process(*arguments, str(data), *given), after)
    threading.Thread(target=job.follow, daemon=True, name=f"mabe-{what}").start()
    return job


def _start_process(
    module: str, *given: str, stdin: int | None = None
) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", module, *given],
        # Ctrl-C is for the server, which ends its processes.
        start_new_session=True,
        stdin=stdin,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
