"""Many tasks, all alike: done here, or in worker processes of this machine.

An *executor* does one piece of work for every task and yields what each came to, as
they come. Work is a function of a module, ``work(shared, task)``: what all tasks share
is sent to each worker once. Shared things, tasks and results are pickled on the way.

A task may be done twice (a worker dies, and another does it again), even by two at once
for a while. So work writes whole files only, the same ones each time.
`mabe.ray_cluster` is the executor for more than one machine.

Worker processes that end with their parent, however it ends.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from mabe.errors import RunError, StopRequested

Shared = TypeVar("Shared")


Task = TypeVar("Task")


Result = TypeVar("Result")


STOPPED = (
    "stopped; what is done is kept, the same command goes on (`mabe train` with "
    "--resume)"
)


@runtime_checkable
class Executor(Protocol):
    """Does the same work for many tasks."""

    @property
    def threads(self) -> int | None:
        """Threads that a task's arithmetic may use; None: as many as it likes."""

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
        """Yield the place of each task that is done, and what it came to.

        `folders` are written to by the work and exist: all workers have to see them.
        `wants_gpu` tells which tasks compute on a GPU where there is one (none by
        default). Work that `hears_interrupts` ends by itself, with `StopRequested`,
        when it gets Ctrl-C; other work is finished first. Raises what the first task
        that fails raises, and `StopRequested` after Ctrl-C.
        """


@dataclass(frozen=True, slots=True)
class Processes:
    """Processes of this machine; with one worker, all is done in the one at hand.

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
            yield from self._run_in_pool(work, shared, tasks, hears_interrupts)
            return
        for place, task in enumerate(tasks):
            yield place, work(shared, task)

    def _run_in_pool(
        self,
        work: Callable[[Shared, Task], Result],
        shared: Shared,
        tasks: Sequence[Task],
        hears_interrupts: bool,
    ) -> Generator[tuple[int, Result], None, None]:
        # Spawned everywhere, as on Windows: nothing is inherited by accident.
        pool = ProcessPoolExecutor(
            max(1, min(self.workers, len(tasks))),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(shared, hears_interrupts),
        )
        try:
            waiting = {
                pool.submit(_do, work, task): place for place, task in enumerate(tasks)
            }
            for future in as_completed(waiting):
                yield waiting.pop(future), future.result()
        except BrokenProcessPool as error:
            raise RunError(
                "a worker process ended early, perhaps for want of memory: try again "
                "with --workers 1, what is done is kept. (In a script of your own, "
                'call it under `if __name__ == "__main__":`.)'
            ) from error
        except KeyboardInterrupt:
            raise StopRequested(STOPPED) from None
        finally:
            # What is in hand is finished, the rest left for next time.
            pool.shutdown(cancel_futures=True)


HERE = Processes()
"""One task after the other, in this process."""


_shared: list[Any] = []
"""In a worker: what all tasks share."""


_stopped: list[bool] = []
"""In a worker: whether somebody asked it to stop; it then takes up no other task."""


def _start_worker(shared: Any, hears_interrupts: bool) -> None:
    """Keep what tasks share, and end when the parent does."""
    _shared.append(shared)
    if not hears_interrupts:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def _do(work: Callable[[Any, Task], Result], task: Task) -> Result:
    if _stopped:
        raise StopRequested("stopped before it began")
    try:
        return work(_shared[0], task)
    except (StopRequested, KeyboardInterrupt) as stop:
        _stopped.append(True)
        raise StopRequested(str(stop) or STOPPED) from None


def end_with_parent() -> None:
    """Watch the parent process from a thread, and leave when it is gone."""

    def watch() -> None:
        if (parent := multiprocessing.parent_process()) is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
