"""Executors: the same work for many tasks, here or in worker processes.

An *executor* does one piece of work for every task and yields each result as it is
ready. Work is a function of a module, ``work(shared, task)``: what all tasks share is
sent to each worker once. Shared values, tasks and results are pickled on the way.

A task may be done twice (a worker dies, and another repeats it), even by two workers at
once for a while. So work writes whole files only, the same ones each time.
`mabe.runtime.ray_executor` is the executor for more than one machine.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor as Pool
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import BaseContext
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, TypeVar, runtime_checkable

from mabe.errors import RunError, StopRequested
from mabe.runtime.stop_signals import handling_stops
from mabe.runtime.threads import usable_cores

Shared = TypeVar("Shared")
Task = TypeVar("Task")
Result = TypeVar("Result")

STOPPED = (
    "stopped; files that were finished are kept; run the same command again "
    "(`mabe train` with --resume)"
)
POOL_PAYS_S = 3.0
"""Work that takes one process longer than this is spread over several."""


@runtime_checkable
class Executor(Protocol):
    """Does the same work for many tasks."""

    @property
    def threads(self) -> int | None:
        """Threads that a task's arithmetic may use; None: all cores."""

    @property
    def patience_s(self) -> float:
        """How long a task should wait for an earlier attempt at it to end."""

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
        """Yield the index of each finished task, and its result.

        `folders` are written to by the work and exist: all workers need access to them.
        `wants_gpu` returns which tasks compute on a GPU where there is one (none by
        default). Work that `hears_interrupts` ends by itself, with `StopRequested`,
        when it gets Ctrl-C; other work is finished first. Raises what the first task
        that fails raises, and `StopRequested` after Ctrl-C.
        """


@dataclass(frozen=True, slots=True)
class Processes:
    """Processes of this machine; one worker means this process.

    Several have one thread each, so results do not depend on how many they are.
    """

    workers: int = 1
    patience_s: float = 0.0

    @property
    def threads(self) -> int | None:
        """See `Executor.threads`."""
        return 1 if self.workers > 1 else None

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
        """See `Executor.run`; the processes of one machine share folders and GPU."""
        if self.workers > 1:
            yield from _run_in_pool(self.workers, work, shared, tasks, hears_interrupts)
            return
        for index, task in enumerate(tasks):
            yield index, work(shared, task)


@dataclass(frozen=True, slots=True)
class Threads:
    """Threads of this process, which start at once, where processes take seconds.

    For work that mostly decodes, hashes and computes with arrays: other Python code
    is done by one thread at a time, so more than a few are of no use.
    """

    workers: int = 1
    patience_s: float = 0.0

    @property
    def threads(self) -> int | None:
        """See `Executor.threads`."""
        return 1 if self.workers > 1 else None

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
        """See `Executor.run`; work hears no interrupts."""
        pool = ThreadPoolExecutor(self.workers)
        yield from _results_of(pool, partial(work, shared), tasks)


@dataclass(frozen=True, slots=True)
class SpreadTasks:
    """Tasks of one thread each, spread over processes where that saves time.

    Tasks are done and timed in this process, until the others would take longer than
    `POOL_PAYS_S`; then these are done by `workers` processes. Every task has one thread
    in either case, so results do not depend on the choice.
    """

    workers: int
    patience_s: float = 0.0

    @property
    def threads(self) -> int | None:
        """See `Executor.threads`."""
        return 1

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
        """See `Executor.run`."""
        done, seconds = 0, 0.0
        for index, task in enumerate(tasks):
            began = time.monotonic()
            try:
                result = work(shared, task)
            except KeyboardInterrupt:
                raise StopRequested(STOPPED) from None
            seconds += time.monotonic() - began
            yield index, result
            done = index + 1
            left = len(tasks) - done
            if left > 1 and left * seconds / done > POOL_PAYS_S:
                break
        if rest := tasks[done:]:
            with closing(
                _run_in_pool(self.workers, work, shared, rest, hears_interrupts)
            ) as results:
                for index, result in results:
                    yield done + index, result


def in_order(
    results: Generator[tuple[int, Result], None, None],
) -> Generator[Result, None, None]:
    """Yield results in the order of their tasks, each as soon as it can be.

    Closing this generator stops the executor.
    """
    waiting: dict[int, Result] = {}
    following = 0
    with closing(results):
        for index, result in results:
            waiting[index] = result
            while following in waiting:
                yield waiting.pop(following)
                following += 1


