"""The words of the project, in a window that a panel's "?" opens: docs/glossary.md, searchable."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLineEdit,
    QTextBrowser,
    QToolButton,
    QWidget,
)

from napari_attmil.widgets.parts.layouts import column

FILE_NAME = "glossary.md"
FOR_PROGRAMMERS = "Program"
"""The section of words that no panel uses."""


@dataclass(frozen=True)
class Entry:
    """A word of the glossary.

    Attributes
    ----------
    section
        The heading that it stands under.
    words
        The word, and others for the same.
    meaning
        One sentence.
    """

    section: str
    words: tuple[str, ...]
    meaning: str


class GlossaryDialog(QDialog):
    """All words, those that a text occurs in, or the place of one.

    Parameters
    ----------
    parent
        The panel.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._entries = read_glossary()
        self._search = QLineEdit()
        self._view = QTextBrowser()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)

        column(self._search, (self._view, 1), buttons, within=self)

        self._search.textChanged.connect(self._show_entries)
        buttons.rejected.connect(self.reject)

        self.setWindowTitle("Glossary")
        self._search.setPlaceholderText("Search, for instance: attention")
        self._search.setClearButtonEnabled(True)
        self._search.setToolTip("Show the entries in which this text occurs.")
        self._view.setToolTip("What the words mean.")
        self.resize(560, 600)
        self._show_entries("")

    def show_at(self, word: str) -> None:
        """Open the glossary at a word."""
        self.show()
        self.raise_()
        self._view.scrollToAnchor(_anchor(word))

    def shown(self) -> str:
        """Return what is shown, as plain text."""
        return self._view.toPlainText()

    def _show_entries(self, text: str) -> None:
        wanted = text.strip().lower()
        found = [each for each in self._entries if wanted in _in_one(each).lower()]
        self._view.setHtml(_page(found) or f"<p>No entry has “{html.escape(text)}” in it.</p>")


def glossary_button(panel: QWidget, word: str) -> QToolButton:
    """Return a panel's button "?" that opens the glossary at a word."""
    button, dialogs = QToolButton(), list[GlossaryDialog]()

    def open_glossary() -> None:
        if not dialogs:
            dialogs.append(GlossaryDialog(panel))
        dialogs[0].show_at(word)

    button.setText("?")
    button.setToolTip("Open the glossary: what the words in this panel mean.")
    button.setAccessibleName("Glossary")
    button.clicked.connect(open_glossary)
    return button


def read_glossary() -> list[Entry]:
    """Return the words that panels use, in the order of the page."""
    package = Path(__file__).resolve().parents[2]
    # The wheel has the page within the package; a checkout has it in docs.
    places = (package / FILE_NAME, package.parents[1] / "docs" / FILE_NAME)
    text = next(place for place in places if place.is_file()).read_text(encoding="utf-8")
    entries, section = list[Entry](), ""
    for line in text.splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("| ") and not line.startswith(("| word |", "|---")):
            word, meaning, _ = line.strip("| ").split(" | ", 2)
            entries.append(Entry(section, tuple(word.split(", ")), re.sub(r"[`*]", "", meaning)))
    return [entry for entry in entries if entry.section != FOR_PROGRAMMERS]


def _page(entries: list[Entry]) -> str:
    """Return entries as HTML, with an anchor for each word."""
    parts, section = list[str](), ""
    for entry in entries:
        if entry.section != section:
            section = entry.section
            parts.append(f"<h3>{html.escape(section)}</h3>")
        anchors = "".join(f'<a name="{_anchor(word)}"></a>' for word in entry.words)
        words = html.escape(", ".join(entry.words))
        parts.append(f"<p>{anchors}<b>{words}</b><br>{html.escape(entry.meaning)}</p>")
    return "".join(parts)


def _anchor(word: str) -> str:
    return re.sub(r"\W+", "-", word.lower()).strip("-")


def _in_one(entry: Entry) -> str:
    return " ".join((*entry.words, entry.meaning))
