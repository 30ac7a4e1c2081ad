"""The command line: `mabe COMMAND`, with one module for each group of commands.

A command imports what it needs when it is called, so that `--help` is quick.
"""

import sys
import time
from typing import Annotated

import typer

from mabe import __version__
from mabe.cli import data, measures, prediction, scoring, show, training
from mabe.cli.executor_options import complete_words
from mabe.cli.reporting import (
    EXPECTED_ERRORS,
    Commands,
    ExitCode,
    error_message,
)
from mabe.errors import ConfigError, StopRequested
from mabe.runtime.console import one_line, printing_safely
from mabe.runtime.launch_environment import ProcessGroup

app = Commands(
    help="Learn from labelled pose tracks which animal does what to whom.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for group in (data, training, prediction, scoring, measures, show):
    group.register(app)


def _print_version(wanted: bool | None) -> None:
    if wanted:
        print(f"mabe {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool | None,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = None,
) -> None:
    """Learn from labelled pose tracks which animal does what to whom."""


def main(args: list[str] | None = None) -> int:
    """Run the command line; user errors are one line, bugs keep their traceback.

    Returns 0 after success, 1 after a failed check, 2 after an error that the user can
    correct, 3 where files were left out, and 130 after Ctrl-C. Where several processes
    train together, errors of the others than the first name their process. What is
    printed has no control characters.
    """
    with printing_safely():
        return _run(args)


def _run(args: list[str] | None) -> int:
    # Windows consoles may not have the ✓; a question mark is better than a crash.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    words = complete_words(sys.argv[1:] if args is None else args)
    try:
        # Ray inside a SLURM step gives a command to one of its processes.
        if words[:1] not in ([], ["train"]) and "--ray" not in words:
            ProcessGroup.from_environment().refuse(f"mabe {words[0]}")
        app(args=words, prog_name="mabe")
    except EXPECTED_ERRORS as error:
        message = one_line(error_message(error))
        print(f"mabe{_process_label()}: {message}", file=sys.stderr)
        return ExitCode.REFUSED
    except StopRequested as stopped:
        if not _process_label():  # printed once, by the first process
            print(f"mabe: {stopped}", file=sys.stderr)
        return ExitCode.STOPPED
    except SystemExit as end:  # typer has printed help or a wrong option
        return int(end.code or 0)
    return 0


def _process_label() -> str:
    """Return the label of a process beside the first; wait, as both may fail alike.

    If the first process fails, the launcher ends this one in the meantime, and the
    error is printed once.
    """
    try:
        label = ProcessGroup.from_environment().label
    except ConfigError:  # which is then the error that is printed
        return ""
    if label:
        time.sleep(2)
    return label