HERE = Processes()
"""One task after the other, in this process, with all cores."""


def usual_executor(tasks: int, *, on_cpu: bool) -> Executor:
    """Return the executor for so many tasks where the user has not chosen one.

    Several tasks on a CPU get a thread each; a single one, or a GPU, this process.
    """
    cores = usable_cores()
    return SpreadTasks(cores) if tasks > 1 and on_cpu and cores > 1 else HERE


def prepare_workers() -> None:
    """Load torch for later workers, beside whatever this process does meanwhile.

    Call it early in a command that may need workers; on Linux they are then ready at
    once. Elsewhere, and with one core, it does nothing.
    """
    if _forks_from_server() and usable_cores() > 1:
        _worker_context()
        from multiprocessing import forkserver

        forkserver.ensure_running()


def _forks_from_server() -> bool:
    return sys.platform == "linux"


def _worker_context() -> BaseContext:
    """Return how workers are started: without the state of this process.

    On Linux they are forked from a server process that has imported torch and done
    nothing else, which takes milliseconds; elsewhere they start anew.
    """
    if not _forks_from_server():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mabe", "torch"])
    return context


MAIN_GUARD = '`if __name__ == "__main__":`'
"""What a script needs around calls that start workers, since they import it again."""


def is_importing_main() -> bool:
    """Return whether this is a worker that still imports the script that started it.

    What a script does without a guard, its workers do again. They may start no workers,
    and where they wait for a lock of their parent, both wait for ever.
    """
    return getattr(multiprocessing.current_process(), "_inheriting", False)


def _run_in_pool(
    workers: int,
    work: Callable[[Shared, Task], Result],
    shared: Shared,
    tasks: Sequence[Task],
    hears_interrupts: bool,
) -> Generator[tuple[int, Result], None, None]:
    pool = ProcessPoolExecutor(
        max(1, min(workers, len(tasks))),
        mp_context=_worker_context(),
        initializer=_start_worker,
        initargs=(shared, hears_interrupts, dict(os.environ)),
    )
    try:
        yield from _results_of(pool, partial(_do, work), tasks)
    except BrokenProcessPool as error:
        raise RunError(
            "a worker process ended early, perhaps for lack of memory: close other "
            "programs, and give fewer recordings at a time or, where the command has "
            "it, --workers 1. (In a script of your own, call it under "
            f"{MAIN_GUARD}.)"
        ) from error


def _results_of(
    pool: Pool, work: Callable[[Task], Result], tasks: Sequence[Task]
) -> Generator[tuple[int, Result], None, None]:
    """Yield the index of each task that a pool has finished, and its result."""
    try:
        with handling_stops(_stop_workers):
            waiting = {pool.submit(work, task): at for at, task in enumerate(tasks)}
            for future in as_completed(waiting):
                yield waiting.pop(future), future.result()
    except KeyboardInterrupt:
        raise StopRequested(STOPPED) from None
    finally:
        # Tasks that run are finished, the others left for next time.
        pool.shutdown(cancel_futures=True)


def _stop_workers(number: int, _frame: FrameType | None) -> None:
    """Raise `KeyboardInterrupt`; pass on a signal that came to this process alone.

    Ctrl-C goes to all processes of a terminal.
    """
    if number != signal.SIGINT:
        for worker in multiprocessing.active_children():
            worker.terminate()
    raise KeyboardInterrupt


_shared: list[Any] = []
"""In a worker: what all tasks share."""
_stopped: list[bool] = []
"""In a worker: whether somebody asked it to stop; it then starts no other task."""


def _start_worker(
    shared: Any, hears_interrupts: bool, environment: dict[str, str]
) -> None:
    """Keep what tasks share, take the environment, and end when the parent does.

    The server that forks workers may have started before a variable was set.
    """
    os.environ.clear()
    os.environ.update(environment)
    _shared.append(shared)
    if not hears_interrupts:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()


def _end_with_parent() -> None:
    """Watch the parent process from a thread, and end this one when it is gone."""

    def watch() -> None:
        if (parent := multiprocessing.parent_process()) is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _do(work: Callable[[Any, Task], Result], task: Task) -> Result:
    if _stopped:
        raise StopRequested("stopped before it began")
    try:
        return work(_shared[0], task)
    except (StopRequested, KeyboardInterrupt) as stop:
        _stopped.append(True)
        raise StopRequested(str(stop) or STOPPED) from None
