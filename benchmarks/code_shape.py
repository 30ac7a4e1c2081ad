"""The shape of the code: rooms, layers, sizes of modules and functions, and two counts.

    python benchmarks/code_shape.py [REVISION …]

Prints a column for each git revision, the working tree without one. Compare with:
`python benchmarks/code_shape.py d8a304b HEAD`.
"""

import ast
import io
import re
import statistics
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
KINDS = ("Task", "Model", "Recogniser", "Network", "Ensemble", "Objective", "Lesson",
         "Features", "Entry", "ConvBiLSTM")  # fmt: skip
"""Classes that stand for a kind of task or model."""


def sources(revision: str | None) -> tuple[dict[str, str], str]:
    """Return the package's modules by path, and pyproject.toml."""
    if revision is None:
        package = ROOT / "src/mabe"
        return {
            str(path.relative_to(package)): path.read_text(encoding="utf-8")
            for path in package.rglob("*.py")
        }, (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    command = ["git", "archive", revision, "src/mabe", "pyproject.toml"]
    packed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        texts = {
            member.name: archive.extractfile(member).read().decode()
            for member in archive
            if member.isfile() and member.name.endswith((".py", ".toml"))
        }
    pyproject = texts.pop("pyproject.toml")
    return {k.removeprefix("src/mabe/"): v for k, v in texts.items()}, pyproject


def function_lengths(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.end_lineno - node.lineno + 1


def layers(pyproject: str) -> int:
    contracts = tomllib.loads(pyproject)["tool"]["importlinter"]["contracts"]
    return next(len(each["layers"]) for each in contracts if each["type"] == "layers")


def measure(revision: str | None) -> dict[str, object]:
    texts, pyproject = sources(revision)
    trees = {path: ast.parse(text) for path, text in texts.items()}
    sizes = sorted(text.count("\n") for text in texts.values())
    lengths = sorted(length for tree in trees.values() for length in
                     function_lengths(tree))  # fmt: skip
    code = "\n".join(texts.values())
    checks = re.findall(r"isinstance\(([^()]|\([^()]*\))*\)", code)
    kinds = re.compile(rf"isinstance\([^)]*\b\w*({'|'.join(KINDS)})\b")
    strings = re.compile(r"[!=]= \"(scene|pair|trees|social|motion|auto|conv_gru)\"")
    return {
        "modules": len(texts),
        "modules at the root": sum("/" not in path for path in texts),
        "rooms (packages at the root)": len(
            {path.split("/")[0] for path in texts if "/" in path}
        ),
        "layers of the import contract": layers(pyproject),
        "lines": sum(sizes),
        "module: median lines": int(statistics.median(sizes)),
        "module: most lines": sizes[-1],
        "function: median lines": int(statistics.median(lengths)),
        "function: 90 % at most": lengths[int(0.9 * len(lengths))],
        "function: most lines": lengths[-1],
        "functions over 60 lines": sum(length > 60 for length in lengths),
        "isinstance": len(checks),
        "isinstance of a kind of task or model": len(kinds.findall(code)),
        'comparisons such as == "scene"': len(strings.findall(code)),
        "dict[str, Any]": code.count("dict[str, Any]"),
    }


def main() -> None:
    revisions = sys.argv[1:] or [None]
    columns = [measure(revision) for revision in revisions]
    width = max(len(name) for name in columns[0])
    print(" " * width, *(f"{revision or 'now':>10}" for revision in revisions))
    for name in columns[0]:
        print(f"{name:{width}}", *(f"{column[name]:>10}" for column in columns))


if __name__ == "__main__":
    main()
