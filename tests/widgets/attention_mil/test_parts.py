from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from qtpy.QtGui import QPixmap

from napari_attmil.widgets.attention_mil.attention_legend import AttentionLegend
from napari_attmil.widgets.attention_mil.healthy_class_combo import HealthyClassCombo
from napari_attmil.widgets.attention_mil.top_cells import CellThumbnail, TopCells
from napari_attmil.widgets.thumbnails import pixmap_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytestqt.qtbot import QtBot
    from qtpy.QtWidgets import QWidget


def test_legend_goes_from_dark_to_white(
    qtbot: QtBot, pixels: Callable[[QWidget], npt.NDArray[np.uint8]]
) -> None:
    legend = AttentionLegend()
    qtbot.addWidget(legend)
    legend.resize(300, legend.sizeHint().height())
    middle = pixels(legend)[legend.height() // 2].astype(int)
    blue = middle[(middle[:, 2] > middle[:, 0] + 20)]
    assert len(blue) > 60
    luminance = blue @ [0.2126, 0.7152, 0.0722]
    assert luminance[-1] > luminance[0] + 100


def test_legend_explains_new_boxes_only_when_there_are_any(
    qtbot: QtBot, pixels: Callable[[QWidget], npt.NDArray[np.uint8]]
) -> None:
    legend = AttentionLegend()
    qtbot.addWidget(legend)
    legend.resize(300, legend.sizeHint().height())

    def orange() -> bool:
        image = pixels(legend).astype(int)
        is_orange = (image[..., 0] > 200) & (image[..., 1] < 150) & (image[..., 2] < 60)
        return bool(is_orange.any())

    assert not orange()
    legend.setUnscoredShown(True)
    assert orange()


def thumbnail(cell_id: int) -> CellThumbnail:
    return CellThumbnail(cell_id, QPixmap(21, 20), str(cell_id), f"cell {cell_id}")


def test_pressed_thumbnail_tells_its_cell(qtbot: QtBot) -> None:
    cells = TopCells()
    qtbot.addWidget(cells)
    cells.setValue([thumbnail(7), thumbnail(3)])
    assert cells.value() == (7, 3)
    with qtbot.waitSignal(cells.cell_clicked) as told:
        cells.button(1).click()
    assert told.args == [3]


def test_thumbnails_are_replaced_not_added(qtbot: QtBot) -> None:
    cells = TopCells()
    qtbot.addWidget(cells)
    cells.setValue([thumbnail(7), thumbnail(3)])
    cells.setValue([thumbnail(5)])
    assert cells.value() == (5,)


def test_colour_thumbnail_keeps_its_colour(qtbot: QtBot) -> None:
    image = np.zeros((30, 30, 3), np.uint8)
    image[..., 0] = 200
    cells = TopCells()
    qtbot.addWidget(cells)
    cells.setValue([CellThumbnail(1, pixmap_of(image), "1", "")])
    icon = cells.button(0).icon().pixmap(30, 30).toImage()
    assert icon.pixelColor(15, 15).getRgb()[:3] == (200, 0, 0)


def test_healthy_class_is_found_by_name_or_chosen(qtbot: QtBot) -> None:
    combo = HealthyClassCombo()
    qtbot.addWidget(combo)
    combo.setClasses(("crenated", "untreated"))
    assert combo.itemText(0) == "automatic (untreated)" and not combo.is_missing()
    combo.setClasses(("alive", "dead"))
    assert combo.itemText(0) == "automatic (none found)" and combo.is_missing()
    combo.setCurrentIndex(combo.findData("alive"))
    combo.setClasses(("alive", "dead"))
    assert combo.value() == "alive" and not combo.is_missing()
    combo.setClasses(("healthy", "sickle"))
    assert combo.value() == ""
