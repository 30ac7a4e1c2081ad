"""Names of laboratories and recordings, which become names of files and folders.

Such names come from data that anybody may have written. They are checked where they
are read (`problem_with_name`), and every path under an output folder is made by
`path_under`, which refuses one that would lead out of it. The rules are the same on
every system, so that a folder can be copied from one to another.
"""

import re
import unicodedata
from pathlib import Path

from mabe.errors import OutputError

MOST_BYTES = 200
"""Of a name in UTF-8: file systems allow 255, of which endings and the names of
temporary files need some."""


_SHOWN = 60
"""Characters of a name in a message."""


_RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE
)
"""Names of devices on Windows, also with an ending."""


_DRIVE = re.compile(r"[A-Za-z]:")


_INVISIBLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories: control characters, line separators, and halves of characters,
which cannot be written to a file."""


_REORDERING = frozenset(
    map(chr, (0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
)
"""Characters that change the order in which text is shown."""


def problem_with_name(name: str) -> str | None:
    """Return why a name cannot be that of a file or folder; None where it can."""
    hidden = next((each for each in name if is_invisible(each)), "")
    size = len(name.encode(errors="replace"))
    problems = {
        "is empty or only dots": not name.strip(" ."),
        "has a path separator": "/" in name or "\\" in name,
        f"has the control character {hidden!a}": bool(hidden),
        "begins like a drive of Windows": bool(_DRIVE.match(name)),
        "is a device on Windows": bool(_RESERVED.fullmatch(name.strip(" "))),
        f"has {size} bytes, at most {MOST_BYTES} are possible": size > MOST_BYTES,
    }
    return next((problem for problem, found in problems.items() if found), None)


def is_invisible(character: str) -> bool:
    """Return whether a character is shown as nothing, or changes what is shown."""
    return character in _REORDERING or unicodedata.category(character) in _INVISIBLE


def shorten(name: str) -> str:
    """Return a name in quotes for a message, not longer than a line.

    Characters that are not shown are written as escape sequences.
    """
    short = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
    shown = (ascii(each)[1:-1] if is_invisible(each) else each for each in short)
    return f"'{''.join(shown)}'"


def path_under(folder: Path, *names: str, ending: str = "") -> Path:
    """Return the path of a file or folder below an output folder.

    `names` are single names from data, `ending` is added to the last one. Raises
    `OutputError` where a name would lead out of the folder, or cannot be one.
    """
    for name in names:
        if problem := problem_with_name(name):
            raise OutputError(
                f"{folder}: nothing is written for {shorten(name)}, which {problem}; "
                "rename the recording or the laboratory in the data"
            )
    return folder.joinpath(*names[:-1], f"{names[-1]}{ending}")
