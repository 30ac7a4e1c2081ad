"""Texts in the cells of CSV files, which spreadsheet programs may take for formulas.

A cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return is
computed when the file is opened, and may start programs. Names from data that begin so
are written behind an apostrophe, which makes them text, and read without it; numbers
such as ``-1`` are harmless and stay as they are. A name that begins with apostrophes
and such a character gets one more, so that every name comes back as it was.
"""

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r]")


_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")


def cell_of(text: str) -> str:
    """Return a name as it is written into a cell."""
    is_formula = _FORMULA.match(text) and not _NUMBER.fullmatch(text)
    return f"'{text}" if is_formula else text


def text_of(cell: str) -> str:
    """Return the name that a cell was written for."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
