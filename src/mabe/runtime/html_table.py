"""Tables in HTML, as which objects show themselves in a notebook."""

import html
from collections.abc import Mapping


def html_table(rows: Mapping[str, str]) -> str:
    """Return a table of two columns, names and values; both are escaped."""
    cells = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table>{cells}</table>"
