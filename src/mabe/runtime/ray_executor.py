"""The executor for more than one machine: tasks on a Ray cluster.

Ray finds a machine with room for each task and does a task again whose worker died.
What it does not do is carry files: all machines need the same ``mabe``, and the folder
the command is given in, and those it reads and writes, under the same names (a shared
filesystem). Each worker checks that before its first task. Data may come from object
storage instead (`mabe.remote`).

Without a cluster's address, Ray is started on this machine and ended with the work.
"""

import functools
import logging
import os
import platform
import re
import secrets
import socket
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mabe import __version__
from mabe.errors import ConfigError, MabeError, RunError, StopRequested
from mabe.runtime.executors import STOPPED, Result, Shared, Task
from mabe.runtime.files import usable_cores

LOCAL = "local"
"""The address that stands for a Ray of one's own on this machine."""


GPU_SHARE = 0.25
"""Networks here are small: four fit a GPU well, and one does not keep it busy."""


_MOST_WAITING = 1_000
"""Tasks handed to Ray at a time."""


_STOP_S = 60.0
"""Workers asked to stop save their state first; longer than this we do not wait."""


_ANSWER_S = 10.0


_OWN_STORE_BYTES = 200 << 20
"""Shared memory for results; those are small, poses and models stay in files."""


def is_address(text: str) -> bool:
    """Tell ``local``, ``auto``, ``HOST:PORT`` and ``ray://…`` from anything else."""
    return bool(re.fullmatch(r"local|auto|ray://\S+|[\w.\-]+:\d+|\[[^]]+\]:\d+", text))


@dataclass(frozen=True, slots=True, kw_only=True)
class RayCluster:
    """An executor whose workers are those of a Ray cluster."""

    address: str = LOCAL
    cpus_per_task: float = 1.0
    gpus_per_task: float | None = None
    """Share of a GPU; None: `GPU_SHARE` where the cluster has GPUs."""
    retries: int = 3
    """How often a task is done again whose worker died."""
    patience_s: float = 60.0

    def __post_init__(self) -> None:
        if not is_address(self.address):
            raise ConfigError(
                f"--ray {self.address}: expected nothing (a Ray of its own on this "
                "machine), auto, HOST:PORT or ray://HOST:PORT"
            )

    @property
    def threads(self) -> int | None:
        """See `Executor.threads`."""
        return max(1, int(self.cpus_per_task))

    def run(
        self,
        work: Callable[[Shared, Task], Result],
        shared: Shared,
        tasks: Sequence[Task],
        *,
        folders: Sequence[Path] = (),
        wants_gpu: Callable[[Task], bool] | None = None,
        hears_interrupts: bool = False,
    ) -> Generator[tuple[int, Result], None, None]:
        """See `Executor.run`; work that hears no interrupts may be broken off."""
        if not tasks:
            return
        ray = import_ray()
        with _joined(ray, self.address), _marked(folders) as marks:
            share = self._share(ray)
            here = _Place(__version__, Path.cwd(), os.environ.get("MABE_CACHE"), marks)
            errand = ray.put(_Errand(work, shared, here))
            remote = ray.remote(_do_there)

            def submit(task: Any) -> Any:
                gpus = share if wants_gpu and wants_gpu(task) else 0
                # What is inside a list is not fetched for each task anew.
                return remote.options(
                    num_cpus=self.cpus_per_task,
                    num_gpus=gpus,
                    max_retries=self.retries,
                ).remote([errand], task)

            left = deque(enumerate(tasks))
            waiting: dict[Any, int] = {}
            try:
                while left or waiting:
                    while left and len(waiting) < _MOST_WAITING:
                        place, task = left.popleft()
                        waiting[submit(task)] = place
                    for done in ray.wait(list(waiting), num_returns=1)[0]:
                        yield waiting.pop(done), _result(ray, done)
            except KeyboardInterrupt:
                raise StopRequested(STOPPED) from None
            finally:
                _stop(ray, list(waiting))

    def _share(self, ray: Any) -> float:
        """Return the share of a GPU for a task; tell what there is to compute on."""
        total = ray.cluster_resources()
        gpus = total.get("GPU", 0.0)
        share = self.gpus_per_task
        share = (GPU_SHARE if gpus else 0.0) if share is None else share
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        print(
            f"mabe: Ray: {len(nodes)} machine(s), {total.get('CPU', 0):g} cores, "
            f"{gpus:g} GPUs",
            file=sys.stderr,
        )
        wanted = {"CPU": self.cpus_per_task, "GPU": share}
        if not any(
            all(node.get(kind, 0) >= much for kind, much in wanted.items())
            for node in nodes
        ):
            lacking = (
                f"no machine has {self.cpus_per_task:g} cores and {share:g} GPUs for a "
                "task; give smaller --cpus-per-task and --gpus-per-task"
            )
            if self.address == LOCAL:
                raise ConfigError(f"--ray: {lacking}")
            # A cluster may grow.
            print(f"mabe: Ray: waiting: {lacking}", file=sys.stderr)
        return share


