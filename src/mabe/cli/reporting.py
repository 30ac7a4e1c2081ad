"""What every command shares: `--json`, `--quiet`, `--log`, and its exit code.

A command prints for people and returns a `Result`. With `--json` the result is the only
thing on the standard output stream, as one object, and all that is printed goes to the
standard error stream. Keys of `COMMON_KEYS` stand beside those of the result.

The exit codes are those of `ExitCode`.
"""

import functools
import inspect
import json
import os
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, is_dataclass
from enum import IntEnum
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, cast

import typer

from mabe import __version__
from mabe.cli.url_roles import UrlPlaces, naming_urls_in_errors, roles_of
from mabe.errors import ConfigError, MabeError, StopRequested
from mabe.runtime.console import finite_or_none, one_line, quietly
from mabe.runtime.copies_of_urls import (
    naming_urls,
    values_with_urls,
    with_urls,
)
from mabe.runtime.failures import Failure, collecting_failures, note_failure
from mabe.runtime.files import removing_empty_folders
from mabe.runtime.launch_environment import ProcessGroup
from mabe.runtime.log_lines import LogFile, Stream, logging_lines, open_log
from mabe.runtime.object_storage import display_path


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    CHECK_FAILED = 1
    REFUSED = 2
    """Wrong use, or an input that cannot be used."""
    DONE_IN_PART = 3
    """Files or recordings were left out."""
    STOPPED = 130
    """Ctrl-C, or the job was ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a command tells.

    Each field is a key of the JSON object, and says what it holds.
    """

    @property
    def exit_code(self) -> ExitCode:
        """The exit code where nothing was left out."""
        return ExitCode.DONE


COMMON_KEYS: Mapping[str, str] = {
    "command": "the command, such as `predict` or `plot ethogram`",
    "version": "mabe's version",
    "exit_code": "the exit code",
    "error": "why the command ended without a result; else null",
    "failures": "what was left out: objects with `file` and `reason`",
}
"""Keys of every JSON object. Where `error` is given there are no others."""

EXPECTED_ERRORS = (MabeError, MemoryError, RecursionError, OSError)
"""Errors that end a command with one line; others are bugs."""

AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print the result as one JSON object; see docs."),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="Print results and warnings only.")
]
Log = Annotated[
    Path | None,
    typer.Option("--log", help="Append all that is printed, with times, to a file."),
]


