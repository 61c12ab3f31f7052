from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from matplotlib.colors import to_rgba
from napari.layers import Image, Shapes
from support.predictions import prediction

from napari_attmil.cells.boxes import Boxes, Source
from napari_attmil.explore.colours import MODEL_COLOUR, PERSON_COLOUR, UNSCORED_COLOUR
from napari_attmil.images.cohort import Sample
from napari_attmil.session import LayerKey
from napari_attmil.session.exploration import Exploration
from napari_attmil.session.session import Session
from napari_attmil.widgets.viewer.box_shapes import from_vertices, to_vertices
from napari_attmil.widgets.viewer.layers import CellsLayer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel
    from pytestqt.qtbot import QtBot

DETECTED = Boxes.from_detections(
    [0, 0, 2], [[10, 20, 40, 30], [50, 20, 70, 40], [10, 60, 30, 80]], [0.9, 0.8, 0.7]
)


def rectangle(
    frame: int, x_min: float, y_min: float, x_max: float, y_max: float
) -> npt.NDArray[Any]:
    corners = [[y_min, x_min], [y_min, x_max], [y_max, x_max], [y_max, x_min]]
    return np.array([[frame, *corner] for corner in corners], dtype=float)


@pytest.fixture
def shown_sample() -> Session:
    """Return a session that shows a sample without boxes."""
    session = Session()
    session.show(Sample("blood", "p", None, ()), LayerKey(layer="key"))
    return session


@pytest.fixture
def exploration(shown_sample: Session) -> Exploration:
    return Exploration(shown_sample)


@pytest.fixture
def cells(
    viewer: ViewerModel, stack: Image, shown_sample: Session, exploration: Exploration
) -> Iterator[CellsLayer]:
    viewer.add_layer(stack)
    cells = CellsLayer(viewer, shown_sample, exploration)
    cells.attach(stack)
    yield cells
    cells.stop_listening()


@pytest.fixture
def session(cells: CellsLayer, shown_sample: Session) -> Session:
    shown_sample.editor.merge(DETECTED)
    return shown_sample


def shown(cells: CellsLayer) -> dict[int, tuple[int, list[float]]]:
    """Return what the layer shows as {cell_id: (frame, xyxy)}."""
    images, xyxy = from_vertices(cells.layer.data)
    ids = cells.layer.features["cell_id"]
    return {int(i): (int(f), box.tolist()) for i, f, box in zip(ids, images, xyxy, strict=True)}


def kept(session: Session) -> dict[int, tuple[int, list[float]]]:
    boxes = session.boxes
    return {
        int(i): (int(f), box.tolist())
        for i, f, box in zip(boxes.cell_id, boxes.image_index, boxes.xyxy, strict=True)
    }


def test_x_is_the_column_and_y_the_row() -> None:
    vertices = to_vertices(DETECTED[[2]], 3)[0]
    assert vertices.tolist() == [[2, 60, 10], [2, 60, 30], [2, 80, 30], [2, 80, 10]]
    assert to_vertices(DETECTED[[2]], 2)[0].tolist() == [[60, 10], [60, 30], [80, 30], [80, 10]]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 9),
            st.floats(-100, 5000, width=32),
            st.floats(-100, 5000, width=32),
            st.integers(3, 99),
            st.integers(3, 99),
        ),
        max_size=10,
    )
)
def test_boxes_to_shapes_and_back_are_the_same(
    rows: list[tuple[int, float, float, int, int]],
) -> None:
    images = [row[0] for row in rows]
    xyxy = np.array([[x, y, x + w, y + h] for _, x, y, w, h in rows], dtype=np.float32).reshape(
        -1, 4
    )
    boxes = Boxes.from_detections(images, xyxy, np.ones(len(rows)))
    back_images, back_xyxy = from_vertices(list(to_vertices(boxes, 3)))
    np.testing.assert_array_equal(back_images, images)
    np.testing.assert_array_equal(back_xyxy, xyxy)


