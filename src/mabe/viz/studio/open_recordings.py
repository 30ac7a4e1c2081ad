"""Recordings whose poses are shown: each at its own rate, a few of them open."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from mabe.data.store import PoseStore
from mabe.recording import VideoInfo
from mabe.viz.review.session import KEPT_OPEN
from mabe.viz.studio.shown_poses import shown_poses


@dataclass(slots=True)
class OpenRecordings:
    """The open recordings of a data set, by their names; for several threads."""

    data: Path
    _open: "OrderedDict[str, PoseStore]" = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _opening: dict[str, threading.Lock] = field(default_factory=dict)
    """While one recording is read, the others can be opened."""

    def open(self, info: VideoInfo) -> PoseStore:
        """Return a recording at its own rate; raises `DataError` for a broken one."""
        with self._lock:
            opening = self._opening.setdefault(info.name, threading.Lock())
        with opening:
            with self._lock:
                if info.name in self._open:
                    self._open.move_to_end(info.name)
                    return self._open[info.name]
            store = shown_poses(self.data, info)
            with self._lock:
                self._open[info.name] = store
                while len(self._open) > KEPT_OPEN:
                    self._open.popitem(last=False)
            return store

    def clear(self) -> None:
        """Forget what is open, as it was standardized anew."""
        with self._lock:
            self._open.clear()
