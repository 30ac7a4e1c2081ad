import os
import signal

import pytest

from mabe.errors import DataError, RunError, StopRequested
from mabe.runtime.executors import HERE, Processes


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


@pytest.mark.parametrize("executor", [HERE, Processes(2)])
def test_the_error_of_a_task_is_raised_as_it_is(executor):
    with pytest.raises(DataError, match=r"^x\.parquet: broken$"):
        list(executor.run(divided, 7, [0]))
    with pytest.raises(StopRequested, match="saved"):
        list(executor.run(divided, 7, ["stop"]))


def test_a_worker_that_dies_is_told_with_what_to_do():
    with pytest.raises(RunError, match="try again with --workers 1"):
        list(Processes(2).run(divided, 7, ["die"]))


def test_several_workers_have_a_thread_each_and_one_as_many_as_it_likes():
    assert (HERE.threads, Processes(4).threads) == (None, 1)
