"""Signals that ask a program to stop: Ctrl-C, SIGTERM, and SIGHUP.

A batch system sends SIGTERM before it ends a job; SIGHUP comes when a terminal closes
or an ssh connection ends. A program that was started with `nohup` ignores the latter,
which stays so.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], None]


@contextmanager
def handling_stops(handler: Handler) -> Iterator[None]:
    """Let a handler take the signals that ask to stop, within the context.

    It has no effect outside the main thread, which alone may handle signals.
    """
    try:
        before = {number: signal.signal(number, handler) for number in _stop_signals()}
    except ValueError:
        before = {}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def noting_stops() -> Iterator[Callable[[], bool]]:
    """Note that a stop was asked for, so that a loop stops between its steps.

    Provides a function that returns whether it was. A second Ctrl-C does not wait; the
    other signals often come in pairs, as when a session ends.
    """
    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)

    with handling_stops(note):
        yield lambda: bool(asked)


def _stop_signals() -> list[signal.Signals]:
    stops = [signal.SIGINT, signal.SIGTERM]
    # Windows has no SIGHUP.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        stops.append(signal.SIGHUP)
    return stops
