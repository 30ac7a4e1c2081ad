"""Pictures of predictions for notebooks: an ethogram as one SVG, without scripts.

A row for each agent, target and action that occurs; time runs from left to right.
"""

from collections.abc import Sequence

from markupsafe import escape

from mabe.bouts import Bout, RecordingBouts
from mabe.runtime.console import count
from mabe.viz.colours import NOTHING, colours_of

_WIDTH, _ROW, _NAMES = 900, 18, 240
"""Pixels: width of the time axis, height of a row, width of the names."""


def ethogram_svg(recording: RecordingBouts, actions: Sequence[str]) -> str:
    """Return the bouts of a recording as SVG; each bout has a tooltip.

    `actions` are all that could have been predicted; they decide the colours.
    """
    rows = sorted({_row_of(bout, recording) for bout in recording.bouts})
    colours = dict(zip(actions, colours_of(actions, has_background=False), strict=True))
    scale = _WIDTH / max(1, recording.length)
    height = _ROW * max(1, len(rows)) + 20
    names = "".join(
        f'<text x="{_NAMES - 6}" y="{_ROW * number + 13}" text-anchor="end">'
        f"{escape(name)}</text>"
        for number, name in enumerate(rows)
    )
    bars = "".join(
        f'<rect x="{_NAMES + bout.start * scale:.2f}" '
        f'y="{_ROW * rows.index(_row_of(bout, recording)) + 3}" '
        f'width="{max(0.5, (bout.stop - bout.start) * scale):.2f}" height="12" '
        f'fill="{colours.get(bout.action, NOTHING).on_light}">'
        f"<title>{escape(_tooltip(bout, recording))}</title></rect>"
        for bout in recording.bouts
    )
    seconds = recording.length / recording.fps
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_NAMES + _WIDTH}" '
        f'height="{height}" font-family="sans-serif" font-size="11" fill="#555" '
        f'role="img" aria-label="{count(len(recording.bouts), "predicted bout")}">'
        f'{names}<line x1="{_NAMES}" x2="{_NAMES + _WIDTH}" y1="{height - 16}" '
        f'y2="{height - 16}" stroke="#999"/><text x="{_NAMES}" y="{height - 4}">0 s'
        f'</text><text x="{_NAMES + _WIDTH}" y="{height - 4}" text-anchor="end">'
        f"{seconds:.1f} s</text>{bars}</svg>"
    )


def _row_of(bout: Bout, recording: RecordingBouts) -> str:
    agent, target = recording.name_of(bout.agent), recording.target_name(bout)
    return f"{agent} → {target}: {bout.action}" if agent else bout.action


def _tooltip(bout: Bout, recording: RecordingBouts) -> str:
    start, stop = bout.start / recording.fps, bout.stop / recording.fps
    return f"{_row_of(bout, recording)}, {start:.2f} to {stop:.2f} s"
