"""Small HTML tables: how values show themselves in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def html_table(title: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table with a title; all texts are escaped.

    Parameters
    ----------
    title
        Stands above the table.
    heads
        The columns' names.
    rows
        As many values each.
    """
    lines = [_row("td", row) for row in rows]
    return f"<table><caption>{escape(title)}</caption>{_row('th', heads)}{''.join(lines)}</table>"


def html_paragraph(text: str) -> str:
    """Return a paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def _row(tag: str, cells: Iterable[object]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(str(cell))}</{tag}>' for cell in cells)}</tr>"