def import_ray() -> Any:
    """Return Ray. Raises `RunError` where it is not installed."""
    # Nothing about anybody's data or use leaves the machine.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise RunError(
            '--ray: Ray is not installed here; `pip install "mabe[ray]"`'
        ) from None
    return ray


def _check_answers(address: str) -> None:
    """Raise `OSError` where nothing listens: Ray itself would wait for ever."""
    named = re.fullmatch(r"(?:ray://)?\[?(.+?)\]?:(\d+)", address)
    if named:
        host, port = named.groups()
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()


@contextmanager
def _joined(ray: Any, address: str) -> Iterator[None]:
    """Join a cluster, or start Ray on this machine; leave it as it was found."""
    if ray.is_initialized():
        yield
        return
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    own = {
        "num_cpus": usable_cores(),
        "include_dashboard": False,
        "object_store_memory": _OWN_STORE_BYTES,
    }
    try:
        _check_answers(address)
        ray.init(address=address, **quiet, **(own if address == LOCAL else {}))
    except Exception as error:  # of many kinds, where nobody answers
        reason = str(error).strip().split("\n", 1)[0]
        raise RunError(
            f"--ray {address}: no Ray cluster could be joined ({reason}); start one "
            "with `ray start --head` (if it asks for a token, set RAY_AUTH_MODE=token "
            "here), or leave the address out"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _marked(folders: Sequence[Path]) -> Iterator[tuple[Path, ...]]:
    """Put a mark into each folder, by which workers see that it is the same one."""
    name = f".mabe-{secrets.token_hex(8)}.tmp"
    marks = tuple(folder.resolve() / name for folder in folders)
    try:
        for mark in marks:
            mark.touch()
        yield marks
    finally:
        for mark in marks:
            mark.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a command was given: what its workers have to find as well."""

    version: str
    folder: Path
    cache: str | None
    """What ``MABE_CACHE`` says there."""
    marks: tuple[Path, ...]

    def enter(self) -> None:
        """Go there. Raises `RunError` where this machine is not prepared for it."""
        if __version__ != self.version:
            raise RunError(
                f"--ray: {platform.node()} has mabe {__version__}, the command is "
                f"{self.version}; install the same version on all machines"
            )
        for path in (self.folder, *self.marks):
            if not path.exists():
                folder = path if path == self.folder else path.parent
                raise RunError(
                    f"--ray: {platform.node()} does not see {folder} as the machine "
                    "that gave the command does; all need a filesystem they share"
                )
        os.chdir(self.folder)
        if self.cache is not None:
            os.environ["MABE_CACHE"] = self.cache


@dataclass(frozen=True, slots=True)
class _Errand:
    """What is to be done for every task."""

    work: Callable[[Any, Any], Any]
    shared: Any
    place: _Place


@dataclass(frozen=True, slots=True)
class _Failed:
    """A task that ended with an error for people to read, or was stopped."""

    error: Exception


def _do_there(errand: list[Any], task: Any) -> Any:
    """Do one task, in a worker. Our own errors are results: Ray would wrap them."""
    try:
        found = _fetch(errand[0])
        return found.work(found.shared, task)
    except (MabeError, StopRequested) as error:
        return _Failed(error)


@functools.lru_cache(maxsize=1)  # a worker does many tasks of the same errand
def _fetch(errand: Any) -> _Errand:
    found: _Errand = import_ray().get(errand)
    found.place.enter()
    return found


def _result(ray: Any, done: Any) -> Any:
    """Return what a task came to, or raise its error."""
    try:
        result = ray.get(done)
    except ray.exceptions.RayTaskError:
        raise  # a bug: with its traceback, from the worker
    except ray.exceptions.RayError as error:
        reason = " ".join(str(error).split())[:300]
        raise RunError(
            "--ray: a worker died again and again, perhaps for want of memory "
            f"({reason}); what is done is kept: try again, with more --cpus-per-task "
            "fewer tasks run at once"
        ) from error
    if isinstance(result, _Failed):
        raise result.error
    return result


def _stop(ray: Any, waiting: list[Any]) -> None:
    """Ask workers to stop, and wait until they have saved what they did."""
    if not waiting:
        return
    for task in waiting:
        ray.cancel(task)
    ray.wait(waiting, num_returns=len(waiting), timeout=_STOP_S)
