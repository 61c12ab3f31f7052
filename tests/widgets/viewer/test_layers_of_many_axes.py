"""Boxes over layers of any rank, beside layers of more axes, and with other axes shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import pytest
from support.pages.attention_mil import ImagesPage
from support.pages.page import Page

from napari_attmil.widgets.viewer.boxes_writer import write_boxes
from napari_attmil.widgets.viewer.layer_edits import TURNED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari.components import ViewerModel
    from pytestqt.qtbot import QtBot

    from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget
    from napari_attmil.widgets.context import PanelContext

    MakePanel = Callable[[Any], AttentionMILWidget]

BOX = [10, 20, 40, 30]


def grey(*shape: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)


@pytest.fixture
def context(viewer: ViewerModel, make_panel: MakePanel) -> PanelContext:
    return make_panel(viewer).context


def rectangle(*leading: float) -> npt.NDArray[Any]:
    corners = [[20, 10], [20, 40], [30, 40], [30, 10]]
    return np.array([[*leading, *corner] for corner in corners], dtype=float)


def is_seen(viewer: ViewerModel, context: PanelContext) -> bool:
    """Return whether napari finds a box of the layer in the middle of BOX, as it is shown now."""
    layer, place = context.cells.layer, np.array(viewer.dims.point, dtype=float)
    place[-2:] = context.cells.camera.image.data_to_world((0,) * layer.ndim)[-2:]
    place[-2:] += np.array([25, 25]) * context.cells.camera.image.scale[-2:]
    return layer.get_value(place, world=True)[0] is not None


def test_a_stack_beside_a_layer_of_more_axes_turns_along_its_own_slider(
    viewer: ViewerModel, context: PanelContext
) -> None:
    viewer.add_image(grey(3, 50, 60), name="bright field", scale=[2, 1, 1])
    viewer.add_labels(np.zeros((4, 5, 50, 60), np.uint8))
    viewer.dims.set_point(0, 3)
    camera = context.cells.camera
    camera.turn_to(2)
    assert viewer.dims.point[:2] == (3, 4) and camera.image_index() == 2
    context.session.editor.add(2, BOX)
    camera.turn_to(0)
    assert not is_seen(viewer, context)
    context.cells.show_cell(1)
    assert viewer.dims.point[0] == 3 and camera.image_index() == 2 and is_seen(viewer, context)


def test_arrow_keys_turn_the_images_and_stop_at_the_last(
    viewer: ViewerModel, context: PanelContext
) -> None:
    viewer.add_image(grey(2, 50, 60))
    viewer.add_labels(np.zeros((4, 5, 50, 60), np.uint8))
    viewer.dims.set_point([0, 1], [0, 0])
    for _ in range(3):
        context.cells.camera.step(1)
    assert viewer.dims.current_step[:2] == (0, 1)


@pytest.mark.parametrize("scale", [[1, 1, 1, 1], [1, 0.3, 0.5, 0.5]])
def test_boxes_of_an_image_are_seen_on_each_of_its_planes_and_on_no_other_image(
    viewer: ViewerModel, context: PanelContext, scale: list[float]
) -> None:
    viewer.add_image(grey(2, 5, 50, 60), name="places", scale=scale)
    viewer.dims.set_current_step([0, 1], [1, 2])
    context.session.editor.add(1, BOX)
    for plane in range(5):
        viewer.dims.set_current_step([0, 1], [1, plane])
        assert is_seen(viewer, context)
    viewer.dims.set_current_step(0, 0)
    assert not is_seen(viewer, context)
    steps = [axis.stop / axis.step for axis in viewer.dims.range]
    np.testing.assert_allclose(steps[:2], [1, 4])  # the sliders are as they were


def test_a_box_drawn_on_any_plane_is_of_the_image(
    viewer: ViewerModel, context: PanelContext
) -> None:
    viewer.add_image(grey(2, 3, 4, 50, 60), name="places")
    viewer.dims.set_current_step([0, 1, 2], [1, 2, 3])
    context.cells.start_drawing()
    # napari gives it the coordinates of the layer at which the sliders stand.
    leading = context.cells.layer.world_to_data(viewer.dims.point)[:3]
    assert list(leading) == [1, 0, 0]
    context.cells.layer.add(rectangle(*leading))
    boxes = context.session.boxes
    assert boxes.image_index.tolist() == [1] and boxes.xyxy.tolist() == [BOX]
    viewer.dims.set_current_step([1, 2], [0, 0])
    assert is_seen(viewer, context)


def test_what_the_slider_shows_is_searched(
    viewer: ViewerModel, context: PanelContext, qtbot: QtBot
) -> None:
    data = grey(2, 4, 50, 60)
    viewer.add_image(data, name="places")
    viewer.dims.set_current_step([0, 1], [0, 3])
    assert context.images is not None and len(context.images) == 2
    np.testing.assert_array_equal(context.images[1], data[1, 3])
    with qtbot.waitSignal(context.images_changed):  # thumbnails are cut anew
        viewer.dims.set_current_step(1, 2)
    np.testing.assert_array_equal(context.images[1], data[1, 2])


def test_each_time_point_has_boxes_of_its_own_and_undo_goes_there(
    viewer: ViewerModel, context: PanelContext
) -> None:
    viewer.add_image(grey(3, 2, 50, 60), name="film", axis_labels=("t", "z", "y", "x"))
    session = context.session
    viewer.dims.set_current_step([0, 1], [0, 1])
    session.editor.add(0, BOX)
    assert session.sample is not None and session.sample.name == "film, t 1 of 3"
    viewer.dims.set_current_step(0, 2)
    assert len(session.boxes) == 0 and context.cells.layer.nshapes == 0
    session.editor.add(0, [1, 2, 9, 8])
    viewer.dims.set_current_step(0, 0)
    assert session.boxes.xyxy.tolist() == [BOX] and is_seen(viewer, context)
    context.undo()
    assert viewer.dims.current_step[:2] == (2, 1) and len(session.boxes) == 0
    context.undo()
    assert viewer.dims.current_step[:2] == (0, 1) and len(session.boxes) == 0
    viewer.dims.set_current_step(0, 1)
    context.redo()
    assert viewer.dims.current_step[:2] == (0, 1) and session.boxes.xyxy.tolist() == [BOX]


def test_planes_of_one_place_are_one_image(viewer: ViewerModel, context: PanelContext) -> None:
    viewer.add_image(grey(5, 50, 60), name="focus", axis_labels=("z", "y", "x"))
    context.session.editor.add(0, BOX)
    assert context.session.sample is not None and len(context.session.sample) == 1
    for plane in (4, 0):
        viewer.dims.set_current_step(0, plane)
        assert is_seen(viewer, context) and context.cells.camera.image_index() == 0


def test_other_labels_make_other_images(viewer: ViewerModel, context: PanelContext) -> None:
    layer = viewer.add_image(grey(5, 50, 60), name="focus")
    assert context.images is not None and len(context.images) == 5
    layer.axis_labels = ("z", "y", "x")
    assert len(context.images) == 1


@pytest.mark.parametrize("kind", ["dask", "multiscale", "multiscale dask"])
def test_layers_that_are_no_plain_array_work_the_same(
    viewer: ViewerModel, context: PanelContext, kind: str
) -> None:
    pixels = grey(2, 3, 50, 60)
    data: Any = da.from_array(pixels, chunks=(1, 1, 50, 60)) if "dask" in kind else pixels
    levels = [data, data[..., ::2, ::2]]
    viewer.add_image(levels if "multi" in kind else data, multiscale="multi" in kind, name="many")
    viewer.dims.set_current_step([0, 1], [1, 2])
    context.session.editor.add(1, BOX)
    assert context.images is not None and context.session.records.is_saved(context.session.key)
    np.testing.assert_array_equal(context.images[1], pixels[1, 2])
    assert context.cells.camera.image_index() == 1 and is_seen(viewer, context)


def test_transposed_axes_are_drawn_on_and_looked_at(
    viewer: ViewerModel, context: PanelContext
) -> None:
    viewer.add_image(grey(3, 50, 60), scale=[1, 2, 2])
    viewer.dims.order = (0, 2, 1)
    viewer.dims.set_current_step(0, 1)
    context.cells.start_drawing()
    context.cells.layer.add(rectangle(1))
    assert context.session.boxes.xyxy.tolist() == [BOX]
    context.cells.show_cell(1)
    # x goes down now: its middle is (25, 25) px, of 2 units each.
    center = viewer.scene.camera.center
    assert tuple(center[-2:]) == (50, 50)
    offsets = context.cells.offsets_of(1)
    assert offsets is not None
    assert np.ptp(offsets[:, 1]) == pytest.approx(3 * np.ptp(offsets[:, 0]))
    assert context.cells.cell_at((*viewer.dims.point[:1], 50, 50)) == 1
    np.testing.assert_allclose(context.cells.camera.middle(), [1, 50, 50])


def test_with_other_axes_in_view_nothing_is_drawn_and_a_button_turns_them_back(
    viewer: ViewerModel, context: PanelContext, make_panel: MakePanel, qtbot: QtBot
) -> None:
    viewer.add_image(grey(30, 50, 60))
    context.cells.start_drawing()
    viewer.dims.order = (1, 2, 0)
    across = np.array([[2, 25, 10], [2, 25, 40], [9, 25, 40], [9, 25, 10]], dtype=float)
    context.cells.layer.add(across)
    qtbot.waitUntil(lambda: context.cells.layer.nshapes == 0)
    assert len(context.session.boxes) == 0
    (message,) = context.shared_board.messages
    assert message.text == TURNED
    ((name, turn_back),) = message.actions
    assert name == "Turn back"
    turn_back()
    assert viewer.dims.order == (0, 1, 2) and context.cells.camera.shows_images
    context.cells.layer.add(rectangle(2))
    assert context.session.boxes.xyxy.tolist() == [BOX]


def test_drawing_in_three_dimensions_is_refused_aloud(
    viewer: ViewerModel, context: PanelContext
) -> None:
    viewer.add_image(grey(30, 50, 60))
    viewer.dims.ndisplay = 3
    context.cells.start_drawing()
    assert context.cells.layer is None
    assert [message.text for message in context.shared_board.messages] == [TURNED]
    assert context.cells.camera.view_xyxy() is None


def test_last_axes_that_are_no_rows_and_columns_are_refused_aloud(
    viewer: ViewerModel, make_panel: MakePanel
) -> None:
    panel = make_panel(viewer)
    viewer.add_image(np.zeros((50, 60, 5)), rgb=False, axis_labels=("y", "x", "c"))
    assert panel.context.image_choice.chosen is None
    ((message, *_),) = [Page(panel).messages()]
    assert "'x' and 'c'" in message and "axis 'c' before them" in message


def test_the_panel_says_what_the_axes_are_taken_for(
    viewer: ViewerModel, make_panel: MakePanel
) -> None:
    panel = make_panel(viewer)
    viewer.add_image(grey(3, 4, 50, 60), axis_labels=("t", "z", "y", "x"), name="film")
    text = ImagesPage(panel.images_step).text("info")
    assert "Along 't' each step has boxes of its own" in text
    assert "Along 'z' the same cells are shown" in text
    viewer.dims.set_current_step(0, 1)
    (message,) = Page(panel).messages()  # told once, where step 1 may be folded
    assert message.startswith("film: Along 't'")


def test_a_saved_layer_has_the_images_of_its_boxes(
    viewer: ViewerModel, context: PanelContext, tmp_path: Path
) -> None:
    viewer.add_image(grey(4, 3, 50, 60), axis_labels=("z", "p", "y", "x"), name="many")
    context.session.editor.add(2, BOX)
    write_boxes(str(tmp_path / "a.csv"), *context.cells.layer.as_layer_data_tuple()[:2])
    header, row = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()
    assert dict(zip(header.split(","), row.split(","), strict=True))["frame"] == "2"
