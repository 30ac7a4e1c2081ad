"""Kills of a program within the process of a test."""

from pathlib import Path

import pytest

from mabe.runtime import unfinished


class Killed(BaseException):
    """Ends a program at once; what is not on the disk is lost."""


def killed_at(number, work):
    """Do work, killed at its so many-th rename: before it (odd) or after (even).

    Files that were being written are left, as a real kill leaves them. Returns whether
    the work had so many renames.
    """
    moments, rename, remove = [0], Path.replace, unfinished._remove

    def pass_moment():
        moments[0] += 1
        if moments[0] == number:
            raise Killed

    def replace(self, target):
        pass_moment()
        made = rename(self, target)
        pass_moment()
        return made

    def remove_while_alive(path):
        if moments[0] < number:
            remove(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        patch.setattr(unfinished, "_remove", remove_while_alive)
        try:
            work()
        except Killed:
            return True
        finally:
            unfinished._cleared.clear()  # the next run is another process
    return False


def files_in(folder):
    """Return the bytes of every file below a folder, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
