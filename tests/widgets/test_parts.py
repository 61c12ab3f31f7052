from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from napari_attmil.widgets.attention_mil.top_cells import TopCells
from napari_attmil.widgets.parts.loss_curve import LossCurve
from napari_attmil.widgets.parts.probability_bars import ProbabilityBars
from napari_attmil.widgets.parts.step_frame import Fold, StepFrame, StepHeading
from napari_attmil.widgets.parts.style import scrolling_column

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytestqt.qtbot import QtBot


def test_most_probable_class_comes_first(qtbot: QtBot) -> None:
    bars = ProbabilityBars()
    qtbot.addWidget(bars)
    bars.setValue(("a", "b", "c"), [0.2, 0.7, 0.1])
    assert bars.value() == [("b", 0.7), ("a", 0.2), ("c", 0.1)]
    assert bars.accessibleDescription() == "b 70%, a 20%, c 10%"


def test_bars_are_as_long_as_probable(
    qtbot: QtBot, pixels: Callable[[QWidget], npt.NDArray[np.uint8]]
) -> None:
    bars = ProbabilityBars()
    qtbot.addWidget(bars)
    bars.setValue(("a", "b"), [0.25, 0.75])
    bars.resize(400, bars.sizeHint().height())
    highlight = bars.palette().color(bars.palette().ColorRole.Highlight)
    colour = np.array([highlight.red(), highlight.green(), highlight.blue()])
    filled = (np.abs(pixels(bars).astype(int) - colour).max(axis=2) < 3).sum(axis=1)
    row_height = bars.height() // 2
    upper, lower = filled[row_height // 2], filled[row_height + row_height // 2]
    assert upper / lower == pytest.approx(3, rel=0.1)


def test_spread_of_the_models_is_drawn_from_the_least_to_the_most(
    qtbot: QtBot, pixels: Callable[[QWidget], npt.NDArray[np.uint8]]
) -> None:
    bars = ProbabilityBars()
    qtbot.addWidget(bars)
    bars.resize(400, bars.sizeHint().height())
    bars.setValue(("a",), [0.5])
    plain = pixels(bars).astype(int)
    bars.setValue(("a",), [0.5], [[0.25], [0.75]])
    changed = np.flatnonzero(np.any(pixels(bars) != plain, axis=(0, 2)))
    # As long as half of a bar: the bar without a spread is filled by as much.
    highlight = bars.palette().color(bars.palette().ColorRole.Highlight)
    colour = np.array([highlight.red(), highlight.green(), highlight.blue()])
    filled = (np.abs(plain - colour).max(axis=2) < 3).sum(axis=1).max()
    assert np.ptp(changed) == pytest.approx(filled, abs=3)
    assert "its 2 models" in bars.toolTip()


def test_one_model_has_no_spread(
    qtbot: QtBot, pixels: Callable[[QWidget], npt.NDArray[np.uint8]]
) -> None:
    bars = ProbabilityBars()
    qtbot.addWidget(bars)
    bars.setValue(("a", "b"), [0.75, 0.25])
    bars.resize(400, bars.sizeHint().height())
    before = pixels(bars)
    bars.setValue(("a", "b"), [0.75, 0.25], [[0.75, 0.25]])
    assert np.array_equal(pixels(bars), before)
    assert "models" not in bars.toolTip()


def test_loss_curve_draws_what_it_is_given(qtbot: QtBot) -> None:
    curve = LossCurve()
    qtbot.addWidget(curve)
    curve.add("Model 1", SimpleNamespace(done=1, loss=2.0, mil_loss=1.0, sic_loss=1.0))
    second = SimpleNamespace(done=2, loss=1.5, mil_loss=None, sic_loss=1.5)
    curve.add("Model 1", second)
    curve.add("Model 1", second)  # told again, as another training has come further
    values = curve.value()
    assert values["loss"] == [2.0, 1.5]
    assert values["mil_loss"][0] == 1.0 and np.isnan(values["mil_loss"][1])
    curve.add("Model 2", SimpleNamespace(done=1, loss=3.0, mil_loss=1.0, sic_loss=1.0))
    assert curve.value()["loss"] == [3.0]
    curve.clear()
    assert curve.value()["loss"] == []


def test_single_points_of_a_curve_have_its_colour(
    qtbot: QtBot, pixels: Callable[[QWidget], npt.NDArray[np.uint8]]
) -> None:
    curve = LossCurve()
    qtbot.addWidget(curve)
    curve.resize(360, 190)
    curve.add("Model 1", SimpleNamespace(done=1, loss=2.0, mil_loss=1.0, sic_loss=0.5))
    image = pixels(curve).astype(int)
    orange = np.abs(image - [213, 94, 0]).max(-1) < 30
    assert orange.sum() > 40  # its mark, of ten pixels, beside the legend's thin line


def test_step_opens_and_closes_with_the_keyboard(qtbot: QtBot) -> None:
    content = TopCells()
    frame = StepFrame(1, "Images", content)
    qtbot.addWidget(frame)
    frame.show()
    asked: list[bool] = []
    frame.asked.connect(lambda: asked.append(True))
    assert content.isHidden()
    heading = frame.findChild(StepHeading)
    qtbot.keyClick(heading, Qt.Key.Key_Space)
    assert frame.isOpen() and not content.isHidden() and asked == [True]
    qtbot.keyClick(heading, Qt.Key.Key_Space)
    assert not frame.isOpen() and content.isHidden()
    frame.setOpen(True)
    assert asked == [True], "nobody asked"


def test_fold_hides_its_content_at_first(qtbot: QtBot) -> None:
    content = TopCells()
    fold = Fold("More settings", content)
    qtbot.addWidget(fold)
    assert content.isHidden()
    fold.setOpen(True)
    assert not content.isHidden()


def test_a_column_that_scrolls_is_never_cut_off_at_the_right(qtbot: QtBot) -> None:
    column, row = QVBoxLayout(), QWidget()
    bars = ProbabilityBars()
    column.addWidget(bars)
    layout = QHBoxLayout(row)
    layout.addWidget(scrolling_column(column))
    layout.addWidget(QWidget(), 5)
    qtbot.addWidget(row)
    row.resize(10, 100)
    with qtbot.waitExposed(row):
        row.show()
    assert bars.width() >= bars.minimumSizeHint().width()
    assert bars.visibleRegion().boundingRect().width() == bars.width()
