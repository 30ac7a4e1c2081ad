"""The executor for more than one machine: tasks on a Ray cluster.

Ray chooses a machine with free resources for each task and repeats a task whose worker
died. It does not copy files: all machines need the same version of ``mabe``, and a
shared filesystem with the folder that the command runs in and the folders that it reads
and writes, under the same names. Each worker checks that before its first task. Data
may come from object storage instead (`mabe.runtime.object_storage`).

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
from mabe.runtime.console import count
from mabe.runtime.executors import STOPPED, Result, Shared, Task
from mabe.runtime.threads import usable_cores

LOCAL = "local"
"""The address that stands for a new Ray on this machine."""


GPU_SHARE = 0.25
"""The networks are small: four fit on a GPU, and one does not keep it busy."""


_MOST_WAITING = 1_000
"""Tasks handed to Ray at a time."""


_STOP_S = 60.0
"""How long to wait for workers to save their state after a request to stop."""


_ANSWER_S = 10.0


_OWN_STORE_BYTES = 200 << 20
"""Shared memory for results, which are small: poses and models stay in files."""


def is_address(text: str) -> bool:
    """Return whether a text is ``local``, ``auto``, ``HOST:PORT`` or ``ray://…``."""
    return bool(re.fullmatch(r"local|auto|ray://\S+|[\w.\-]+:\d+|\[[^]]+\]:\d+", text))


@dataclass(frozen=True, slots=True, kw_only=True)
class RayCluster:
    """An executor whose workers are those of a Ray cluster."""

    address: str = LOCAL
    cpus_per_task: float = 1.0
    gpus_per_task: float | None = None
    """Share of a GPU; None: `GPU_SHARE` where the cluster has GPUs."""
    retries: int = 3
    """How often a task is repeated whose worker died."""
    patience_s: float = 60.0

    def __post_init__(self) -> None:
        if not is_address(self.address):
            raise ConfigError(
                f"--ray {self.address}: expected nothing (a new Ray on this "
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
        """See `Executor.run`; work that hears no interrupts may be cancelled."""
        if not tasks:
            return
        ray = import_ray()
        with _joined(ray, self.address), _marked(folders) as marks:
            share = self._share(ray)
            environment = _CommandEnvironment(
                __version__, Path.cwd(), os.environ.get("MABE_CACHE"), marks
            )
            job = ray.put(_Job(work, shared, environment))
            remote = ray.remote(_do_there)

            def submit(task: Any) -> Any:
                gpus = share if wants_gpu and wants_gpu(task) else 0
                # A reference within a list is not fetched again for each task.
                return remote.options(
                    num_cpus=self.cpus_per_task,
                    num_gpus=gpus,
                    max_retries=self.retries,
                ).remote([job], task)

            left = deque(enumerate(tasks))
            waiting: dict[Any, int] = {}
            try:
                while left or waiting:
                    while left and len(waiting) < _MOST_WAITING:
                        index, task = left.popleft()
                        waiting[submit(task)] = index
                    for done in ray.wait(list(waiting), num_returns=1)[0]:
                        yield waiting.pop(done), _result(ray, done)
            except KeyboardInterrupt:
                raise StopRequested(STOPPED) from None
            finally:
                _stop(ray, list(waiting))

    def _share(self, ray: Any) -> float:
        """Return the share of a GPU for a task; print the cluster's resources."""
        total = ray.cluster_resources()
        gpus = total.get("GPU", 0.0)
        share = self.gpus_per_task
        share = (GPU_SHARE if gpus else 0.0) if share is None else share
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        print(
            f"mabe: Ray: {count(len(nodes), 'machine')}, cores: "
            f"{total.get('CPU', 0):g}, GPUs: {gpus:g}",
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
    # No usage statistics leave the machine.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise RunError(
            '--ray: Ray is not installed here; `pip install "mabe[ray]"`'
        ) from None
    return ray


def _check_answers(address: str) -> None:
    """Raise `OSError` where nothing listens: Ray itself would wait forever."""
    named = re.fullmatch(r"(?:ray://)?\[?(.+?)\]?:(\d+)", address)
    if named:
        host, port = named.groups()
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()


@contextmanager
def _joined(ray: Any, address: str) -> Iterator[None]:
    """Connect to a cluster, or start Ray on this machine; disconnect afterwards."""
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
    except Exception as error:  # of many kinds, where there is no cluster
        reason = str(error).strip().split("\n", 1)[0]
        raise RunError(
            f"--ray {address}: no connection to a Ray cluster ({reason}); start one "
            "with `ray start --head` (if it asks for a token, set RAY_AUTH_MODE=token "
            "here), or leave the address out"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _marked(folders: Sequence[Path]) -> Iterator[tuple[Path, ...]]:
    """Put a marker file into each folder, by which workers recognise it."""
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
class _CommandEnvironment:
    """The environment of a command, which its workers need as well."""

    version: str
    folder: Path
    cache: str | None
    """The value of ``MABE_CACHE``."""
    marks: tuple[Path, ...]

    def enter(self) -> None:
        """Set up this process. Raises `RunError` where the machine does not fit."""
        if __version__ != self.version:
            raise RunError(
                f"--ray: {platform.node()} has mabe {__version__}, the command is "
                f"{self.version}; install the same version on all machines"
            )
        for path in (self.folder, *self.marks):
            if not path.exists():
                folder = path if path == self.folder else path.parent
                raise RunError(
                    f"--ray: {folder} on {platform.node()} is not that of the machine "
                    "of the command; all machines need a shared filesystem"
                )
        os.chdir(self.folder)
        if self.cache is not None:
            os.environ["MABE_CACHE"] = self.cache


@dataclass(frozen=True, slots=True)
class _Job:
    """The work that is done for every task."""

    work: Callable[[Any, Any], Any]
    shared: Any
    environment: _CommandEnvironment


@dataclass(frozen=True, slots=True)
class _Failed:
    """A task that ended with an error for people, or was stopped."""

    error: Exception


def _do_there(job: list[Any], task: Any) -> Any:
    """Do one task in a worker. Our own errors are results: Ray would wrap them."""
    try:
        found = _fetch(job[0])
        return found.work(found.shared, task)
    except (MabeError, StopRequested) as error:
        return _Failed(error)


@functools.lru_cache(maxsize=1)  # a worker does many tasks of the same job
def _fetch(job: Any) -> _Job:
    found: _Job = import_ray().get(job)
    found.environment.enter()
    return found


def _result(ray: Any, done: Any) -> Any:
    """Return the result of a task, or raise its error."""
    try:
        result = ray.get(done)
    except ray.exceptions.RayTaskError:
        raise  # a bug: with its traceback, from the worker
    except ray.exceptions.RayError as error:
        reason = " ".join(str(error).split())[:300]
        raise RunError(
            "--ray: a worker died repeatedly, perhaps for lack of memory "
            f"({reason}); finished parts are kept: try again, with more "
            "--cpus-per-task, so that fewer tasks run at once"
        ) from error
    if isinstance(result, _Failed):
        raise result.error
    return result


def _stop(ray: Any, waiting: list[Any]) -> None:
    """Ask workers to stop, and wait until they have saved their state."""
    if not waiting:
        return
    for task in waiting:
        ray.cancel(task)
    ray.wait(waiting, num_returns=len(waiting), timeout=_STOP_S)
