"""Freed memory that a process keeps, instead of returning it to the operating system.

A training step needs the same tensors of megabytes again and again. GNU's C library
returns such memory when it is freed, and each of its pages costs an interrupt when it
is used again: a tenth of a step on a CPU.
"""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of the settings, as in malloc.h."""


_KEPT_BYTES = 2**31 - 1
"""Freed memory of fewer bytes is kept; the largest number that can be set."""


_MAPPED_BYTES = 256 << 20
"""Larger pieces are returned at once. Older versions of the library refuse so large a
number."""


_USUAL_MAPPED_BYTES = 32 << 20
"""What the library itself arrives at in a process that frees large pieces, and the most
that older versions accept; it keeps twice as many bytes."""


@contextmanager
def keeping_freed_memory(*, wanted: bool = True) -> Iterator[None]:
    """Keep freed memory within the context, if wanted.

    Without GNU's library nothing changes.
    """
    if not wanted or platform.libc_ver()[0] != "glibc":
        yield
        return
    library = ctypes.CDLL(None)
    # Any setting ends the library's own adaptation of both.
    if not library.mallopt(_MMAP_THRESHOLD, _MAPPED_BYTES):
        library.mallopt(_MMAP_THRESHOLD, _USUAL_MAPPED_BYTES)
    library.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
    try:
        yield
    finally:
        library.mallopt(_MMAP_THRESHOLD, _USUAL_MAPPED_BYTES)
        library.mallopt(_TRIM_THRESHOLD, 2 * _USUAL_MAPPED_BYTES)
        library.malloc_trim(0)
