"""How the processes of a run agree; nothing happens where there is one alone.

Agreements are about numbers in the host's memory and go over its network (gloo), so no
GPU is waited for; sums of tensors on a GPU stay there (NCCL). Every process has to come
to each of these calls, in the same order.
"""

import atexit
from collections.abc import Callable
from typing import TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed

from mabe.errors import RunError

T = TypeVar("T")


def lead(fabric: Fabric, work: Callable[[], T]) -> T:
    """Let the first process do something, and return to all what it found.

    Where it fails it raises its own error, and the others one that points to it.
    """
    if fabric.world_size == 1:
        return work()
    found: T | None = None
    error: BaseException | None = None
    if fabric.is_global_zero:
        try:
            found = work()
        except BaseException as raised:  # the others must not wait for ever
            error = raised
    found, failed = fabric.broadcast((found, error is not None))
    if error:
        raise error
    if failed:
        raise RunError("stopped, because the first process has; see what it says")
    return found  # type: ignore[return-value]  # whatever `work` returns


def any_of(fabric: Fabric, here: bool) -> bool:
    """Tell whether it is so in some process."""
    return _agree(fabric, int(here), distributed.ReduceOp.MAX) > 0


def smallest(fabric: Fabric, here: int) -> int:
    """Return the smallest of the processes' numbers."""
    return _agree(fabric, here, distributed.ReduceOp.MIN)


def wait_for_all(fabric: Fabric) -> None:
    """Return when every process has come here."""
    any_of(fabric, False)


def part_in_peace(fabric: Fabric) -> None:
    """Let go of the others when this program ends, after all has gone well.

    Not after an error: who lets go may first have to wait for the others.
    """
    if fabric.world_size > 1:
        atexit.register(_let_go)


def _let_go() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def sum_over_all(fabric: Fabric, here: Tensor) -> Tensor:
    """Return the sum of the processes' tensors, on the device."""
    if fabric.world_size > 1:
        # Not Fabric's own, which first waits for the device.
        here = here.clone()
        distributed.all_reduce(here)
    return here


def _agree(fabric: Fabric, here: int, how: "distributed.ReduceOp.RedOpType") -> int:
    if fabric.world_size == 1:
        return here
    number = torch.tensor(here)
    distributed.all_reduce(number, op=how)
    return int(number)
