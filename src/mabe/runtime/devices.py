"""Devices: which one a run computes on, its precision, and whether torch can use it."""

import platform
from collections.abc import Sequence

import torch

from mabe.errors import ConfigError, RunError
from mabe.runtime.console import count
from mabe.runtime.launch_environment import ProcessGroup

MEND_KERNELS = (
    "pip install uv && uv pip install --reinstall torch --torch-backend=cu128"
)
"""Installs a torch build for CUDA 12.8; older ones have no kernels for an RTX 5090."""


def choose_device(wanted: str, group: ProcessGroup | None = None) -> torch.device:
    """Return the device that `auto`, `cpu`, `cuda`, `cuda:1` or `mps` stands for.

    Each of several processes gets a GPU of its own. Raises `ConfigError` for a device
    that does not exist, and `RunError` for a GPU that torch has no kernels for.
    """
    if wanted == "auto":
        wanted = _best_device()
    if group and group.size > 1:
        wanted = _of_process(wanted, group)
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise ConfigError(
            f"device: '{wanted}' is none of auto, cpu, cuda, cuda:N, mps"
        ) from None
    if device.type == "cuda":
        _check_cuda(device)
    elif device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device: mps is not available here; try device: auto")
    elif device.type not in ("cpu", "mps"):
        raise ConfigError(f"device: '{wanted}' is none of auto, cpu, cuda, cuda:N, mps")
    return device


def has_kernels(capability: tuple[int, int], built_for: Sequence[str]) -> bool:
    """Return whether a build for the given architectures runs on a GPU.

    Binary code (``sm_86``) runs on cards of the same major version and the same or a
    higher minor one; portable code (``compute_90``) on any newer card. Source: NVIDIA,
    CUDA C++ Programming Guide, "Binary compatibility" and "PTX compatibility". A build
    for GPUs of other makers (ROCm) is not checked.
    """
    for name in built_for:
        kind, _, digits = name.partition("_")
        digits = digits.rstrip("af")
        if not digits.isdecimal():  # AMD's names have another form
            return True
        major, minor = int(digits[:-1]), int(digits[-1])
        if kind == "compute" and capability >= (major, minor):
            return True
        if kind == "sm" and capability[0] == major and capability[1] >= minor:
            return True
    return False


def describe_device(device: torch.device) -> list[str]:
    """Return lines for people about the device."""
    lines = [f"Device: {device}"]
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        lines += [f"GPU: {card.name}", f"VRAM: {card.total_memory / 2**30:.1f} GB"]
    else:
        name = platform.processor() or platform.machine()
        lines += [f"Processor: {name}, {count(torch.get_num_threads(), 'thread')}"]
    return lines


def _of_process(wanted: str, group: ProcessGroup) -> str:
    """Return the device of one of several processes."""
    if wanted == "cpu":
        return wanted
    if wanted != "cuda":
        raise ConfigError(
            f"device: {wanted} cannot be shared by the {group.size} processes that "
            f"{group.launcher} has started; use cuda (a GPU for each) or cpu"
        )
    seen = torch.cuda.device_count()
    if 0 < seen < group.local_size:
        raise ConfigError(
            f"{group.local_size} processes on this machine, but {seen} visible GPU(s): "
            "start one process for each GPU (with SLURM, ask for --gres=gpu:N "
            "instead of --gpus-per-task, so that each process can use all)"
        )
    return f"cuda:{group.local_rank}"


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _check_cuda(device: torch.device) -> None:
    if not torch.cuda.is_available():
        built = torch.version.cuda or "no CUDA (a CPU build)"
        raise ConfigError(
            f"device: {device} is not available; torch {torch.__version__} is built "
            f"for {built}. Try device: auto, or install a CUDA build: {MEND_KERNELS}"
        )
    if (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device: {device} is not there; this machine has "
            f"{torch.cuda.device_count()} GPU(s), counted from 0"
        )
    capability = torch.cuda.get_device_capability(device)
    built_for = torch.cuda.get_arch_list()
    if not has_kernels(capability, built_for):
        raise RunError(missing_kernels(torch.cuda.get_device_name(device), built_for))


def missing_kernels(card: str, built_for: Sequence[str]) -> str:
    """Return the message for a GPU that this torch build cannot use."""
    return (
        f"{card}: torch {torch.__version__} has no kernels for this card (it is built "
        f"for {', '.join(built_for)}). Install one that has: {MEND_KERNELS}"
    )
