"""Of an image with very many cells those in view are shapes, and the others are painted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.layers import Image

from napari_attmil.cells.boxes import Boxes
from napari_attmil.images.cohort import Sample
from napari_attmil.session import LayerKey
from napari_attmil.session.session import Session
from napari_attmil.widgets.viewer import box_shapes, painted_boxes
from napari_attmil.widgets.viewer.box_shapes import NOWHERE, Portion
from napari_attmil.widgets.viewer.camera import Camera
from napari_attmil.widgets.viewer.image_choice import ImageChoice
from napari_attmil.widgets.viewer.layers import CellsLayer
from napari_attmil.widgets.viewer.painted_boxes import PaintedImage, as_pixels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel
    from numpy.typing import NDArray
    from pytestqt.qtbot import QtBot

STEP_PX = 20
GRID: NDArray[Any] = np.array(
    [[x, y, x + 10, y + 8] for y in range(0, 200, STEP_PX) for x in range(0, 300, STEP_PX)]
)
BOXES = Boxes.from_detections(np.zeros(len(GRID)), GRID, np.full(len(GRID), 0.9))
"""150 cells, one in each 20 px."""


@pytest.fixture(autouse=True)
def few_boxes_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box_shapes, "MOST_SHAPES", 20)
    for module in (box_shapes, painted_boxes):
        monkeypatch.setattr(module, "MOST_OF_IMAGE", 50)


class View:
    """What the viewer shows; a viewer without a window shows nothing."""

    xyxy: Any = None


@pytest.fixture
def view(monkeypatch: pytest.MonkeyPatch) -> View:
    view = View()
    monkeypatch.setattr(Camera, "view_xyxy", lambda _, size=None: view.xyxy)
    return view


@pytest.fixture
def session() -> Session:
    session = Session()
    session.show(Sample("slide", "p", None, ()), LayerKey(layer="key"))
    return session


@pytest.fixture
def cells(viewer: ViewerModel, session: Session, view: View, qtbot: QtBot) -> Iterator[CellsLayer]:
    image = Image(np.zeros((1, 200, 300), np.uint8), scale=[1, 0.5, 0.5], units=["px", "um", "um"])
    viewer.add_layer(image)
    cells = CellsLayer(viewer, session)
    cells.attach(image)
    session.editor.merge(BOXES)
    qtbot.waitUntil(lambda: cells.painted.layer is not None)
    yield cells
    cells.stop_listening()


def look_at(cells: CellsLayer, view: View, *xyxy: float) -> None:
    view.xyxy = np.array(xyxy, np.float32)
    cells.mirror.catch_up()


def held(cells: CellsLayer) -> set[int]:
    return set(cells.layer.features["cell_id"])


def is_painted(cells: CellsLayer, factor: int = 1) -> set[int]:
    """Return which cells have a painted pixel at the corner of their box."""
    picture = np.asarray(cells.painted.layer.data[factor // 2])[0]
    corner = BOXES.xyxy[:, [1, 0]].astype(int) // factor
    seen = picture[corner[:, 0], corner[:, 1], 3] > 0
    return set(BOXES.cell_id[seen].tolist())


def test_every_cell_is_a_shape_or_painted(
    cells: CellsLayer, session: Session, view: View, qtbot: QtBot
) -> None:
    everything = set(session.boxes.cell_id.tolist())
    assert held(cells) == set() and is_painted(cells) == everything
    look_at(cells, view, 0, 0, 60, 60)
    inside = {1, 2, 3, 16, 17, 18, 31, 32, 33}
    assert held(cells) == inside
    qtbot.waitUntil(lambda: is_painted(cells) == everything - inside)
    look_at(cells, view, 0, 0, 300, 200)  # too many again: those that are there stay
    assert held(cells) == inside


def test_boxes_around_the_view_are_taken_in_during_a_pause(cells: CellsLayer, view: View) -> None:
    look_at(cells, view, 100, 100, 140, 140)
    assert len(held(cells)) == 4
    cells.mirror.look_ahead()
    assert len(held(cells)) == 16
    told = []
    cells.layer.events.data.connect(lambda event: told.append(event.action))
    look_at(cells, view, 110, 90, 150, 130)
    assert told == []  # nothing is built anew for a small move


def test_a_box_in_view_is_deleted_drawn_and_moved_and_no_other_changes(
    cells: CellsLayer, session: Session, view: View
) -> None:
    look_at(cells, view, 0, 0, 40, 40)
    assert held(cells) == {1, 2, 16, 17}
    cells.layer.selected_data = set(np.flatnonzero(cells.layer.features["cell_id"] == 2))
    cells.delete_selected()
    assert set(BOXES.cell_id) - set(session.boxes.cell_id) == {2}
    corners = [[0, 11, 11], [0, 11, 19], [0, 19, 19], [0, 19, 11]]
    cells.layer.add(np.array(corners, float), shape_type="rectangle")
    assert len(session.boxes) == 150 and session.boxes.xyxy[-1].tolist() == [11, 11, 19, 19]
    data = [np.array(vertices) for vertices in cells.layer.data]
    row = int(np.flatnonzero(cells.layer.features["cell_id"] == 16)[0])
    data[row][:, 1:] += 3
    cells.layer.data = data
    moved = session.boxes[session.boxes.index_of([16])].xyxy[0]
    assert moved.tolist() == [3, 23, 13, 31]
    for _ in range(3):
        session.editor.undo()
    assert session.boxes.in_order().digest() == BOXES.in_order().digest()


def test_detecting_very_many_cells_makes_no_shapes_of_them(
    cells: CellsLayer, session: Session, view: View
) -> None:
    session.editor.clear()
    look_at(cells, view, 0, 0, 300, 200)
    assert held(cells) == set()
    session.editor.merge(BOXES)
    assert len(session.boxes) == 150 and held(cells) == set()


def test_a_selected_cell_is_marked_from_afar(
    cells: CellsLayer, session: Session, qtbot: QtBot
) -> None:
    before = np.asarray(cells.painted.layer.data[0])[0]
    chosen = int(session.boxes.cell_id[52])
    session.select([chosen])
    x, y = BOXES.xyxy[52, :2].astype(int)
    qtbot.waitUntil(lambda: not np.array_equal(cells.painted.layer.data[0][0, :, :], before))
    changed = np.argwhere((np.asarray(cells.painted.layer.data[0])[0] != before).any(axis=-1))
    assert (np.abs(changed - [y + 4, x + 5]) < 12).all()


def test_the_picture_is_no_image_to_be_worked_on_and_goes_with_its_cells(
    cells: CellsLayer, viewer: ViewerModel, session: Session, qtbot: QtBot
) -> None:
    picture = cells.painted.layer
    choice = ImageChoice(viewer, Session(), cells)
    assert picture not in choice.layers and len(choice.layers) == 1
    assert choice.cover is None
    choice.stop_listening()
    assert np.array_equal(picture.scale, viewer.layers[0].scale)
    cells.layer.visible = False
    assert not picture.visible
    session.show(Sample("other", "p", None, ()), LayerKey(layer="other"))
    qtbot.waitUntil(lambda: picture not in viewer.layers)
    assert cells.painted.layer is None


def test_a_picture_that_is_removed_comes_back_with_the_next_change(
    cells: CellsLayer, viewer: ViewerModel, session: Session, qtbot: QtBot
) -> None:
    viewer.layers.remove(cells.painted.layer)
    assert cells.painted.layer is None
    session.select([int(session.boxes.cell_id[0])])
    qtbot.waitUntil(lambda: cells.painted.layer in viewer.layers)


@pytest.mark.parametrize(
    ("labels", "shape", "steps"),
    [
        (("z", "y", "x"), (3, 200, 300), (1,)),
        (("t", "image", "y", "x"), (4, 2, 200, 300), (1, 2)),
        (("image", "z", "c", "y", "x"), (2, 3, 2, 200, 300), (2, 1, 1)),
        (("y", "x"), (200, 300), ()),
    ],
)
def test_the_picture_lies_over_an_image_of_any_axes(
    viewer: ViewerModel,
    session: Session,
    qtbot: QtBot,
    labels: tuple[str, ...],
    shape: tuple[int, ...],
    steps: tuple[int, ...],
) -> None:
    scale = [*range(2, len(shape)), 0.5, 0.5]
    image = viewer.add_image(np.zeros(shape, np.uint8), axis_labels=labels, scale=scale)
    cells = CellsLayer(viewer, session)
    cells.attach(image)
    session.editor.merge(BOXES)
    qtbot.waitUntil(lambda: cells.painted.layer is not None)
    picture = cells.painted.layer
    assert picture.data[0].shape == (*steps, 200, 300, 4)
    assert np.asarray(picture.data[0]).shape == (*steps, 200, 300, 4)
    for axis in range(len(labels) - 2):
        if labels[axis] != "image":
            viewer.dims.set_point(axis, image.data_to_world([1] * image.ndim)[axis])
    session.select([int(session.boxes.cell_id[5])])

    def is_shown() -> bool:
        world = [*viewer.dims.point[:-2], 40.5 / 2, 60.5 / 2]  # the corner of a box
        _, value = picture.get_value(world, world=True)
        return value is not None and value[3] > 0

    qtbot.waitUntil(is_shown)
    cells.stop_listening()


def test_the_picture_goes_with_its_owner_even_if_it_is_gone(
    cells: CellsLayer, viewer: ViewerModel, session: Session, qtbot: QtBot
) -> None:
    cells.stop_listening()
    assert [layer.name for layer in viewer.layers if layer.name == painted_boxes.LAYER_NAME] == []
    again = CellsLayer(viewer, session)
    again.attach(viewer.layers[0])
    qtbot.waitUntil(lambda: again.painted.layer is not None)
    assert again.painted.layer.name == painted_boxes.LAYER_NAME
    with viewer.layers.events.blocker_all():
        viewer.layers.remove(again.painted.layer)
    again.stop_listening()


def test_portions_hold_what_is_in_view_if_that_is_little() -> None:
    part = Portion.of_sample(BOXES, 0, view=[0, 0, 60, 60])
    assert len(part.held(BOXES)) == 9 and len(part.others(BOXES)) == 141
    assert Portion.of_sample(BOXES, 0, view=[0, 0, 300, 200]).view == NOWHERE
    assert Portion.of_sample(BOXES, 0).view == NOWHERE
    wide = Portion.of_sample(BOXES, 0, reach=1, view=[100, 100, 140, 140])
    assert wide.view == (80, 80, 160, 160)
    assert wide.is_enough_for(Portion((0,), (90, 90, 130, 130)))
    assert wide.is_enough_for(Portion((0,), NOWHERE))
    assert not wide.is_enough_for(Portion((0,), (10, 90, 130, 130)))
    assert not wide.is_enough_for(Portion((1,), NOWHERE))
    assert not Portion((0,)).is_enough_for(part) and not wide.is_enough_for(Portion((0,)))


def painted(xyxy: list[float], width: float, factor: int = 1, marked: bool = False) -> Any:
    """Return which pixels of a picture of 24 x 30 px one box paints."""
    picture = PaintedImage((24, 30))
    red = as_pixels([[1, 0, 0, 1]])
    picture.show(np.array([xyxy], np.float32), red, np.array([width]), np.array([marked]))
    pixels = np.asarray(picture.at(factor))
    assert set(map(tuple, pixels.reshape(-1, 4).tolist())) <= {(0, 0, 0, 0), (255, 0, 0, 255)}
    return pixels[..., 3] > 0


def test_edges_are_painted_where_they_are() -> None:
    expected = np.zeros((24, 30), bool)
    expected[5:17, 3:20] = True
    expected[8:14, 6:17] = False
    assert np.array_equal(painted([3, 5, 20, 17], 3.2), expected)
    expected = np.zeros((12, 15), bool)
    expected[2:9, 1:10] = True
    expected[4:7, 3:8] = False
    assert np.array_equal(painted([3, 5, 20, 17], 3.2, factor=2), expected)


def test_boxes_over_the_border_are_painted_within() -> None:
    seen = painted([-8, -8, 6, 40], 2)
    assert seen[:, 4:6].all() and not seen[:, :4].any() and not seen[:, 6:].any()


def test_the_smallest_cell_is_a_dot_and_a_selected_one_is_larger() -> None:
    assert painted([4.1, 4.1, 4.4, 4.4], 0.1, factor=8).sum() == 1
    assert painted([14, 10, 16, 12], 1, marked=True).sum() > 40


def test_a_part_is_painted_as_in_the_whole() -> None:
    picture = PaintedImage((200, 300))
    count = len(BOXES)
    colours = as_pixels(np.random.default_rng(0).random((count, 4)))
    picture.show(BOXES.xyxy, colours, np.full(count, 1.0), np.zeros(count, bool))
    whole = np.asarray(picture.at(2))
    assert np.array_equal(picture.at(2)[13:70, 29:140], whole[13:70, 29:140])
