"""What is packed, released and documented: files that no import would miss."""

import importlib.util
import re
import shlex
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from chases import write_chases
from format_files import write_dlc_csv

from mabe import __version__
from mabe.cli.main import main

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_every_file_of_the_package_is_packed():
    package = ROOT / "src" / "mabe"
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["mabe"]
    others = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]
    missed = [name for name in others if not any(fnmatch(name, p) for p in patterns)]
    assert missed == []
    modules = {path.parent for path in package.rglob("*.py")}
    assert [each for each in modules if not (each / "__init__.py").is_file()] == []


def check_release():
    spec = importlib.util.spec_from_file_location(
        "check_release", ROOT / ".ci" / "check_release.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_version_stands_in_one_place_and_in_the_change_log():
    release = check_release()
    assert release.version() == __version__
    assert __version__ in release.releases()
    recipe = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text("utf-8"))
    assert recipe["context"]["version"] == __version__


def test_a_release_needs_its_own_tag_and_a_date(tmp_path, monkeypatch):
    release = check_release()
    (tmp_path / "src" / "mabe").mkdir(parents=True)
    source = tmp_path / "src" / "mabe" / "__init__.py"
    source.write_text('__version__ = "1.2.0"\n')
    log = tmp_path / "CHANGELOG.md"
    monkeypatch.setattr(release, "ROOT", tmp_path)

    log.write_text("## 1.2.0 (2026-01-31)\n")
    assert release.problem("v1.2.0") is None
    assert "the tag is v1.3.0" in release.problem("v1.3.0")
    log.write_text("## 1.2.0 (unreleased)\n")
    assert "has no date" in release.problem("v1.2.0")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_say_that_they_are_not_run_here(path):
    text = path.read_text("utf-8")
    assert "Not run where mabe is developed" in text
    jobs = yaml.safe_load(text)["jobs"]
    for job in jobs.values():
        needed = job.get("needs", [])
        assert {needed} if isinstance(needed, str) else set(needed) <= jobs.keys()


def test_the_tests_run_on_three_systems_and_four_versions_of_python():
    (tests,) = (path for path in WORKFLOWS if path.stem == "tests")
    matrix = yaml.safe_load(tests.read_text("utf-8"))["jobs"]["tests"]["strategy"][
        "matrix"
    ]
    assert [name.split("-")[0] for name in matrix["os"]] == [
        "ubuntu",
        "macos",
        "windows",
    ]
    lowest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert matrix["python"] == [lowest, "3.12", "3.13", "3.14"]


def test_the_conda_recipe_requires_what_the_package_does():
    recipe = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text("utf-8"))
    of_conda = {"pytorch": "torch", "lightning": "lightning-fabric"}
    required = {
        of_conda.get(name, name) + version
        for name, version in (
            each.split(maxsplit=1) for each in recipe["requirements"]["run"]
        )
    }
    assert required == {
        *PROJECT["project"]["dependencies"],
        "python>=${{ python_min }}",
    }


def test_every_page_is_reached_from_the_site():
    nav = (ROOT / "mkdocs.yml").read_text("utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert pages == set(re.findall(r"(\w+\.md)$", nav, re.MULTILINE)) - {
        "index.md",
        "api.md",
        "changes.md",
    }


def rules_of(snakefile):
    """Return the text of each rule of a Snakefile by its name."""
    parts = re.split(r"^rule (\w+):$", snakefile, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def values_of(rule, section):
    """Return the file names of a section of a rule, in their order."""
    found = re.search(rf"^    {section}:\n((?:        .*\n)+)", rule, re.MULTILINE)
    return re.findall(r'"([^"]+)"', found[1]) if found else []


def test_the_commands_of_the_snakefile_make_what_its_rules_promise(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MABE_CACHE", str(tmp_path / "cache"))
    # Tracks without labels are imported, beside the data set that the rest works on.
    write_chases(tmp_path / "data", videos=3, seconds=6)
    rules = rules_of((ROOT / "docs" / "pipelines" / "Snakefile").read_text("utf-8"))
    assert next(iter(rules)) == "all"
    options = "--set model_type=trees --set feature_set=social --set tree_rounds=5"

    tracks = tmp_path / "tracks"
    tracks.mkdir()
    write_dlc_csv(tracks / "aDLC_x.csv")
    for name in list(rules)[1:]:
        rule = rules[name]
        (command,) = values_of(rule, "shell")
        (output,) = values_of(rule, "output")
        words = (
            command.replace("{input.new}", "data")
            .replace("{input} --out data", f"{tracks} --fps 30 --out imported")
            .replace("{output}", output)
            .replace("{params.options}", f"{options} --set task=pair")
            .replace("{threads}", "1")
            .replace("{log}", "log.txt")
        )
        assert "{" not in words
        program, *rest = shlex.split(words)
        assert (program, main(rest)) == ("mabe", 0), name
        assert (tmp_path / output.replace("data/", "imported/", 1)).is_file(), name
