"""Where a person saves to or opens from: dialogs that start in the study, and endings of names."""

from __future__ import annotations

import re
from pathlib import Path

from qtpy.QtCore import QObject
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
        The name it begins with, in the folder of the study.
    kinds
        What can be written, in Qt's words: "Figure (*.png *.svg);;Table (*.csv)".
    """
    start = str(Path(study_folder(parent)) / proposed)
    name, kind = QFileDialog.getSaveFileName(parent, title, start, kinds)
    if not name:
        return None
    path = with_ending(Path(name), kinds, kind)
    if path == Path(name) or not path.exists() or _may_replace(parent, title, path):
        return path
    return None


def ask_for_file(parent: QWidget, title: str, kinds: str, subfolder: str = "") -> Path | None:
    """Return the file that a person chose to open; None if they chose none.

    The dialog starts in a subfolder of the study, if there is one; see `ask_where_to_save`.
    """
    start = Path(study_folder(parent)) / subfolder
    name, _ = QFileDialog.getOpenFileName(
        parent, title, str(start if start.is_dir() else start.parent), kinds
    )
    return Path(name) if name else None


def study_folder(part: QObject) -> str:
    """Return the folder of the study that the panel of a part works on; empty without one."""
    at: QObject | None = part
    while at is not None:
        folder = getattr(at, "study_folder", None)
        if isinstance(folder, Path) and folder.is_dir():
            return str(folder)
        at = at.parent()
    return ""


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
