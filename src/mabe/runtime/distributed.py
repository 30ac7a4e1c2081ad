"""Distributed training: Lightning Fabric's set-up, and calls between processes.

With a single process the calls return at once. Numbers in the host's memory are
exchanged over the hosts' network (gloo), so no GPU has to be waited for; sums of
tensors on a GPU stay there (NCCL). Every process has to make each of these calls, in
the same order. Only training imports this module: Fabric takes 75 MB of memory.
"""

import atexit
import inspect
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from mabe.errors import RunError
from mabe.runtime.launch_environment import ProcessGroup
from mabe.runtime.precision import MIXED_PRECISIONS, KeepInputs

_KEEP_BUFFERS: dict[str, Any] = {
    "forward_sync_buffers"
    if "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
    else "broadcast_buffers": False
}
"""Buffers hold scales of the data and do not change, so steps need not send them.
torch 2.13 has renamed the setting."""


_PATIENCE = timedelta(hours=2)
"""How long processes wait for the first one, which prepares data and scores."""


def make_fabric(
    device: torch.device, precision: str, group: ProcessGroup | None = None
) -> Fabric:
    """Return a Fabric for one process on the device, or for one of several.

    `precision` is 32, bf16 or 16. With several processes it returns when all have
    started.
    """
    kind = MIXED_PRECISIONS[precision]
    # It would advise to round all 32-bit products, also those of coordinates in cm.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True  # same seed, same run
    plugins: list[Any] = [KeepInputs(kind, device.type)] if kind else []
    if not group or group.size == 1:
        return Fabric(
            accelerator=device.type,
            devices=[device.index or 0] if device.type == "cuda" else 1,
            plugins=plugins,
        )
    strategy = DDPStrategy(
        # Numbers of the host go over gloo, so no GPU has to be waited for.
        process_group_backend="cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        timeout=_PATIENCE,
        **_KEEP_BUFFERS,
    )
    is_torchrun = group.launcher == "torchrun"
    fabric = Fabric(
        accelerator=device.type,
        strategy=strategy,
        devices=group.local_size,
        num_nodes=group.machines,
        plugins=[
            *plugins,
            TorchElasticEnvironment() if is_torchrun else SLURMEnvironment(),
        ],
    )
    fabric.launch()
    return fabric


T = TypeVar("T")


def in_first_process(fabric: Fabric, work: Callable[[], T]) -> T:
    """Run `work` in the first process, and return its result in all of them.

    Where it fails, the first process raises the error, and the others one that refers
    to it.
    """
    if fabric.world_size == 1:
        return work()
    found: T | None = None
    error: BaseException | None = None
    if fabric.is_global_zero:
        try:
            found = work()
        except BaseException as raised:  # the others must not wait forever
            error = raised
    found, failed = fabric.broadcast((found, error is not None))
    if error:
        raise error
    if failed:
        raise RunError("stopped because the first process failed; see its error")
    return found  # type: ignore[return-value]  # whatever `work` returns


def any_of(fabric: Fabric, here: bool) -> bool:
    """Return whether `here` is true in any process."""
    return _agree(fabric, int(here), distributed.ReduceOp.MAX) > 0


def smallest(fabric: Fabric, here: int) -> int:
    """Return the smallest of the processes' numbers."""
    return _agree(fabric, here, distributed.ReduceOp.MIN)


def wait_for_all(fabric: Fabric) -> None:
    """Return when every process has made this call."""
    any_of(fabric, False)


def leave_group(fabric: Fabric) -> None:
    """Leave the process group at the end of the program, after a successful run.

    Not after an error: leaving may have to wait for the other processes.
    """
    if fabric.world_size > 1:
        atexit.register(_leave_group)


def _leave_group() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def sum_over_all(fabric: Fabric, here: Tensor) -> Tensor:
    """Return the sum of the processes' tensors, on the device."""
    if fabric.world_size > 1:
        # Fabric's own reduction waits for the device first.
        here = here.clone()
        distributed.all_reduce(here)
    return here


def _agree(fabric: Fabric, here: int, how: "distributed.ReduceOp.RedOpType") -> int:
    if fabric.world_size == 1:
        return here
    number = torch.tensor(here)
    distributed.all_reduce(number, op=how)
    return int(number)
