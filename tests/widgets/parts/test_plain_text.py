"""Names from strangers' files are shown as they are written, never as HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from qtpy.QtCore import Qt

from napari_attmil.widgets.parts import hint_label, plain_tip, wrapping_label

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QApplication, QLabel

NAME = '<h1>HEALTHY 100%</h1><img src="/etc/logo.png"><a href="http://example.org">more</a>'


@pytest.mark.parametrize("make", [hint_label, wrapping_label])
def test_a_class_named_like_html_is_shown_letter_by_letter(
    qapp: QApplication, make: Callable[[str], QLabel]
) -> None:
    label = make(NAME)
    assert label.text() == NAME and label.textFormat() == Qt.TextFormat.PlainText
    assert label.heightForWidth(2000) == make("HEALTHY").heightForWidth(2000)


def test_a_tooltip_shows_what_looks_like_html(qapp: QApplication) -> None:
    from qtpy.QtGui import QTextDocument

    document = QTextDocument()
    document.setHtml(plain_tip(f"{NAME}\nsecond"))
    assert document.toPlainText() == f"{NAME}\nsecond"
    assert plain_tip("Cell 3 & more") == "Cell 3 & more"
