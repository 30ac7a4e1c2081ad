"""Learn from labelled pose tracks which animal does what to whom."""

from mabe.runtime.threads import spin_briefly

__version__ = "0.2.0"

spin_briefly()
