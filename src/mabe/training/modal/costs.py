"""What a rented machine costs: list prices, and estimates made from them.

All of it is US dollars before tax and credits. An estimate is no bill: the time that a
machine needs to start is not in it, and prices change.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from mabe.config import RunConfig
from mabe.errors import ConfigError
from mabe.training.history import Epoch

PRICES_OF = "2026-07-01"
"""The day of the prices below."""


# Source: https://modal.com/pricing, per second, in the default region.
_GPU_USD_PER_S = {
    "T4": 0.000164,
    "L4": 0.000222,
    "A10": 0.000306,
    "L40S": 0.000542,
    "A100-40GB": 0.000583,
    "A100-80GB": 0.000694,
    "RTX-PRO-6000": 0.000842,
    "H100": 0.001097,
    "H200": 0.001261,
    "B200": 0.001736,
}


_CORE_USD_PER_S = 0.0000131


_GIB_USD_PER_S = 0.00000222


_OTHER_NAMES = {"A10G": "A10", "A100": "A100-40GB"}


# What the V2 recipe planned for 100 epochs of the whole challenge on an A10.
_PLANNED_HOURS = 12


_PLANNED_EPOCHS = 100


_PLANNED_VIDEOS = 847


# Cards with half of an A10's memory bandwidth (600 GB/s), which a recurrent network
# of this size waits for. For faster cards the plan stays as the upper bound it is.
_TIMES_SLOWER = {"T4": 2, "L4": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is rented: one GPU, and what stands beside it."""

    gpu: str
    cores: float
    memory_gib: float

    def __post_init__(self) -> None:
        if self.gpu not in _GPU_USD_PER_S:
            raise ConfigError(f"--gpu {self.gpu}: {_known_gpus(self.gpu)}")

    @property
    def usd_per_hour(self) -> float:
        """The list price of all three together."""
        per_s = (
            _GPU_USD_PER_S[self.gpu]
            + self.cores * _CORE_USD_PER_S
            + self.memory_gib * _GIB_USD_PER_S
        )
        return 3600 * per_s


def find_gpu(wanted: str) -> str:
    """Return the name of a GPU at Modal.

    Raises `ConfigError` with the names there are; several GPUs are not for one run.
    """
    kind, _, count = wanted.upper().partition(":")
    if count not in ("", "1"):
        raise ConfigError(
            f"--gpu {wanted}: a run on Modal uses one GPU; try --gpu {kind}"
        )
    name = _OTHER_NAMES.get(kind, kind)
    if name not in _GPU_USD_PER_S:
        raise ConfigError(f"--gpu {wanted}: {_known_gpus(kind)}")
    return name


def longest_hours(config: RunConfig, machine: Machine) -> float:
    """Return how long a run may take, by what the V2 recipe planned.

    An upper bound for the V2 network and the challenge's data: runs stop early, and
    most cards are faster.
    """
    videos = min(config.max_sequences or _PLANNED_VIDEOS, _PLANNED_VIDEOS)
    share = config.epochs / _PLANNED_EPOCHS * videos / _PLANNED_VIDEOS
    return _PLANNED_HOURS * share * _TIMES_SLOWER.get(machine.gpu, 1)


def describe_price(config: RunConfig, machine: Machine) -> str:
    """Return what a run may cost, before it starts."""
    hours = longest_hours(config, machine)
    return (
        f"Cost (an estimate): {machine.gpu} with {machine.cores:g} cores and "
        f"{machine.memory_gib:g} GiB is ${machine.usd_per_hour:.2f} an hour (list "
        f"prices of {PRICES_OF}); by the V2 recipe's plan at most {show_hours(hours)}, "
        f"${hours * machine.usd_per_hour:.2f}. The log has an "
        "estimate after the first epoch."
    )


def describe_spent(seconds: float, usd: float) -> str:
    """Return what a run has cost."""
    return f"{show_hours(seconds / 3600)}, about ${usd:.2f}"


def describe_to_come(history: Sequence[Epoch], *, epochs: int, machine: Machine) -> str:
    """Say what all epochs that are left would cost, by the last five; or nothing."""
    left = epochs - len(history)
    if left <= 0 or not history:
        return ""
    recent = [epoch.seconds for epoch in history[-5:]]
    hours = left * sum(recent) / len(recent) / 3600
    usd = hours * machine.usd_per_hour
    return f"; at most {show_hours(hours)} and ${usd:.2f} to come"


def show_hours(hours: float) -> str:
    """Return hours; minutes or seconds where they are few."""
    if hours >= 1:
        return f"{hours:.1f} h"
    return f"{60 * hours:.0f} min" if 60 * hours >= 1 else f"{3600 * hours:.0f} s"


def _known_gpus(wanted: str) -> str:
    near = difflib.get_close_matches(wanted, _GPU_USD_PER_S, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"unknown; {hint}there are {', '.join(_GPU_USD_PER_S)}"
