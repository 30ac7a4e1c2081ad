"""The errors `mabe` raises for people to read.

Raise where the cause is known, with four things in one line: where, what was
expected, what was found, what to try. Only the command line catches them.
"""


class MabeError(Exception):
    """Something the user can mend; the command line shows it as one line."""


class DataError(MabeError):
    """A file or a data set is absent, broken or not what it claims to be."""


class ConfigError(MabeError):
    """A setting is unknown, impossible or contradicts another."""


class RunError(MabeError):
    """A run directory or checkpoint is absent, incomplete or of another kind."""


class OutputError(MabeError):
    """A file cannot be written."""


class StopRequested(Exception):
    """Somebody pressed Ctrl-C or ended the job, and what was done is saved."""
