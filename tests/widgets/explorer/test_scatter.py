"""Points of the map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
from qtpy.QtGui import QColor, QPalette

from napari_attmil.widgets.explorer.views import Scatter

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytestqt.qtbot import QtBot
    from qtpy.QtWidgets import QWidget

    Pixels = Callable[[QWidget], npt.NDArray[np.uint8]]


@pytest.mark.parametrize("level", [0, 255])
def test_a_point_of_the_backgrounds_colour_is_seen(
    qtbot: QtBot, pixels: Pixels, level: int
) -> None:
    scatter = Scatter()
    qtbot.addWidget(scatter)
    palette = scatter.palette()
    palette.setColor(QPalette.ColorRole.AlternateBase, QColor(level, level, level))
    scatter.setPalette(palette)
    scatter.resize(300, 300)
    scatter.show()
    corners = np.array([[0, 0], [0, 2], [2, 0], [2, 2], [1, 1]], dtype=float)
    scatter.setPoints(corners, np.full((5, 3), level / 255))
    qtbot.wait(50)
    middle = pixels(scatter)[100:200, 120:220, :3].astype(int)
    assert np.abs(middle - level).max() > 100
