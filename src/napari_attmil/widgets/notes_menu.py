"""Tags, notes and own columns of cells and samples, in context menus and by keys."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from qtpy.QtWidgets import QInputDialog, QMenu, QWidget

from napari_attmil.cells.annotations import (
    NOT_A_CELL,
    NOT_ALTERED,
    OF_CLASS,
    SAMPLE,
    is_answer,
)
from napari_attmil.core import counted
from napari_attmil.images import reference_class
from napari_attmil.session import SampleKey, Session, SessionKey
from napari_attmil.widgets.parts import errors_shown

Noted = Mapping[SessionKey, list[int]] | Mapping[SampleKey, list[int]]
"""Ids of cells, or `SAMPLE`, by the samples' keys."""
TAG_KEYS = {"not_a_cell": NOT_A_CELL, "not_altered": NOT_ALTERED}
"""The tag that each action puts on the cells, or takes off them."""


def toggle_tag(session: Session, cells: Noted, tag: str) -> None:
    """Tag cells, or remove the tag if all of them have it."""
    if any(cells.values()):
        session.notes.tag(cells, tag, not session.notes.is_tagged(cells, tag))


def add_note_actions(menu: QMenu, session: Session, cells: Noted, parent: QWidget) -> None:
    """Add to a menu what can be noted about cells or samples.

    Parameters
    ----------
    menu
        The menu.
    session
        The viewer's.
    cells
        What is noted about.
    parent
        Where the menu was opened: dialogs stand over it, errors are told there.
    """
    notes = session.notes
    is_of_samples = all(ids == [SAMPLE] for ids in cells.values())
    for tag in notes.tags():
        if not (is_of_samples and is_answer(tag)) and not tag.startswith(OF_CLASS):
            _add_tag(menu, tag[:1].upper() + tag[1:], tag, session, cells)
    diseases = diseases_of(session)
    if len(diseases) > 1 and not is_of_samples:
        submenu = QMenu("Altered as in", menu)
        menu.addMenu(submenu)
        for name in diseases:
            _add_tag(submenu, name, f"{OF_CLASS}{name}", session, cells)
    menu.addSeparator()
    menu.addAction("New tag…", partial(_ask_for_tag, session, cells, parent))
    menu.addAction("Note…", partial(_ask_for_note, session, cells, parent))
    menu.addAction(
        "Value in a column of your own…", partial(_ask_for_value, session, cells, parent)
    )


def diseases_of(session: Session) -> list[str]:
    """Return the classes of the study that a cell can be altered as in."""
    classes = () if session.cohort is None else session.cohort.classes
    return [name for name in classes if name != reference_class(classes)]


def _add_tag(menu: QMenu, title: str, tag: str, session: Session, cells: Noted) -> None:
    action = menu.addAction(title)
    action.setCheckable(True)
    action.setChecked(session.notes.is_tagged(cells, tag))
    action.triggered.connect(partial(toggle_tag, session, cells, tag))


def _ask_for_tag(session: Session, cells: Noted, parent: QWidget) -> None:
    tag, is_given = QInputDialog.getText(parent, "New tag", f"Tag for {_words(cells)}:")
    if is_given:
        with errors_shown(parent):
            session.notes.tag(cells, tag)


def _ask_for_note(session: Session, cells: Noted, parent: QWidget) -> None:
    texts = {session.notes.of(cell, key).text for key, ids in cells.items() for cell in ids}
    present = texts.pop() if len(texts) == 1 else ""
    question = f"Note on {_words(cells)}:"
    text, is_given = QInputDialog.getMultiLineText(parent, "Note", question, present)
    if is_given:
        session.notes.write(cells, text)


def _ask_for_value(session: Session, cells: Noted, parent: QWidget) -> None:
    names = list(session.notes.columns())
    question = "Choose a column, or write the name of a new one:"
    column, is_given = QInputDialog.getItem(parent, "Own column", question, names)
    if not (is_given and column.strip()):
        return
    value, is_given = QInputDialog.getText(parent, column, f"{column} of {_words(cells)}:")
    if is_given:
        with errors_shown(parent):
            session.notes.set_value(cells, column, value)


def _words(cells: Noted) -> str:
    count = sum(map(len, cells.values()))
    is_of_samples = all(ids == [SAMPLE] for ids in cells.values())
    return counted(count, "sample" if is_of_samples else "cell")
