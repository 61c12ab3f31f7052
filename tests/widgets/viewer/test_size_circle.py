"""The circle that shows the cell size, and is dragged to fit a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Shapes

from napari_attmil.widgets.viewer.size_circle import NAME, SizeCircle

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot


class Choice:
    """Stands for the choice of an image layer."""

    def __init__(self, layer: Any) -> None:
        self.chosen = layer


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((3, 80, 100), np.uint8), scale=(1, 0.5, 0.5))
    return viewer


@pytest.fixture
def circle(viewer: ViewerModel) -> SizeCircle:
    return SizeCircle(viewer, Choice(viewer.layers[0]))  # type: ignore[arg-type]


def layer_of(viewer: ViewerModel) -> Shapes:
    (layer,) = (layer for layer in viewer.layers if layer.name == NAME)
    assert isinstance(layer, Shapes)
    return layer


def corners_of(viewer: ViewerModel) -> list[list[float]]:
    """Return y, x of the upper left and the lower right corner of the circle's square."""
    data = np.asarray(layer_of(viewer).data[0])
    return [data.min(axis=0).tolist(), data.max(axis=0).tolist()]


def test_it_lies_over_every_image_of_a_stack_ready_to_be_dragged(
    viewer: ViewerModel, circle: SizeCircle
) -> None:
    circle.show(30, (50, 40))
    layer = layer_of(viewer)
    assert layer.shape_type == ["ellipse"]
    assert layer.ndim == 2
    assert layer.scale.tolist() == [0.5, 0.5]
    assert corners_of(viewer) == [[25, 35], [55, 65]]
    assert viewer.layers.selection.active is layer
    assert layer.mode == "select"
    assert layer.selected_data == {0}


@pytest.mark.parametrize(
    ("low", "high", "size"),
    [
        ((20, 30), (60, 70), 40),  # larger by a corner
        ((25, 35), (55, 77), 42),  # wider by a side
        ((30, 35), (50, 65), 20),  # flatter by a side
        ((25, 35), (26, 36), 6),  # no smaller than a cell can be
    ],
)
def test_a_dragged_circle_tells_its_size_and_stays_a_circle(
    viewer: ViewerModel,
    circle: SizeCircle,
    qtbot: QtBot,
    low: tuple[float, float],
    high: tuple[float, float],
    size: float,
) -> None:
    told: list[float] = []
    circle.resized.connect(told.append)
    circle.show(30, (50, 40))
    (y0, x0), (y1, x1) = low, high
    layer_of(viewer).data = [np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]], dtype=float)]
    assert told == [size]
    centre = np.add(low, high) / 2
    qtbot.waitUntil(lambda: np.ptp(corners_of(viewer), axis=0).tolist() == [size, size])
    assert np.mean(corners_of(viewer), axis=0).tolist() == centre.tolist()
    assert told == [size]


def test_moved_only_it_keeps_its_size(viewer: ViewerModel, circle: SizeCircle) -> None:
    told: list[float] = []
    circle.resized.connect(told.append)
    circle.show(30, (50, 40))
    layer_of(viewer).data = [np.asarray(layer_of(viewer).data[0]) + 7]
    assert told == []
    assert corners_of(viewer) == [[32, 42], [62, 72]]


def test_turned_it_keeps_its_size_and_dragged_then_it_tells_the_length_of_its_sides(
    viewer: ViewerModel, circle: SizeCircle, qtbot: QtBot
) -> None:
    told: list[float] = []
    circle.resized.connect(told.append)
    circle.show(30, (50, 40))
    square = np.asarray(layer_of(viewer).data[0])
    turned = np.array([[1, 1], [-1, 1]]) / np.sqrt(2)  # by 45 degrees
    layer_of(viewer).data = [(square - [40, 50]) @ turned + [40, 50]]
    assert told == []
    qtbot.waitUntil(lambda: np.allclose(corners_of(viewer), [[25, 35], [55, 65]]))
    layer_of(viewer).data = [(square - [40, 50]) * [1.4, 1] @ turned + [40, 50]]
    assert told == [pytest.approx(42)]


@pytest.mark.parametrize(
    "placement",
    [
        {"translate": (0, 7, 9)},
        {"rotate": 30, "translate": (0, 7, 9)},
        {"shear": (0, 0, 0.4)},
        {"affine": [[1, 0, 0, 2], [0, 0, 3, 4], [0, -3, 0, 5], [0, 0, 0, 1]]},
    ],
    ids=str,
)
def test_it_lies_where_the_image_does_however_that_is_placed(placement: dict[str, Any]) -> None:
    viewer = ViewerModel()
    image = viewer.add_image(
        np.zeros((3, 80, 100), np.uint8), scale=(1, 0.5, 0.25), units=("um",) * 3, **placement
    )
    SizeCircle(viewer, Choice(image)).show(30, (50, 40))  # type: ignore[arg-type]
    layer = layer_of(viewer)
    shown = [layer.data_to_world(corner) for corner in np.asarray(layer.data[0])]
    corners = [(0, 25, 35), (0, 25, 65), (0, 55, 65), (0, 55, 35)]
    expected = [image.data_to_world(corner)[-2:] for corner in corners]
    np.testing.assert_allclose(shown, expected, atol=1e-6)
    assert layer.units == image.units[-2:]


def test_another_diameter_is_shown_around_the_same_place(
    viewer: ViewerModel, circle: SizeCircle
) -> None:
    told: list[float] = []
    circle.resized.connect(told.append)
    circle.show(30, (50, 40))
    circle.set_diameter(20)
    assert corners_of(viewer) == [[30, 40], [50, 60]]
    assert told == []


def test_it_goes_when_hidden_and_says_when_a_person_removes_it(
    viewer: ViewerModel, circle: SizeCircle
) -> None:
    gone: list[None] = []
    circle.closed.connect(lambda: gone.append(None))
    circle.show(30, (50, 40))
    circle.hide()
    assert len(viewer.layers) == 1
    assert gone == []
    circle.show(30, (50, 40))
    viewer.layers.remove(layer_of(viewer))
    assert gone == [None]
    assert not circle.is_shown
    circle.stop_listening()