def test_rotated_rectangle_becomes_the_upright_box_around_it() -> None:
    diamond = np.array([[1, 0, 10], [1, 10, 20], [1, 20, 10], [1, 10, 0]], dtype=float)
    images, xyxy = from_vertices([diamond])
    assert images.tolist() == [1] and xyxy.tolist() == [[0, 0, 20, 20]]


def test_detection_becomes_a_layer_with_scores_and_ids(cells: CellsLayer, session: Session) -> None:
    assert shown(cells) == kept(session)
    features = cells.layer.features
    assert features["score"].round(3).tolist() == [0.9, 0.8, 0.7]
    assert features["source"].tolist() == ["model"] * 3


def test_layer_lies_where_the_image_lies(cells: CellsLayer, session: Session, stack: Image) -> None:
    np.testing.assert_array_equal(cells.layer.scale, stack.scale)
    np.testing.assert_array_equal(cells.layer.translate, stack.translate)
    assert cells.layer.units == stack.units
    stack.scale = [1, 2, 2]
    np.testing.assert_array_equal(cells.layer.scale, [1, 2, 2])


def test_drawn_box_goes_into_the_session_in_pixels(cells: CellsLayer, session: Session) -> None:
    cells.layer.add(rectangle(1, 5, 6, 25, 36))
    assert kept(session)[4] == (1, [5, 6, 25, 36])
    assert shown(cells) == kept(session)
    assert session.boxes.source[session.boxes.index_of(4)] == Source.PERSON
    assert cells.layer.features["source"].tolist()[-1] == "person"


def test_several_boxes_added_at_once_are_all_followed(cells: CellsLayer, session: Session) -> None:
    cells.layer.add([rectangle(1, 5, 6, 25, 36), rectangle(2, 5, 6, 25, 36)])
    assert len(session.boxes) == 5 and shown(cells) == kept(session)


def test_deleted_box_leaves_the_session(cells: CellsLayer, session: Session) -> None:
    cells.layer.selected_data = {1}
    cells.layer.remove_selected()
    assert set(kept(session)) == {1, 3}
    assert shown(cells) == kept(session)


def test_moved_box_keeps_its_id_and_becomes_a_persons(cells: CellsLayer, session: Session) -> None:
    data = [np.array(vertices) for vertices in cells.layer.data]
    data[0][:, 1:] += 7
    cells.layer.data = data
    assert kept(session)[1] == (0, [17, 27, 47, 37])
    assert session.boxes.source.tolist() == [Source.PERSON, Source.MODEL, Source.MODEL]
    assert cells.layer.features["source"].tolist() == ["person", "model", "model"]


def test_pasted_boxes_get_ids_of_their_own(
    cells: CellsLayer, session: Session, viewer: ViewerModel
) -> None:
    viewer.layers.selection.active = cells.layer
    cells.layer.mode = "select"
    viewer.dims.set_point(0, 0)
    cells.layer.selected_data = {0, 1}
    # napari's own paste, the one route that tells of no change of data.
    cells.layer._copy_data()
    cells.layer._paste_data()
    assert len(session.boxes) == 5
    assert cells.layer.features["cell_id"].is_unique
    assert shown(cells) == kept(session)


def test_stray_click_leaves_nothing(cells: CellsLayer, session: Session, qtbot: QtBot) -> None:
    cells.layer.add(rectangle(1, 5, 6, 7.5, 8.5))
    qtbot.waitUntil(lambda: cells.layer.nshapes == 3)
    assert set(kept(session)) == {1, 2, 3}


def test_polygon_becomes_the_box_that_the_session_holds(
    cells: CellsLayer, session: Session, qtbot: QtBot
) -> None:
    triangle = np.array([[1, 10, 10], [1, 10, 40], [1, 30, 25]], dtype=float)
    cells.layer.add(triangle, shape_type="polygon")
    assert kept(session)[4] == (1, [10, 10, 40, 30])
    qtbot.waitUntil(lambda: set(cells.layer.shape_type) == {"rectangle"})
    assert shown(cells) == kept(session)


