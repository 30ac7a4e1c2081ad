"""Fabric as `mabe` sets it up: one process on a device, or one of a team.

Apart from `mabe.devices`, because Fabric takes 75 MB of memory that marking can spare.
"""

import inspect
import logging
from datetime import timedelta
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch.nn.parallel import DistributedDataParallel

from mabe.team import Team

_KEEP_BUFFERS: dict[str, Any] = {
    "forward_sync_buffers"
    if "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
    else "broadcast_buffers": False
}
"""Buffers hold what is usual in the data, and do not change: no step sends them about.
torch 2.13 has renamed the setting."""
_PATIENCE = timedelta(hours=2)
"""How long processes wait for the first, which prepares data and scores."""
_PRECISIONS: dict[str, Literal["bf16-mixed", "16-mixed"] | None] = {
    "32": None,
    "bf16": "bf16-mixed",
    "16": "16-mixed",
}


class KeepInputs(MixedPrecision):
    """Mixed precision that leaves the model's input as it is.

    Fabric would round poses to 16 bits, a millimetre in 25 cm, before speeds are
    taken from them. Features stay in 32 bits; the network's products are rounded.
    """

    def convert_input(self, data: Any) -> Any:
        """Return the data unchanged."""
        return data


def make_fabric(
    device: torch.device, precision: str, team: Team | None = None
) -> Fabric:
    """Return the Fabric that runs one process on the device, or one of a team.

    `precision` is 32, bf16 or 16. With a team it returns when all processes are there.
    """
    kind = _PRECISIONS[precision]
    # It would advise to round all products of 32 bits, of places in cm too.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True  # the same seed, the same run
    plugins: list[Any] = [KeepInputs(kind, device.type)] if kind else []
    if not team or team.size == 1:
        return Fabric(
            accelerator=device.type,
            devices=[device.index or 0] if device.type == "cuda" else 1,
            plugins=plugins,
        )
    strategy = DDPStrategy(
        # Numbers of the host go over gloo, so that no GPU has to be waited for.
        process_group_backend="cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        timeout=_PATIENCE,
        **_KEEP_BUFFERS,
    )
    is_torchrun = team.launcher == "torchrun"
    fabric = Fabric(
        accelerator=device.type,
        strategy=strategy,
        devices=team.local_size,
        num_nodes=team.machines,
        plugins=[
            *plugins,
            TorchElasticEnvironment() if is_torchrun else SLURMEnvironment(),
        ],
    )
    fabric.launch()
    return fabric
