"""The notebook and the page for Kaggle say only what the program understands."""

import json
import re
import shlex
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
import typer

from mabe.cli.main import app

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "notebooks" / "kaggle_submission.ipynb"
PAGE = ROOT / "docs" / "kaggle.md"
COMPETITION = "MABe-mouse-behavior-detection"
COMMAND = re.compile(r"^!?(mabe .+)$", re.MULTILINE)


def read_cells(kind):
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == kind]
    return ["".join(cell["source"]) for cell in cells]


def fenced_blocks(language=""):
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [text for of, text in blocks if of == language]


def without_shell_lines(code):
    return "\n".join(line for line in code.splitlines() if line[:1] not in "!%")


def commands_told():
    texts = [*read_cells("code"), *fenced_blocks()]
    return [line for text in texts for line in COMMAND.findall(text)]


def test_the_notebook_is_one_that_jupyter_opens():
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))

    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    for cell in notebook["cells"]:
        extra = {"outputs", "execution_count"} if cell["cell_type"] == "code" else set()
        assert set(cell) == {"id", "cell_type", "metadata", "source"} | extra
        assert not cell.get("outputs")


def test_every_cell_is_python_apart_from_its_shell_lines():
    cells = read_cells("code")

    assert len(cells) == 4
    for code in cells:
        compile(without_shell_lines(code), str(NOTEBOOK), "exec")


def test_a_command_that_fails_stops_the_notebook():
    lines = [line for code in read_cells("code") for line in code.splitlines()]
    followers = [
        after for line, after in pairwise(lines) if line.startswith(("!pip", "!mabe"))
    ]

    assert len(followers) == 3
    assert all(after.startswith("assert _exit_code == 0") for after in followers)


@pytest.mark.parametrize("command", commands_told())
def test_every_command_told_is_one_that_mabe_understands(command):
    _, *arguments = shlex.split(command, comments=True)
    group = typer.main.get_command(app)

    context = group.make_context("mabe", list(arguments))
    name, *rest = arguments
    group.commands[name].make_context(name, rest, parent=context)


def test_the_commands_told_are_those_of_a_submission():
    named = {shlex.split(command)[1] for command in commands_told()}

    assert named >= {"train", "submit", "score", "check-submission"}


@pytest.mark.parametrize(
    "mounted", ["{name}", "competitions/{name}", "datasets/somebody/{name}"]
)
def test_inputs_are_found_wherever_kaggle_mounts_them(tmp_path, mounted):
    names = {"WHEELS": "mabe-wheels", "RUN": "mabe-run", "DATA": COMPETITION}
    for name in names.values():
        (tmp_path / mounted.format(name=name)).mkdir(parents=True)
    code = read_cells("code")[0].replace("/kaggle/input", str(tmp_path))
    found = {}

    exec(code, found)

    for variable, name in names.items():
        assert found[variable] == tmp_path / mounted.format(name=name)


def test_an_input_that_was_forgotten_is_named(tmp_path):
    code = read_cells("code")[0].replace("/kaggle/input", str(tmp_path))

    with pytest.raises(AssertionError, match="mabe-wheels is not an input"):
        exec(code, {})


def test_the_metadata_on_the_page_name_what_the_notebook_looks_for():
    dataset, kernel = (json.loads(block) for block in fenced_blocks("json"))
    sources = [*kernel["dataset_sources"], *kernel["competition_sources"]]
    looked_for = re.findall(r'find_input\("(.+?)"\)', read_cells("code")[0])

    assert [source.split("/")[-1] for source in sources] == looked_for
    assert dataset["id"] in kernel["dataset_sources"]
    assert kernel["code_file"] == NOTEBOOK.name
    assert kernel["enable_internet"] is False
    assert kernel["enable_gpu"] is True


def test_the_page_says_where_each_dependency_comes_from():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")

    needed = [
        re.match(r"[\w-]+", line)[0] for line in project["project"]["dependencies"]
    ]
    assert [name for name in needed if name not in page] == []


def test_what_the_page_points_to_is_there():
    page = PAGE.read_text(encoding="utf-8")
    links = re.findall(r"\]\((\.\./[^)]+)\)", page)
    named = re.findall(r"(?:configs|notebooks)/[\w.]+\.(?:yaml|ipynb)", page)

    assert links
    assert named
    assert all((PAGE.parent / link).is_file() for link in links)
    assert all((ROOT / name).is_file() for name in named)
