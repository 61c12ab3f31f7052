"""napari's own keys and tools for shapes, in a real window, go through the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.boxes import Boxes, Source
from napari_attmil.images.cohort import Cohort
from napari_attmil.images.reading import open_sample
from napari_attmil.widgets.annotate.panel import AnnotateWidget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot
    from support.hand import Hand

CTRL = Qt.KeyboardModifier.ControlModifier
FIRST, SECOND = [20, 20, 60, 50], [100, 70, 150, 110]
MIDDLE = (40, 35)


@pytest.fixture
def bench(
    make_napari_viewer: Callable[..., Any], fakes: None, tmp_path: Path
) -> Iterator[AnnotateWidget]:
    """Open a study of one image with two detected boxes in the panel "Annotate cells"."""
    tifffile.imwrite(tmp_path / "a.tif", np.full((150, 200), 99, np.uint8))
    viewer = make_napari_viewer(show=True)
    bench = AnnotateWidget(viewer)
    viewer.window.add_dock_widget(bench, area="right")
    viewer.window.resize(1300, 850)
    QApplication.processEvents()
    bench.context.image_choice.use_cohort(Cohort((open_sample(tmp_path / "a.tif"),), tmp_path))
    bench.context.session.editor.merge(Boxes.from_detections([0, 0], [FIRST, SECOND], [0.9, 0.8]))
    QApplication.processEvents()
    yield bench
    bench.close_panel()


@pytest.fixture
def hand(bench: AnnotateWidget, make_hand: Callable[[Any], Hand]) -> Hand:
    """Return a hand that has the tool for selecting."""
    hand = make_hand(bench.context.viewer)
    hand.key(Qt.Key.Key_M)
    return hand


def settled(bench: AnnotateWidget, qtbot: QtBot) -> list[list[float]]:
    """Return the corners that session, layer and file agree on, once napari's event is over."""
    session, layer = bench.context.session, bench.context.cells.layer
    qtbot.wait(1)
    assert session.cohort is not None and session.sample is not None
    on_disk = AnnotationFile.beside(session.cohort.folder).read(session.sample).boxes
    assert on_disk.digest() == session.boxes.digest()
    shown = sorted([*v[:, :0:-1].min(axis=0), *v[:, :0:-1].max(axis=0)] for v in layer.data)
    corners = sorted(session.boxes.xyxy.tolist())
    np.testing.assert_allclose(shown, corners, atol=0.01)
    assert set(layer.shape_type) <= {"rectangle"}
    return np.round(corners, 1).tolist()


@pytest.mark.parametrize("key", [Qt.Key.Key_Delete, Qt.Key.Key_Backspace, Qt.Key.Key_3])
def test_a_box_that_napari_s_key_deletes_is_deleted_for_good_and_can_be_undone(
    key: Qt.Key, bench: AnnotateWidget, hand: Hand, qtbot: QtBot
) -> None:
    session = bench.context.session
    hand.click(*MIDDLE)
    hand.key(key)
    assert settled(bench, qtbot) == [SECOND]
    assert session.editor.undo_title == "Delete 1 box"
    assert session.state.deleted.xyxy.tolist() == [FIRST]
    hand.key(Qt.Key.Key_Z, CTRL)
    assert settled(bench, qtbot) == [FIRST, SECOND] and session.boxes.cell_id.tolist() == [1, 2]


def test_delete_key_deletes_the_selected_box_while_the_image_is_the_active_layer(
    bench: AnnotateWidget, hand: Hand, qtbot: QtBot
) -> None:
    viewer, session = bench.context.viewer, bench.context.session
    viewer.layers.selection.active = bench.context.image_choice.chosen
    hand.click(*MIDDLE)
    assert session.selection and viewer.layers.selection.active is not bench.context.cells.layer
    hand.key(Qt.Key.Key_Delete)
    assert settled(bench, qtbot) == [SECOND]
    assert session.editor.undo_title == "Delete 1 box"


def test_a_pasted_box_is_the_person_s_and_has_an_id_of_its_own(
    bench: AnnotateWidget, hand: Hand, qtbot: QtBot
) -> None:
    session = bench.context.session
    hand.click(*MIDDLE)
    hand.key(Qt.Key.Key_C, CTRL)
    hand.key(Qt.Key.Key_V, CTRL)
    assert len(settled(bench, qtbot)) == 3
    assert session.boxes.cell_id.tolist() == [1, 2, 3]
    assert session.boxes.source.tolist() == [Source.MODEL, Source.MODEL, Source.PERSON]
    hand.key(Qt.Key.Key_Z, CTRL)
    assert settled(bench, qtbot) == [FIRST, SECOND]


def test_a_dragged_vertex_leaves_an_upright_box_around_the_shape(
    bench: AnnotateWidget, hand: Hand, qtbot: QtBot
) -> None:
    session = bench.context.session
    hand.key(Qt.Key.Key_4)  # napari's tool for single vertices
    hand.click(*MIDDLE)
    hand.drag((60, 50), (80, 60))
    first, second = settled(bench, qtbot)
    np.testing.assert_allclose(first, [20, 20, 80, 60], atol=1)
    assert second == SECOND and session.editor.undo_title == "Move boxes"
    hand.key(Qt.Key.Key_Z, CTRL)
    assert settled(bench, qtbot) == [FIRST, SECOND]


def test_a_vertex_inserted_with_napari_s_key_changes_no_box(
    bench: AnnotateWidget, hand: Hand, qtbot: QtBot
) -> None:
    hand.click(*MIDDLE)
    hand.key(Qt.Key.Key_2)
    hand.click(40, 20)  # on the upper side
    assert settled(bench, qtbot) == [FIRST, SECOND]
