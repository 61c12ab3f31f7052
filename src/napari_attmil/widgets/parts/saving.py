"""Where a person saves to: the dialog, and endings of names."""

from __future__ import annotations

import re
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget

FIGURES = "Figure (*.png *.svg *.pdf)"
TABLES = "Table (*.csv *.parquet)"


def ask_where_to_save(parent: QWidget, title: str, proposed: str, kinds: str) -> Path | None:
    """Return the file that a person chose, with its ending; None if they chose none.

    Parameters
    ----------
    parent, title
        Of the dialog.
    proposed
        The name it begins with.
    kinds
        What can be written, in Qt's words: "Figure (*.png *.svg);;Table (*.csv)".
    """
    name, kind = QFileDialog.getSaveFileName(parent, title, proposed, kinds)
    if not name:
        return None
    path = with_ending(Path(name), kinds, kind)
    if path == Path(name) or not path.exists() or _may_replace(parent, title, path):
        return path
    return None


def with_ending(path: Path, kinds: str, kind: str = "") -> Path:
    """Return a path that ends as one of the kinds does; if not, the first ending is appended.

    A dot alone makes no ending: "model v1.2" becomes "model v1.2.safetensors". That of `kind`
    comes first, if it is given.
    """
    endings = endings_of(kind + kinds)
    if path.suffix.lower() in endings:
        return path
    return path.with_name(path.name + endings[0])


def endings_of(kinds: str) -> list[str]:
    """Return the endings that Qt's words for kinds of files name: [".csv", ".parquet"]."""
    return re.findall(r"\*(\.\w+)", kinds)


def as_file_name(name: str) -> str:
    """Return a name of a sample such that it names one file: "hs2/s1" is "hs2-s1"."""
    return re.sub(r'[\\/:*?"<>|]+', "-", name)


def _may_replace(parent: QWidget, title: str, path: Path) -> bool:
    """Ask what the dialog could not ask: it did not know the ending."""
    question = f"{path.name} exists already. Replace it?"
    return bool(QMessageBox.question(parent, title, question) == QMessageBox.StandardButton.Yes)
