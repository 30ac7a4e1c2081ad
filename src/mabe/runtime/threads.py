"""How threads of numerical libraries wait for each other, and how many cores there are.

torch and LightGBM share their work between OpenMP threads. A thread that has finished
its part spins until the others have: with another job on the machine, the threads then
mostly wait for a core that a spinning thread holds, and a run takes ten times as long.
A short spin costs nothing on an idle machine and at most doubles the time on a busy one
(`benchmarks/busy_machine.py` measures it).

OpenMP reads these variables when it is loaded, so they are set by `mabe/__init__.py`,
before anything imports torch.
"""

import os
from collections.abc import MutableMapping

SHORT_SPIN = {
    "GOMP_SPINCOUNT": "1000",  # GNU's OpenMP: torch and LightGBM on Linux
    "KMP_BLOCKTIME": "1",  # milliseconds; LLVM's and Intel's: macOS, Windows, MKL
}
USER_SETTINGS = ("OMP_WAIT_POLICY", *SHORT_SPIN)
"""Where one of these is set, the user has decided."""


def spin_briefly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let OpenMP threads spin briefly, unless the user has set how they wait."""
    if not any(name in environment for name in USER_SETTINGS):
        environment.update(SHORT_SPIN)


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
