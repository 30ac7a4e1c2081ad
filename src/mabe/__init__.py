"""Learn from labelled pose tracks which animal does what to whom.

What `__all__` lists is public; `docs/python.md` explains it. Each name is imported when
it is first used, so that `import mabe` takes milliseconds and loads no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from mabe.runtime.threads import spin_briefly

if TYPE_CHECKING:
    from mabe.api import (
        Evaluation,
        Measures,
        Model,
        Poses,
        Prediction,
        Run,
        evaluate,
        load,
        read_poses,
        summary,
        train,
    )
    from mabe.bouts import Bout
    from mabe.errors import MabeError
    from mabe.metrics import mabe_f_score

__version__ = "0.3.0"

__all__ = [
    "Bout",
    "Evaluation",
    "MabeError",
    "Measures",
    "Model",
    "Poses",
    "Prediction",
    "Run",
    "__version__",
    "evaluate",
    "load",
    "mabe_f_score",
    "read_poses",
    "summary",
    "train",
]

_MODULES = {
    "Bout": "mabe.bouts",
    "MabeError": "mabe.errors",
    "mabe_f_score": "mabe.metrics",
}
"""Where public names are defined; all others in `mabe.api`."""

spin_briefly()


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'mabe' has no attribute {name!r}")
    module = importlib.import_module(_MODULES.get(name, "mabe.api"))
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
