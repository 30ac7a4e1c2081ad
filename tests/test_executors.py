import functools
import os
import signal
import subprocess
import sys
import time

import pytest

from mabe.errors import DataError, RunError, StopRequested
from mabe.runtime.executors import (
    HERE,
    Processes,
    SpreadTasks,
    Threads,
    usual_executor,
)


def divided(shared, task):
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "stop":
        raise StopRequested("saved")
    if task == 0:
        raise DataError("x.parquet: broken")
    return divmod(task, shared)


def test_tasks_are_done_in_order_here_and_all_the_same_in_processes():
    assert list(HERE.run(divided, 7, [30, 15])) == [(0, (4, 2)), (1, (2, 1))]
    assert sorted(Processes(2).run(divided, 7, [30, 15])) == [
        (0, (4, 2)),
        (1, (2, 1)),
    ]
    assert list(Processes(2).run(divided, 7, [])) == []
    assert sorted(Threads(2).run(divided, 7, [30, 15])) == [(0, (4, 2)), (1, (2, 1))]
    assert list(Threads(2).run(divided, 7, [])) == []


@pytest.mark.parametrize("executor", [HERE, Processes(2), Threads(2)])
def test_the_error_of_a_task_is_raised_as_it_is(executor):
    with pytest.raises(DataError, match=r"^x\.parquet: broken$"):
        list(executor.run(divided, 7, [0]))
    with pytest.raises(StopRequested, match="saved"):
        list(executor.run(divided, 7, ["stop"]))


def test_a_worker_that_dies_is_told_with_what_to_do():
    with pytest.raises(RunError, match="fewer recordings at a time"):
        list(Processes(2).run(divided, 7, ["die"]))


def test_several_workers_have_a_thread_each_and_one_as_many_as_it_likes():
    assert (HERE.threads, Processes(4).threads, Threads(2).threads) == (None, 1, 1)


def process_after(seconds, task):
    time.sleep(seconds)
    return os.getpid()


def test_short_work_stays_in_this_process():
    done = list(SpreadTasks(2).run(process_after, 0.001, range(20)))
    assert done == [(index, os.getpid()) for index in range(20)]


def test_long_work_is_spread_over_other_processes_after_the_first_task():
    done = dict(SpreadTasks(2).run(process_after, 0.3, range(16)))
    assert sorted(done) == list(range(16))
    assert done[0] == os.getpid()
    assert os.getpid() not in {done[index] for index in range(1, 16)}


def interrupted(shared, task):
    raise KeyboardInterrupt


def test_ctrl_c_during_the_first_tasks_is_a_request_to_stop():
    with pytest.raises(StopRequested):
        list(SpreadTasks(2).run(interrupted, None, range(3)))


def test_spread_tasks_have_one_thread_wherever_they_run():
    assert SpreadTasks(2).threads == 1


@pytest.mark.parametrize(("tasks", "on_cpu"), [(1, True), (5, False)])
def test_a_single_task_and_a_gpu_use_this_process(tasks, on_cpu):
    assert usual_executor(tasks, on_cpu=on_cpu) is HERE


def variable(name, _task):
    return os.environ.get(name)


def test_workers_have_the_environment_of_the_moment(monkeypatch):
    assert dict(Processes(2).run(variable, "MABE_TEST", [0, 1])) == {0: None, 1: None}
    monkeypatch.setenv("MABE_TEST", "set later")
    assert dict(Processes(2).run(variable, "MABE_TEST", [0, 1])) == {
        0: "set later",
        1: "set later",
    }


TERMINATED = """
import os, signal, sys, threading, time
from pathlib import Path
from mabe.errors import StopRequested
from mabe.runtime.executors import Processes
from mabe.runtime.stop_signals import noting_stops

def work(folder, number):
    with noting_stops() as asked:
        (folder / f"begun{number}").touch()
        while not asked():
            time.sleep(0.01)
    (folder / f"saved{number}").touch()
    raise StopRequested("saved")

def terminate_when_begun(folder):
    while len(list(folder.glob("begun*"))) < 2:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.Signals[sys.argv[2]])

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    threading.Thread(target=terminate_when_begun, args=(folder,), daemon=True).start()
    try:
        list(Processes(2).run(work, folder, [1, 2], hears_interrupts=True))
    except StopRequested:
        print("stopped")
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_workers_save_when_their_parent_alone_is_asked_to_stop(tmp_path, name):
    script = tmp_path / "script.py"
    script.write_text(TERMINATED)
    words = [sys.executable, script, tmp_path, name]
    # Programs that `nohup` starts ignore SIGHUP, and so would this one.
    heard = functools.partial(signal.signal, signal.Signals[name], signal.SIG_DFL)
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=60, check=True, preexec_fn=heard
    )
    assert done.stdout == "stopped\n", done.stderr
    assert {path.name for path in tmp_path.glob("saved*")} == {"saved1", "saved2"}


IN_THREADS = """
import os, signal, sys, time
from pathlib import Path
from mabe.errors import StopRequested
from mabe.runtime.executors import Threads

def work(folder, number):
    (folder / f"begun{number}").touch()
    if number == 1:
        os.kill(os.getpid(), signal.Signals[sys.argv[2]])
    time.sleep(0.3)
    (folder / f"finished{number}").touch()

try:
    list(Threads(2).run(work, Path(sys.argv[1]), range(9)))
except StopRequested:
    print("stopped")
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_threads_that_are_stopped_finish_what_they_have_begun(tmp_path, name):
    script = tmp_path / "script.py"
    script.write_text(IN_THREADS)
    words = [sys.executable, script, tmp_path, name]
    heard = functools.partial(
        signal.signal,
        signal.Signals[name],
        signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL,
    )
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=60, check=True, preexec_fn=heard
    )
    assert done.stdout == "stopped\n", done.stderr
    begun, finished = (
        {path.name.removeprefix(state) for path in tmp_path.glob(f"{state}*")}
        for state in ("begun", "finished")
    )
    assert begun == finished
    assert len(finished) < 9
