"""Learn from labelled pose tracks which animal does what to whom."""

__version__ = "0.1.0"
