"""The glossary that the "?" of a panel opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QLineEdit, QTextBrowser, QWidget

from napari_attmil.widgets.parts.glossary import GlossaryDialog, glossary_button, read_glossary

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot


def test_every_word_of_the_page_is_read_but_those_of_programmers() -> None:
    entries = read_glossary()
    (attention,) = [entry for entry in entries if "attention" in entry.words]
    assert attention.meaning.startswith("The weight of a cell in its bag")
    assert "MIL" in next(e.words for e in entries if "multiple instance learning" in e.words)
    assert len(entries) > 60 and not {"room", "stage"} & {w for e in entries for w in e.words}


def test_the_button_opens_the_glossary_at_its_word(qtbot: QtBot) -> None:
    panel = QWidget()
    qtbot.addWidget(panel)
    button = glossary_button(panel, "contribution")
    button.click()
    button.click()
    (dialog,) = panel.findChildren(GlossaryDialog)
    view = dialog.findChild(QTextBrowser)
    assert dialog.isVisible()
    qtbot.waitUntil(lambda: view.verticalScrollBar().value() > 0)
    assert "contribution" in view.cursorForPosition(view.rect().center()).document().toPlainText()


def test_a_search_leaves_the_entries_that_have_it(qtbot: QtBot) -> None:
    panel = QWidget()
    qtbot.addWidget(panel)
    dialog = GlossaryDialog(panel)
    everything = dialog.shown()
    dialog.findChild(QLineEdit).setText("Prediction set")
    assert "coverage" in dialog.shown() and len(dialog.shown()) < len(everything) / 4
    dialog.findChild(QLineEdit).setText("no such word")
    assert dialog.shown() == "No entry has “no such word” in it."
