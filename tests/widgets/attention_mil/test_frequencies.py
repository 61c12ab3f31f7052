"""The frequencies of the classes, as a person gives them in the panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from qtpy.QtWidgets import QDoubleSpinBox, QLabel, QPushButton
from support.pages.attention_mil import ResultPage
from support.predictions import FakeClassifier

from napari_attmil.session import LoadedClassifier
from napari_attmil.widgets.attention_mil.frequencies_dialog import FrequenciesDialog

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytestqt.qtbot import QtBot

    from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget

EQUAL = {"healthy": 0.5, "sickle": 0.5}


@pytest.fixture
def dialog(qtbot: QtBot) -> FrequenciesDialog:
    dialog = FrequenciesDialog(EQUAL)
    qtbot.addWidget(dialog)
    return dialog


def shares(dialog: FrequenciesDialog) -> list[QDoubleSpinBox]:
    return dialog.findChildren(QDoubleSpinBox)


def text(dialog: FrequenciesDialog) -> str:
    label = dialog.findChild(QLabel, "together")
    assert label is not None
    return str(label.text())


def button(dialog: FrequenciesDialog, title: str) -> QPushButton:
    (found,) = (each for each in dialog.findChildren(QPushButton) if each.text() == title)
    return found


def test_it_begins_with_what_is_assumed_which_is_no_frequency_of_one_s_own(
    dialog: FrequenciesDialog,
) -> None:
    assert [share.value() for share in shares(dialog)] == [50, 50]
    assert dialog.value() is None and text(dialog) == "Together 100%."


def test_shares_are_scaled_and_taken_back(dialog: FrequenciesDialog) -> None:
    shares(dialog)[0].setValue(75)
    shares(dialog)[1].setValue(50)
    assert dialog.value() == {"healthy": 0.6, "sickle": 0.4}
    assert text(dialog) == "Together 125%; scaled to 100%."
    button(dialog, "As in the training").click()
    assert dialog.value() is None


def test_what_cannot_be_is_said_and_not_used(dialog: FrequenciesDialog) -> None:
    shares(dialog)[1].setValue(0)
    assert "give each class that may occur" in text(dialog)
    assert not button(dialog, "Use").isEnabled()
    shares(dialog)[1].setValue(0.001)
    assert button(dialog, "Use").isEnabled()


def test_what_was_said_before_stands_there(qtbot: QtBot) -> None:
    dialog = FrequenciesDialog(EQUAL, {"healthy": 0.995, "sickle": 0.005})
    qtbot.addWidget(dialog)
    assert [share.value() for share in shares(dialog)] == [99.5, 0.5]


def test_the_result_says_what_it_assumes_and_follows(
    panel: AttentionMILWidget,
    wait_idle: Callable[[AttentionMILWidget], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    panel.cells_step.detect()
    wait_idle(panel)
    session, page = panel.context.session, ResultPage(panel.result_step)
    session.predictions.use(LoadedClassifier(FakeClassifier(), "fake"))
    panel.result_step.classify()
    wait_idle(panel)
    assert page.text("frequencies") == "All classes are taken to be equally frequent."
    asked: list[Any] = []

    def answer(dialog: FrequenciesDialog) -> bool:
        asked.append([share.value() for share in shares(dialog)])
        for share, value in zip(shares(dialog), (90, 5, 5), strict=True):
            share.setValue(value)
        return True

    monkeypatch.setattr(FrequenciesDialog, "exec", answer)
    page.press("Frequencies of the classes…")
    assert asked == [[33.333] * 3]
    # 0.1 x 0.9 : 0.7 x 0.05 : 0.2 x 0.05 = 18 : 7 : 2
    names, found = zip(*page.probabilities(), strict=True)
    assert names == ("healthy", "sickle", "spherocytosis")
    assert found == pytest.approx((18 / 27, 7 / 27, 2 / 27))
    assert "as frequent as given: healthy 90%, sickle 5%" in page.text("frequencies")
    assert page.text("certainty").startswith("Undecided: healthy and sickle cannot be ruled out")
    assert "does not depend on these frequencies" in page.text("note")
    monkeypatch.setattr(FrequenciesDialog, "exec", lambda dialog: False)
    page.press("Frequencies of the classes…")
    assert page.probabilities()[0][0] == "healthy"
