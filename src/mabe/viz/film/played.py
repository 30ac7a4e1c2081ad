"""Whether browsers play a film; by its codec where PyAV is installed."""

import functools
from importlib.util import find_spec
from pathlib import Path

from mabe.io.film_files import PLAYED_ENDINGS


def is_played(film: Path) -> bool:
    """Return whether browsers play a film.

    Without PyAV its ending decides: most films of these endings are H.264 or WebM.
    """
    if film.suffix.lower() not in PLAYED_ENDINGS:
        return False
    if not find_spec("av"):
        return True
    try:
        changed = film.stat().st_mtime_ns
    except OSError:  # removed while the page is open
        return False
    return _has_played_codec(film, changed)


@functools.lru_cache(maxsize=4096)
def _has_played_codec(film: Path, _changed_ns: int) -> bool:
    from mabe.viz.film.film_reader import plays

    return plays(film)
