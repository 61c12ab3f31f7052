"""The layer of boxes when it holds those of the shown image and its neighbours only."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from napari_attmil.cells.boxes import Boxes
from napari_attmil.images.cohort import Sample
from napari_attmil.session import LayerKey
from napari_attmil.session.exploration import Exploration
from napari_attmil.session.session import Session
from napari_attmil.widgets.viewer import box_shapes
from napari_attmil.widgets.viewer.box_shapes import from_vertices
from napari_attmil.widgets.viewer.boxes_writer import write_boxes
from napari_attmil.widgets.viewer.layers import CellsLayer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Image
    from pytestqt.qtbot import QtBot

CORNERS = [[10, 20, 40, 30], [50, 20, 70, 40], [10, 60, 30, 80]]
DETECTED = Boxes.from_detections([0, 0, 2], CORNERS, [0.9, 0.8, 0.7])


def rectangle(
    frame: int, x_min: float, y_min: float, x_max: float, y_max: float
) -> npt.NDArray[Any]:
    corners = [[y_min, x_min], [y_min, x_max], [y_max, x_max], [y_max, x_min]]
    return np.array([[frame, *corner] for corner in corners], dtype=float)


@pytest.fixture(autouse=True)
def two_boxes_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box_shapes, "MOST_SHAPES", 1)


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
    shown_sample.editor.merge(DETECTED)
    viewer.dims.set_point(0, 0)
    yield cells
    cells.stop_listening()


@pytest.fixture
def session(cells: CellsLayer, shown_sample: Session) -> Session:
    return shown_sample


def shown(cells: CellsLayer) -> dict[int, tuple[int, list[float]]]:
    """Return what the layer shows as {cell_id: (frame, xyxy)}."""
    images, xyxy = from_vertices(cells.layer.data)
    ids = cells.layer.features["cell_id"]
    return {int(i): (int(f), box.tolist()) for i, f, box in zip(ids, images, xyxy, strict=True)}


def kept(session: Session, image: int | None = None) -> dict[int, tuple[int, list[float]]]:
    boxes = session.boxes if image is None else session.boxes.of_image(image)
    return {
        int(i): (int(f), box.tolist())
        for i, f, box in zip(boxes.cell_id, boxes.image_index, boxes.xyxy, strict=True)
    }


def delete_rows(cells: CellsLayer, rows: Any) -> None:
    cells.layer.selected_data = set(rows)
    cells.layer.remove_selected()


def test_layer_holds_the_boxes_of_the_image_shown(
    cells: CellsLayer, session: Session, viewer: ViewerModel
) -> None:
    assert set(shown(cells)) == {1, 2}
    viewer.dims.set_point(0, 2)
    assert shown(cells) == kept(session, 2) == {3: (2, [10, 60, 30, 80])}
    viewer.dims.set_point(0, 1)
    assert shown(cells) == {}


def test_turning_to_another_image_changes_no_box(
    cells: CellsLayer, session: Session, viewer: ViewerModel
) -> None:
    heard = []
    session.boxes_changed.connect(lambda: heard.append(1))
    for frame in (1, 2, 0):
        viewer.dims.set_point(0, frame)
    assert heard == [] and session.boxes.digest() == DETECTED.digest()
    assert session.editor.undo_title == "Detect cells"


def test_few_boxes_are_held_all_at_once(
    cells: CellsLayer, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(box_shapes, "MOST_SHAPES", 3)
    session.select([])
    session.editor.accept([1])
    assert shown(cells) == kept(session) and len(shown(cells)) == 3
    session.editor.add(1, [5, 6, 25, 36])
    assert set(shown(cells)) == {1, 2}


def test_edits_of_several_images_reach_their_own_cells_and_are_undone(
    cells: CellsLayer, session: Session, viewer: ViewerModel
) -> None:
    delete_rows(cells, [1])
    viewer.dims.set_point(0, 2)
    data = [np.array(vertices) for vertices in cells.layer.data]
    data[0][:, 1:] += 7
    cells.layer.data = data
    viewer.dims.set_point(0, 1)
    cells.layer.add(rectangle(1, 5, 6, 25, 36))
    everything = {1: (0, CORNERS[0]), 3: (2, [17, 67, 37, 87]), 4: (1, [5, 6, 25, 36])}
    assert kept(session) == everything
    assert session.state.deleted.cell_id.tolist() == [2]
    for _ in range(3):
        session.editor.undo()
    assert session.boxes.digest() == DETECTED.digest()
    assert shown(cells) == {}
    for _ in range(3):
        session.editor.redo()
    assert kept(session) == everything and shown(cells) == kept(session, 1)


def test_last_box_of_an_image_is_deleted_and_one_drawn_again(
    cells: CellsLayer, session: Session
) -> None:
    delete_rows(cells, [0, 1])
    assert set(kept(session)) == {3}
    session.editor.add(1, [5, 6, 25, 36])
    cells.layer.add(rectangle(0, 50, 50, 70, 70))
    assert kept(session, 0) == shown(cells) == {5: (0, [50, 50, 70, 70])}


def test_box_added_to_another_image_by_a_script_is_kept_there(
    cells: CellsLayer, session: Session, qtbot: QtBot
) -> None:
    cells.layer.add(rectangle(1, 5, 6, 25, 36))
    cells.layer.add(rectangle(2, 5, 6, 25, 36))
    assert kept(session, 1) == {4: (1, [5, 6, 25, 36])}
    assert set(kept(session, 2)) == {3, 5}
    qtbot.waitUntil(lambda: set(shown(cells)) == {1, 2})


def test_box_pasted_into_another_image_is_a_cell_of_its_own(
    cells: CellsLayer, session: Session, viewer: ViewerModel
) -> None:
    viewer.layers.selection.active = cells.layer
    cells.layer.mode = "select"
    cells.layer.selected_data = {0}
    cells.layer._copy_data()
    viewer.dims.set_point(0, 2)
    cells.layer._paste_data()
    assert len(kept(session, 0)) == 2 and len(kept(session, 2)) == 2
    assert kept(session)[4] == (2, CORNERS[0])


def test_selection_outlives_a_look_at_another_image_and_nothing_unseen_is_deleted(
    cells: CellsLayer, session: Session, viewer: ViewerModel
) -> None:
    cells.layer.selected_data = {1}
    viewer.dims.set_point(0, 2)
    assert session.selection == (2,) and cells.layer.selected_data == set()
    cells.delete_selected()
    assert len(session.boxes) == 3
    viewer.dims.set_point(0, 0)
    assert cells.layer.selected_data == {1}
    session.select([1, 3])
    assert cells.layer.selected_data == {0}


@pytest.fixture
def wide(cells: CellsLayer, session: Session, monkeypatch: pytest.MonkeyPatch) -> CellsLayer:
    """Return a layer that has taken in the neighbours of the first of three images."""
    monkeypatch.setattr(box_shapes, "MOST_SHAPES", 3)
    session.editor.add(1, [5, 6, 25, 36])
    cells.mirror.look_ahead()
    assert set(shown(cells)) == {1, 2, 4}
    return cells


def test_neighbours_are_taken_in_by_themselves(
    cells: CellsLayer, session: Session, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    monkeypatch.setattr(box_shapes, "MOST_SHAPES", 3)
    session.editor.add(1, [5, 6, 25, 36])
    qtbot.waitUntil(lambda: set(shown(cells)) == {1, 2, 4}, timeout=5000)


def test_turning_to_a_neighbour_builds_nothing_and_what_is_far_goes_later(
    wide: CellsLayer, viewer: ViewerModel, qtbot: QtBot
) -> None:
    told = []
    wide.layer.events.data.connect(lambda event: told.append(event.action))
    viewer.dims.set_point(0, 1)
    assert told == [] and set(shown(wide)) == {1, 2, 4}
    viewer.dims.set_point(0, 2)
    assert set(shown(wide)) == {3}
    qtbot.waitUntil(lambda: set(shown(wide)) == {3, 4}, timeout=5000)


def test_neighbours_stay_while_boxes_are_corrected(wide: CellsLayer, session: Session) -> None:
    session.editor.move(1, [12, 22, 42, 32])
    session.editor.undo()
    delete_rows(wide, np.flatnonzero(wide.layer.features["cell_id"] == 4))
    assert set(kept(session)) == {1, 2, 3}
    session.editor.undo()
    assert set(shown(wide)) == {1, 2, 4}


def test_another_sample_is_shown_without_its_neighbours_at_first(
    wide: CellsLayer, session: Session
) -> None:
    session.show(Sample("other", "p", None, ()), LayerKey(layer="other"))
    assert shown(wide) == {}
    session.editor.merge(DETECTED)
    session.editor.add(1, [5, 6, 25, 36])
    wide.mirror.look_ahead()
    assert set(shown(wide)) == {1, 2, 4}
    session.show(Sample("blood", "p", None, ()), LayerKey(layer="key"))
    assert set(shown(wide)) == {1, 2}


def test_selected_box_of_a_neighbour_is_not_deleted_unseen(
    wide: CellsLayer, session: Session, viewer: ViewerModel
) -> None:
    session.select([1, 4])
    assert wide.layer.selected_data == {0}
    viewer.dims.set_point(0, 1)
    assert session.selection == (1, 4) and wide.layer.selected_data == {2}
    wide.delete_selected()
    assert set(kept(session)) == {1, 2, 3}


def test_jump_to_a_cell_of_another_image_shows_and_selects_it(
    cells: CellsLayer, session: Session, viewer: ViewerModel
) -> None:
    cells.show_cell(3)
    assert viewer.dims.current_step[0] == 2
    assert set(shown(cells)) == {3} and cells.layer.selected_data == {0}
    assert session.selection == (3,)


def test_boxes_have_the_colours_of_the_whole_sample(
    cells: CellsLayer, exploration: Exploration, viewer: ViewerModel
) -> None:
    exploration.colour(column="score", scale="linear")
    of_all = exploration.colours()
    np.testing.assert_allclose(cells.layer.edge_color, of_all[:2], atol=1e-6)
    viewer.dims.set_point(0, 2)
    np.testing.assert_allclose(cells.layer.edge_color, of_all[2:], atol=1e-6)


def test_layer_reopened_by_another_panel_shows_the_present_image(
    cells: CellsLayer, session: Session, viewer: ViewerModel, stack: Image
) -> None:
    layer = cells.layer
    cells.stop_listening()
    viewer.dims.set_point(0, 2)
    again = CellsLayer(viewer, session)
    again.attach(stack)
    assert again.layer is layer and set(shown(again)) == {3}
    viewer.dims.set_point(0, 0)
    assert shown(again) == kept(session, 0)
    again.stop_listening()


def test_saved_layer_has_the_boxes_of_all_images(
    cells: CellsLayer, session: Session, viewer: ViewerModel, tmp_path: Path
) -> None:
    viewer.dims.set_point(0, 2)
    data, meta, _ = cells.layer.as_layer_data_tuple()
    write_boxes(str(tmp_path / "cells.csv"), data, meta)
    with (tmp_path / "cells.csv").open(encoding="utf-8") as file:
        rows = [(int(row["cell_id"]), int(row["frame"])) for row in csv.DictReader(file)]
    assert rows == [(1, 0), (2, 0), (3, 2)]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("turn"), st.integers(0, 2)),
        st.tuples(st.just("draw"), st.integers(0, 60)),
        st.tuples(st.just("delete"), st.integers(0, 3)),
        st.tuples(st.just("move"), st.integers(0, 3)),
        st.tuples(st.just("undo"), st.just(0)),
        st.tuples(st.just("redo"), st.just(0)),
        st.tuples(st.just("pause"), st.just(0)),
    ),
    max_size=12,
)


def do(cells: CellsLayer, session: Session, viewer: ViewerModel, step: str, by: int) -> None:
    layer, count = cells.layer, cells.layer.nshapes
    if step == "turn":
        viewer.dims.set_point(0, by)
    elif step == "draw":
        layer.add(rectangle(cells.camera.image_index(), by, 5, by + 20, 25))
    elif step == "delete" and by < count:
        delete_rows(cells, [by])
    elif step == "move" and by < count:
        data = [np.array(vertices) for vertices in layer.data]
        data[by][:, 1:] += 3
        layer.data = data
    elif step in ("undo", "redo"):
        getattr(session.editor, step)()
    elif step == "pause":
        cells.mirror.look_ahead()


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STEPS, st.integers(1, 3))
@example([("delete", 0), ("delete", 0), ("turn", 1), ("delete", 0)], 1)
@example([("draw", 0), ("turn", 1), ("pause", 0), ("turn", 0), ("delete", 1), ("undo", 0)], 3)
def test_whatever_is_done_image_by_image_layer_and_session_agree(
    cells: CellsLayer,
    session: Session,
    viewer: ViewerModel,
    monkeypatch: pytest.MonkeyPatch,
    steps: list[tuple[str, int]],
    most: int,
) -> None:
    monkeypatch.setattr(box_shapes, "MOST_SHAPES", most)
    session.editor.merge(DETECTED)
    for step, by in steps:
        before, held = kept(session), shown(cells)
        do(cells, session, viewer, step, by)
        # With few boxes left the layer holds those of any image.
        assert shown(cells).items() <= kept(session).items()
        assert kept(session, cells.camera.image_index()).items() <= shown(cells).items()
        if step not in ("undo", "redo"):
            unseen = {i: box for i, box in before.items() if i not in held}
            assert unseen.items() <= kept(session).items()
