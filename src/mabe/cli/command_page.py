"""The commands in docs/commands.md: options, and the keys of their JSON objects.

``python -m mabe.cli.command_page docs/commands.md`` writes them between the two marks,
of what the commands and their results declare.
"""

import inspect
import sys
import typing
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer

from mabe.cli.main import app
from mabe.cli.reporting import COMMON_KEYS, Result, result_type
from mabe.runtime.files import write_text

BEGIN = "<!-- commands: made by `python -m mabe.cli.command_page docs/commands.md` -->"

END = "<!-- commands: end -->"


def with_commands(page: str) -> str:
    """Return a page with all commands between its marks.

    Raises `ValueError` where the page lacks them.
    """
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    parts = [_table(("key", ""), COMMON_KEYS.items())]
    for name, command in walk_commands(typer.main.get_command(app)):
        parts.append("\n".join(_describe(name, command)))
    return "\n\n".join([before + BEGIN, *parts, END + after])


def walk_commands(group: Any, prefix: str = "mabe") -> Iterator[tuple[str, Any]]:
    """Yield the full name of every command, and the command."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from walk_commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def result_of(command: Any) -> type[Result] | None:
    """Return the type of a command's result; None for one without."""
    return result_type(inspect.unwrap(command.callback))


def keys_of(result: type[Result]) -> dict[str, str]:
    """Return the keys of a result, and what each holds."""
    hints = typing.get_type_hints(result, include_extras=True)
    return {f.name: " ".join(hints[f.name].__metadata__) for f in fields(result)}


def _describe(name: str, command: Any) -> Iterator[str]:
    yield f"## {name}\n"
    yield inspect.cleandoc(command.help)
    shared = ("as_json", "quiet", "log", "help")
    own = [each for each in command.params if each.name not in shared]
    words = [_word(each) for each in own if each.param_type_name == "argument"]
    yield f"\n`{' '.join([name, *words, '[OPTIONS]'])}`\n"
    yield _table(
        ("argument or option", ""), ((_names(each), _meaning(each)) for each in own)
    )
    if result := result_of(command):
        yield f"\nKeys of `{name} --json`:\n"
        yield _table(("key", ""), keys_of(result).items())


def _word(argument: Any) -> str:
    word = argument.name.upper() + ("..." if argument.nargs < 0 else "")
    return word if argument.required else f"[{word}]"


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_word(parameter)}`"
    names = ", ".join(f"`{each}`" for each in parameter.opts)
    others = ", ".join(f"`{each}`" for each in parameter.secondary_opts)
    return f"{names} / {others}" if others else names


def _meaning(parameter: Any) -> str:
    """Return what a parameter is for, and its default where that is a value."""
    text = parameter.help or ""
    default = parameter.default
    if parameter.param_type_name == "option" and parameter.required:
        return f"{text} Required."
    is_value = isinstance(default, int | float | str) and not isinstance(default, bool)
    return f"{text} Default: `{default}`." if is_value else text


def _table(titles: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    lines = [f"| {' | '.join(titles)} |", "|---|---|"]
    for name, text in rows:
        name = name if "`" in name else f"`{name}`"
        lines.append(f"| {name} | {text.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    write_text(path, with_commands(path.read_text("utf-8")))