class Commands(typer.Typer):
    """A group of commands, each with the options of this module."""

    def command(  # type: ignore[override] # the options are passed on as they are
        self, name: str | None = None, **options: Any
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Return a decorator that adds a function as a command."""
        add = super().command(name, **options)

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            add(with_report(function))
            return function

        return register


def result_type(function: Callable[..., Any]) -> type[Result] | None:
    """Return the type of a command's result; None for one without."""
    returned = typing.get_type_hints(function)["return"]
    return None if returned is NoneType else cast(type[Result], returned)


def with_report(function: Callable[..., Any]) -> Callable[..., None]:
    """Return a command with `--json` (if it has a result), `--quiet` and `--log`."""
    added = {"quiet": (Quiet, False), "log": (Log, None)}
    if result_type(function):
        added = {"as_json": (AsJson, False), **added}

    @functools.wraps(function)
    def run(context: Any, **given: Any) -> None:
        options = {name: given.pop(name) for name in added}
        name = context.command_path.split(" ", 1)[1]
        code = _run(Call(name, function, given), **options)
        if code:
            raise typer.Exit(code)

    own = inspect.signature(function)
    keyword = inspect.Parameter.KEYWORD_ONLY
    context = inspect.Parameter("context", keyword, annotation=typer.Context)
    more = [
        inspect.Parameter(name, keyword, default=default, annotation=annotation)
        for name, (annotation, default) in added.items()
    ]
    parameters = [p.replace(kind=keyword) for p in own.parameters.values()]
    signature = own.replace(
        parameters=[context, *parameters, *more], return_annotation=None
    )
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return run


@dataclass(frozen=True, slots=True)
class Call:
    """A command with its values, which may be URLs."""

    name: str
    function: Callable[..., Result | None]
    given: Mapping[str, Any]

    def run(self, places: UrlPlaces) -> Result:
        """Run the command on local copies of URLs, and put back what it wrote."""
        local = places.localize(self.given, roles_of(self.function))
        result = self.function(**local) or Result()
        places.put_back()
        return result


def _run(
    call: Call,
    *,
    quiet: bool,
    log: Path | None,
    as_json: bool = False,
) -> int:
    """Run a command, print its result as JSON if wanted, and return its exit code."""
    out = sys.stdout
    with ExitStack() as held:
        log_file = held.enter_context(open_log(log))
        places = UrlPlaces(held)
        lines_to: Stream = out
        if as_json:
            nowhere = held.enter_context(Path(os.devnull).open("w"))
            lines_to = nowhere if quiet else sys.stderr
        held.enter_context(naming_urls(places.names))
        held.enter_context(logging_lines(log_file, out=lines_to, naming=with_urls))
        held.enter_context(quietly(quiet))
        failures = held.enter_context(collecting_failures())
        try:
            with (
                _in_log(log_file),
                naming_urls_in_errors(),
                removing_empty_folders(),
            ):
                result = call.run(places)
        except (*EXPECTED_ERRORS, StopRequested) as error:
            if as_json:
                code = exit_code_of(error)
                _print_json(out, _document(call.name, code, failures, error=error))
            raise
        code = result.exit_code
        if failures and not code:
            code = ExitCode.DONE_IN_PART
        if as_json:
            values = _document(call.name, code, failures) | to_plain(result)
            _print_json(out, values)
    return code


@contextmanager
def _in_log(log: LogFile | None) -> Iterator[None]:
    """Write the command and the error that ends it into a log file."""
    if log:
        log.write(f"mabe {__version__}: {' '.join(sys.argv[1:])}")
    try:
        yield
    except BaseException as error:
        if log:
            is_known = isinstance(error, EXPECTED_ERRORS)
            told = error_message(error) if is_known else f"{error!r}"
            log.write(f"mabe: {one_line(told)}")
        raise


def _document(
    name: str, code: int, failures: set[Failure], error: Exception | None = None
) -> dict[str, Any]:
    """Return the keys that every object has."""
    told = error and (str(error) or error_message(error))
    values = (name, __version__, int(code), told, to_plain(sorted(failures)))
    return dict(zip(COMMON_KEYS, values, strict=True))


def _print_json(out: Stream, values: Mapping[str, Any]) -> None:
    """Print an object; of several processes that train together the first does."""
    if not _is_first_process():
        return
    # A console that cannot write a name gets its code, which means the same in JSON.
    is_utf8 = (out.encoding or "").lower().replace("-", "") == "utf8"
    named = values_with_urls(values)
    text = json.dumps(named, indent=1, ensure_ascii=not is_utf8, allow_nan=False)
    print(text, file=out, flush=True)


def _is_first_process() -> bool:
    try:
        return ProcessGroup.from_environment().is_first
    except ConfigError:  # which is then the error that is printed
        return True


def to_plain(value: Any) -> Any:
    """Return a value as JSON can hold it: records as objects, NaN as null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(each) for each in value]
    if isinstance(value, Path):
        return display_path(value)
    return finite_or_none(value) if isinstance(value, float) else value


@contextmanager
def listing_failures(folder: Path | None, *, of: str = "") -> Iterator[None]:
    """List in a folder what is left out within the context.

    The list is ``failures.csv``; `of` is the name of a file that is the only one of the
    command. Without a folder nothing is written. The command then ends with
    `ExitCode.DONE_IN_PART`.
    """
    from mabe.runtime.failures import FILE_NAME, write_failures

    with collecting_failures() as failures:
        yield
    path = folder and folder / (f"{of}.{FILE_NAME}" if of else FILE_NAME)
    if path is not None:
        write_failures(path, failures)
    if failures:
        where = "" if path is None else f"; listed in {path}"
        print(f"! Done in part: {len(failures)} left out{where}", file=sys.stderr)
    for each in failures:
        note_failure(each.file, each.reason)


def exit_code_of(error: Exception) -> ExitCode:
    """Return the exit code of an error that ends a command."""
    stopped = isinstance(error, StopRequested)
    return ExitCode.STOPPED if stopped else ExitCode.REFUSED


def error_message(error: BaseException) -> str:
    """Return what to print for an error that ends a command.

    Errors of the machine, which may occur anywhere, get a hint; where the cause is
    known, a `MabeError` was raised.
    """
    match error:
        case MabeError() | StopRequested():
            return str(error)
        case MemoryError():
            return (
                f"out of memory ({error or 'no more is given'}); close other programs, "
                "give fewer or shorter recordings, or set a smaller batch_size"
            )
        case RecursionError():
            return (
                "a file or setting is nested too deeply to be read; give the files one "
                "by one to find it"
            )
        case OSError():
            return (
                f"{error}; is the disk full, a folder read-only, a file in use, or a "
                "name too long?"
            )
    raise error