def test_undo_is_seen_in_the_layer(cells: CellsLayer, session: Session) -> None:
    before = shown(cells)
    cells.layer.add(rectangle(1, 5, 6, 25, 36))
    cells.layer.selected_data = {0}
    cells.layer.remove_selected()
    session.editor.undo()
    session.editor.undo()
    assert shown(cells) == before == kept(session)
    features = cells.layer.features.set_index("cell_id")
    assert features["score"].round(3).to_dict() == {1: 0.9, 2: 0.8, 3: 0.7}


def test_all_boxes_deleted_and_drawn_again(cells: CellsLayer, session: Session) -> None:
    cells.layer.selected_data = {0, 1, 2}
    cells.layer.remove_selected()
    assert len(session.boxes) == 0
    cells.layer.add(rectangle(0, 5, 6, 25, 36))
    assert shown(cells) == kept(session) == {4: (0, [5, 6, 25, 36])}


def test_only_boxes_that_changed_are_drawn_anew(
    cells: CellsLayer, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, removed, remove = [], [], cells.layer.remove
    cells.layer.events.data.connect(lambda event: told.append(cells.layer.nshapes))
    monkeypatch.setattr(cells.layer, "remove", lambda rows: (removed.extend(rows), remove(rows)))
    session.editor.move(2, [52, 22, 72, 42])
    session.editor.add(0, [80, 50, 100, 70])
    session.editor.delete([1])
    assert shown(cells) == kept(session)
    assert len(removed) == 2
    assert told == [3, 4, 3], "whoever listens hears of an edit once, when all of it is there"


def test_frames_are_drawn_once_and_only_where_there_are_some(
    cells: CellsLayer, session: Session
) -> None:
    framed = []
    session.select([])
    cells.layer.events.highlight.connect(
        lambda event: framed.append(cells.layer.features["cell_id"].to_numpy()[selected()])
    )

    def selected() -> list[int]:
        return sorted(cells.layer.selected_data)

    session.editor.add(0, [80, 50, 100, 70])
    assert framed == []
    session.select([2])
    framed.clear()
    session.editor.move(2, [52, 22, 72, 42])
    assert [ids.tolist() for ids in framed] == [[2]]
    session.editor.delete([2])
    assert [ids.tolist() for ids in framed] == [[2], []], "the frame goes with its box"


def test_picture_of_the_layer_is_drawn_once_in_a_pause(
    cells: CellsLayer, session: Session, qtbot: QtBot
) -> None:
    drawn = []
    cells.layer.events.thumbnail.connect(lambda event: drawn.append(cells.layer.nshapes))
    session.editor.add(0, [80, 50, 100, 70])
    session.editor.delete([1, 2])
    assert drawn == []
    qtbot.waitUntil(lambda: drawn == [2], timeout=5000)


def test_accepted_box_has_a_bolder_edge(cells: CellsLayer, session: Session) -> None:
    session.editor.accept([1])
    widths = dict(zip(cells.layer.features["cell_id"], cells.layer.edge_width, strict=True))
    assert widths[1] > widths[2] == widths[3]


def test_boxes_turn_dark_while_the_image_is_bright_as_it_is_displayed(
    cells: CellsLayer, session: Session, stack: Image, exploration: Exploration
) -> None:
    def mean_of_edges() -> float:
        return float(cells.layer.edge_color[:, :3].mean())

    on_grey = mean_of_edges()
    stack.contrast_limits = (0, 100)
    assert exploration.is_on_bright and mean_of_edges() < on_grey - 0.2
    assert np.allclose(to_rgba(cells.layer.current_edge_color), (0.75, 0.25, 0, 1), atol=0.01)
    stack.contrast_limits = (0, 255)
    assert not exploration.is_on_bright and mean_of_edges() == pytest.approx(on_grey)


def test_turning_to_a_bright_image_turns_the_boxes_dark(
    viewer: ViewerModel, shown_sample: Session, exploration: Exploration
) -> None:
    images = np.stack([np.full((40, 50), 20, np.uint8), np.full((40, 50), 240, np.uint8)])
    layer = viewer.add_image(images, contrast_limits=(0, 255))
    cells = CellsLayer(viewer, shown_sample, exploration)
    cells.attach(layer)
    seen = []
    for page in (0, 1, 0):
        viewer.dims.set_point(0, page)
        seen.append(exploration.is_on_bright)
    assert seen == [False, True, False]
    cells.stop_listening()


def test_model_and_person_can_be_told_with_and_without_colour(
    cells: CellsLayer, session: Session
) -> None:
    session.editor.add(0, [80, 50, 100, 70])
    colours = np.round(cells.layer.edge_color, 4)
    widths = dict(zip(cells.layer.features["source"], cells.layer.edge_width, strict=True))
    assert colours[0].tolist() == pytest.approx(MODEL_COLOUR)
    assert PERSON_COLOUR in [pytest.approx(tuple(colour)) for colour in colours.tolist()]
    assert widths["person"] > widths["model"]


SAID = prediction([3, 2, 1], [0.7, 0.2, 0.1], np.outer([0.7, 0.2, 0.1], [-1, 1]))


def test_boxes_are_coloured_by_attention_of_their_own_cell(
    cells: CellsLayer, session: Session
) -> None:
    session.predictions.set(SAID, session.boxes)
    by_id = dict(zip(cells.layer.features["cell_id"], cells.layer.edge_color, strict=True))
    assert by_id[3].tolist() == [1, 1, 1, 1]
    assert by_id[1][2] > by_id[1][0] and by_id[1][0] < 0.1


def test_new_box_after_classification_is_visibly_new(cells: CellsLayer, session: Session) -> None:
    session.predictions.set(SAID, session.boxes)
    cells.layer.add(rectangle(1, 5, 6, 25, 36))
    assert tuple(cells.layer.edge_color[-1]) == pytest.approx(UNSCORED_COLOUR)


@pytest.mark.parametrize("priority", [1, -1], ids=["first", "last"])
def test_colours_are_right_whether_the_exploration_hears_of_a_change_first_or_last(
    viewer: ViewerModel, stack: Image, priority: int
) -> None:
    session = Session()
    session.show(Sample("blood", "p", None, ()), LayerKey(layer="key"))
    exploration = Exploration(session)
    cells = CellsLayer(viewer, session, exploration)
    for signal, slot in (
        (session.boxes_changed, exploration._on_boxes),
        (session.prediction_changed, exploration._on_values),
        (session.selection_changed, exploration._on_session_selection),
    ):
        signal.disconnect(slot)
        signal.connect(slot, priority=priority)
    viewer.add_layer(stack)
    cells.attach(stack)
    session.editor.merge(DETECTED)
    session.predictions.set(SAID, session.boxes)
    assert cells.layer.edge_color[2].tolist() == [1, 1, 1, 1]
    session.editor.move(3, [12, 62, 32, 82])
    assert tuple(cells.layer.edge_color[2]) == pytest.approx(UNSCORED_COLOUR)
    assert shown(cells) == kept(session)
    session.editor.undo()
    assert cells.layer.edge_color[2].tolist() == [1, 1, 1, 1]
    session.select([2])
    assert cells.layer.selected_data == {1}
    cells.stop_listening()


def test_measured_values_colour_the_boxes_at_once(
    cells: CellsLayer, session: Session, exploration: Exploration
) -> None:
    exploration.colour(column="area", scale="linear")
    exploration.add_measured(
        LayerKey(layer="key"), session.boxes, pd.DataFrame({"area": [1.0, 3.0, 2.0]})
    )
    assert cells.layer.edge_color[1].tolist() == [1, 1, 1, 1]


def test_slider_fades_cells_of_low_attention_only(
    cells: CellsLayer, session: Session, exploration: Exploration
) -> None:
    session.predictions.set(SAID, session.boxes)
    exploration.colour(low=0.6)
    alpha = dict(zip(cells.layer.features["cell_id"], cells.layer.edge_color[:, 3], strict=True))
    assert alpha[3] == 1 and 0 < alpha[2] < 0.3 and 0 < alpha[1] < 0.3


def test_jump_turns_to_the_image_centres_and_selects(
    cells: CellsLayer, session: Session, viewer: ViewerModel
) -> None:
    cells.show_cell(3)
    assert viewer.dims.current_step[0] == 2
    # Centre (20, 70) px, half a micrometre a pixel, at (20, 10): world (x 30, y 45).
    assert viewer.scene.camera.center[-2:] == pytest.approx((45, 30))
    assert session.selection == (3,)
    assert {int(cells.layer.features["cell_id"][row]) for row in cells.layer.selected_data} == {3}


def test_selection_in_the_layer_reaches_the_session_and_back(
    cells: CellsLayer, session: Session
) -> None:
    cells.layer.selected_data = {0, 2}
    assert session.selection == (1, 3)
    session.select([2])
    assert cells.layer.selected_data == {1}


def test_current_image_is_told_in_steps_of_the_stack(
    cells: CellsLayer, session: Session, viewer: ViewerModel
) -> None:
    viewer.dims.set_point(0, 2)
    assert cells.camera.image_index() == 2


def test_removed_layer_loses_no_cells_and_comes_back(
    cells: CellsLayer, session: Session, viewer: ViewerModel
) -> None:
    viewer.layers.remove(cells.layer)
    assert cells.layer is None
    assert len(session.boxes) == 3
    session.editor.add(0, [80, 50, 100, 70])
    assert shown(cells) == kept(session)


def test_renamed_layer_is_still_followed(cells: CellsLayer, session: Session) -> None:
    cells.layer.name = "something else"
    cells.layer.add(rectangle(1, 5, 6, 25, 36))
    assert len(session.boxes) == 4


def test_two_dimensional_image_has_boxes_without_a_frame(
    cells: CellsLayer, session: Session, viewer: ViewerModel
) -> None:
    flat = viewer.add_image(np.zeros((50, 60), np.uint8), name="flat")
    session.show(Sample("flat", "p", None, ()), LayerKey(layer="flat"))
    cells.attach(flat)
    session.editor.merge(Boxes.from_detections([0], [[1, 2, 21, 12]], [0.5]))
    assert cells.layer.ndim == 2
    assert cells.layer.data[0].tolist() == [[2, 1], [2, 21], [12, 21], [12, 1]]
    cells.layer.add(np.array([[20, 20], [20, 40], [40, 40], [40, 20]], dtype=float))
    assert kept(session)[2] == (0, [20, 20, 40, 40])
    assert [layer.name for layer in viewer.layers if isinstance(layer, Shapes)] == ["Cells"]


def test_colour_image_is_two_dimensional(
    cells: CellsLayer, session: Session, viewer: ViewerModel
) -> None:
    colour = viewer.add_image(np.zeros((50, 60, 3), np.uint8), name="colour", rgb=True)
    assert isinstance(colour, Image)
    session.show(Sample("colour", "p", None, ()), LayerKey(layer="colour"))
    cells.attach(colour)
    session.editor.add(0, [1, 2, 21, 12])
    assert cells.layer.ndim == 2


def test_boxes_of_a_detection_are_ordered_by_image(cells: CellsLayer, session: Session) -> None:
    session.editor.merge(DETECTED[[2, 0, 1]])
    images, _ = from_vertices(cells.layer.data)
    assert images.tolist() == sorted(images.tolist())


def test_closed_layer_is_followed_no_more(cells: CellsLayer, session: Session) -> None:
    layer = cells.layer
    cells.stop_listening()
    layer.add(rectangle(1, 5, 6, 25, 36))
    assert len(session.boxes) == 3
