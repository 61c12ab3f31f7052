"""Tables in text files, as people, programs and spreadsheets write them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_attmil.core import Remedy, UserError

if TYPE_CHECKING:
    from pathlib import Path


def read_text(path: Path) -> str:
    """Return a text file's content, in UTF-8, or UTF-16 or Windows-1252 as Excel writes them.

    Raises
    ------
    UserError
        If it cannot be opened, or is no text.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"'{path}' cannot be opened ({error.strerror}); check the path.", Remedy.OPEN_IMAGES
        ) from None
    return decoded_text(raw, path.name)


def decoded_text(raw: bytes, name: str) -> str:
    """Return the text of a file's content, as `read_text` does; `name` is for errors."""
    if raw.startswith(b"PK\3\4"):
        raise UserError(
            f"{name} is a workbook, not text; save it from the spreadsheet as CSV (UTF-8).",
            Remedy.OPEN_IMAGES,
        )
    encodings = ["utf-16"] if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UserError(
        f"{name} is not text that can be read; save it again as CSV (UTF-8).", Remedy.OPEN_IMAGES
    )


def rows_of_table(text: str) -> list[tuple[int, list[str]]]:
    """Return the rows of a table with their numbers, blank ones left out.

    The separator is a comma, semicolon or tab, whichever is most frequent in the header. Spaces
    around cells are removed. Lines may end as on any system.

    Returns
    -------
    list of (int, list of str)
        The number is the one that a spreadsheet shows beside the row.

    Raises
    ------
    csv.Error
        If a quote is not closed or stands within a cell.
    """
    lines = list(io.StringIO(text, newline=None))
    skipped, delimiter = _lines_skipped(lines), delimiter_of(text)
    reader = csv.reader(lines[skipped:], delimiter=delimiter, strict=True)
    stripped = ([cell.strip() for cell in row] for row in reader)
    return [(number, cells) for number, cells in enumerate(stripped, skipped + 1) if any(cells)]


def delimiter_of(text: str) -> str:
    """Return what separates the cells of a table: the comma, semicolon or tab of its header."""
    lines = list(io.StringIO(text, newline=None))
    return max(",;\t", key="".join(lines[_lines_skipped(lines) :][:1]).count)


def _lines_skipped(lines: Sequence[str]) -> int:
    # Excel's own way to say the separator is a first line "sep=;".
    return 1 if lines and lines[0].lower().startswith("sep=") else 0
