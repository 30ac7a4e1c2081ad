"""The errors that `mabe` raises for people to read.

They are raised where the cause is known, with four things in one line: where, what was
expected, what was found, and what to try. Only the command line catches them.
"""


class MabeError(Exception):
    """A problem that the user can solve; the command line prints it as one line."""


class DataError(MabeError):
    """A file or a data set is absent, broken or of another kind than expected."""


class NotARecordingError(DataError):
    """A known file that holds neither tracks of a recording nor annotations of one.

    Folders are imported without it, with a note: frames labelled to train a tracker,
    tables of a tracker's evaluation, settings.
    """


class ConfigError(MabeError):
    """A setting is unknown, not allowed or in conflict with another."""


class RunError(MabeError):
    """A run directory or checkpoint is absent, incomplete or of another kind."""


class OutputError(MabeError):
    """A file cannot be written."""


class StopRequested(Exception):
    """The user pressed Ctrl-C or the job was ended; all progress is saved."""
