"""The pages name commands that parse, files that exist, and links that resolve."""

import ast
import importlib
import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer

from mabe.cli.executor_options import complete_words
from mabe.cli.main import app

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "mabe"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
MODULE = re.compile(r"`((?:\w+/)*\w+(?:\.py|/))`")
OUTPUTS = ("demo/", "out/", "data/", "checkpoints/", "runs/", "dist/", "recordings/")
"""Folders of the user's, which pages name too."""
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(
    r"\b(?:src/mabe|tests|benchmarks|configs|notebooks|docs)/[\w./-]*\.\w+"
)


def read(page):
    return page.read_text(encoding="utf-8")


def commands_of(page):
    """Return the `mabe` commands of the fenced blocks; none that are abbreviated."""
    blocks = FENCED.findall(read(page).replace("\\\n", " "))
    shell = [text for language, text in blocks if language in ("", "sh", "bash")]
    lines = [line.strip() for text in shell for line in text.splitlines()]
    lines = [line.removeprefix(".venv\\Scripts\\").replace("\\", "/") for line in lines]
    commands = [line for line in lines if line.startswith("mabe ")]
    # COMMAND stands for any, and [--option] may be left out.
    commands = [
        re.sub(r"[\[\]]", "", each) for each in commands if "COMMAND" not in each
    ]
    return [command for command in commands if "…" not in command.split("  #")[0]]


def anchors_of(page):
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", read(page), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return [heading.replace(" ", "-") for heading in plain]


@pytest.mark.parametrize(
    "command", sorted({command for page in PAGES for command in commands_of(page)})
)
def test_every_command_of_the_pages_parses(command):
    _, *words = shlex.split(command, comments=True)
    current = typer.main.get_command(app)
    words = complete_words(words)
    context = current.make_context("mabe", list(words))

    while hasattr(current, "commands"):  # a group
        name, *words = words
        current = current.commands[name]
        context = current.make_context(name, list(words), parent=context)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page):
    named = FILE.findall(read(page))

    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_resolves(page):
    broken = []
    for link in LINK.findall(read(page)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_module_that_a_page_names_exists(page):
    named = [
        name for name in MODULE.findall(read(page)) if not name.startswith(OUTPUTS)
    ]
    places = (ROOT, ROOT / "src", PACKAGE, ROOT / "tests", ROOT / "docs")

    assert [n for n in named if not any((each / n).exists() for each in places)] == []


def test_the_readme_stays_short():
    assert len(read(ROOT / "README.md").splitlines()) <= 150


SCRIPTS = [*sorted((ROOT / "benchmarks").glob("*.py")), *sorted(ROOT.glob("*.py"))]


def names_taken_from_mabe(script):
    """Return the (module, name) of every `from mabe… import …` of a script."""
    tree = ast.parse(read(script))
    return [
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mabe")
        for alias in node.names
    ]


def exists(module, name):
    found = importlib.import_module(module)
    return hasattr(found, name) or bool(importlib.util.find_spec(f"{module}.{name}"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_import_what_exists(script):
    wrong = [each for each in names_taken_from_mabe(script) if not exists(*each)]
    assert not wrong
