"""The site is made of the Markdown that GitHub shows; this hook bridges the two.

README.md becomes the first page, CHANGELOG.md a page, and `api.md` is made of the names
in `mabe.__all__`. Links that leave docs/ lead to copies on the site. Lists and tables
get the blank line before them that Python-Markdown needs.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

import mabe

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("configs/*.yaml", "notebooks/*.ipynb", "CONTRIBUTING.md", "LICENSE")
LINK = re.compile(r"(\]\()(\.\./)?(docs/)?([^)\s:#]+)")
STARTS = re.compile(r"^\s*([-*] |\d+\. |\|)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages and files that do not lie in docs/."""
    pages = {
        "index.md": (ROOT / "README.md").read_text("utf-8"),
        "changes.md": (ROOT / "CHANGELOG.md").read_text("utf-8"),
        "api.md": api_page(),
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    for pattern in COPIED:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix().replace(".md", ".txt")
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def api_page() -> str:
    """Return the page of all public names, which mkdocstrings fills."""
    names = [name for name in mabe.__all__ if not name.startswith("_")]
    places = [f"{getattr(mabe, name).__module__}.{name}" for name in names]
    return "\n\n".join(["# Reference", *(f"::: {place}" for place in places)])


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return a page's text as Python-Markdown needs it."""
    del page
    return with_blank_lines(LINK.sub(link_on_site, markdown))


def link_on_site(link: re.Match[str]) -> str:
    """Return the beginning of a link as it is on the site."""
    name = {"README.md": "index.md", "CHANGELOG.md": "changes.md"}.get(link[4], link[4])
    return link[1] + name.replace("CONTRIBUTING.md", "CONTRIBUTING.txt")


def with_blank_lines(markdown: str) -> str:
    """Return a text with a blank line before each list and table that has none."""
    lines: list[str] = []
    is_code = False
    for line in markdown.splitlines():
        begins = STARTS.match(line) and not is_code and lines
        before = lines[-1] if lines else ""
        is_text = before.strip() and not before.startswith(" ")
        if begins and is_text and not STARTS.match(before):
            lines.append("")
        if line.lstrip().startswith("```"):
            is_code = not is_code
        lines.append(line)
    return "\n".join(lines)
