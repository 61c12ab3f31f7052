"""Boxes of a sample with very many, corrected by real mouse and key events in a real window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.boxes import Boxes
from napari_attmil.images.cohort import Cohort
from napari_attmil.images.reading import open_sample
from napari_attmil.widgets.annotate.panel import AnnotateWidget
from napari_attmil.widgets.viewer import box_shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot
    from support.hand import Hand

CTRL = Qt.KeyboardModifier.ControlModifier
FIRST, SECOND = [20, 20, 60, 50], [100, 70, 150, 110]
MIDDLE_OF_FIRST, MIDDLE_OF_SECOND = (40, 35), (125, 90)


@pytest.fixture
def open_bench(
    make_napari_viewer: Callable[..., Any],
    fakes: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[], AnnotateWidget]]:
    """Open a sample of three images, two detected boxes each, in the panel "Annotate cells"."""
    monkeypatch.setattr(box_shapes, "MOST_SHAPES", 2)
    pages = np.full((3, 150, 200), 99, np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack")
    viewer = make_napari_viewer(show=True)
    benches = []

    def open_it() -> AnnotateWidget:
        bench = AnnotateWidget(viewer)
        viewer.window.add_dock_widget(bench, area="right")
        viewer.window.resize(1300, 850)
        QApplication.processEvents()
        bench.context.image_choice.use_cohort(Cohort((open_sample(tmp_path / "a.tif"),), tmp_path))
        QApplication.processEvents()
        benches.append(bench)
        return bench

    yield open_it
    benches[-1].close_panel()


@pytest.fixture
def bench(open_bench: Callable[[], AnnotateWidget]) -> AnnotateWidget:
    bench = open_bench()
    boxes = Boxes.from_detections([0, 0, 1, 1, 2, 2], [FIRST, SECOND] * 3, np.full(6, 0.9))
    bench.context.session.editor.merge(boxes)
    QApplication.processEvents()
    return bench


@pytest.fixture
def hand(bench: AnnotateWidget, make_hand: Callable[[Any], Hand]) -> Hand:
    """Return a hand that has the tool for selecting."""
    hand = make_hand(bench.context.viewer)
    hand.key(Qt.Key.Key_M)
    return hand


def turn_to(bench: AnnotateWidget, image: int) -> None:
    bench.context.viewer.dims.set_point(0, image)
    QApplication.processEvents()


def settled(bench: AnnotateWidget, qtbot: QtBot) -> dict[int, tuple[int, list[float]]]:
    """Return what session and file agree on as {cell_id: (image, corners)}, once all is over.

    The layer shows the boxes of the present image, and only those if the sample has many.
    """
    session, layer = bench.context.session, bench.context.cells.layer
    qtbot.wait(1)
    assert session.cohort is not None and session.sample is not None
    on_disk = AnnotationFile.beside(session.cohort.folder).read(session.sample).boxes
    assert on_disk.digest() == session.boxes.digest()
    image = bench.context.cells.camera.image_index()
    here = box_shapes.Portion.of_sample(session.boxes, image).held(session.boxes)
    shown = sorted([*v[:, :0:-1].min(axis=0), *v[:, :0:-1].max(axis=0)] for v in layer.data)
    np.testing.assert_allclose(shown, sorted(here.xyxy.tolist()), atol=0.01)
    assert sorted(layer.features["cell_id"]) == sorted(here.cell_id.tolist())
    boxes = session.boxes
    return {
        int(cell): (int(image), np.round(xyxy).tolist())
        for cell, image, xyxy in zip(boxes.cell_id, boxes.image_index, boxes.xyxy, strict=True)
    }


def test_edits_by_hand_on_three_images_are_kept_undone_and_there_after_reopening(
    bench: AnnotateWidget, hand: Hand, open_bench: Callable[[], AnnotateWidget], qtbot: QtBot
) -> None:
    before = settled(bench, qtbot)
    hand.drag(MIDDLE_OF_FIRST, (50, 45))
    turn_to(bench, 1)
    hand.point_at(*MIDDLE_OF_SECOND)
    hand.key(Qt.Key.Key_K)
    turn_to(bench, 2)
    hand.key(Qt.Key.Key_W)
    hand.drag((20, 90), (60, 130))
    after = settled(bench, qtbot)
    assert after[1] == (0, [30, 30, 70, 60])
    assert 4 not in after and after[7] == (2, [20, 90, 60, 130])
    assert {i: after[i] for i in (2, 3, 5, 6)} == {i: before[i] for i in (2, 3, 5, 6)}
    bench.close_panel()
    again = open_bench()
    assert settled(again, qtbot) == after
    for _ in range(3):
        hand.key(Qt.Key.Key_Z, CTRL)
    assert settled(again, qtbot) == before


def test_selected_box_is_selected_again_when_its_image_comes_back(
    bench: AnnotateWidget, hand: Hand, qtbot: QtBot
) -> None:
    hand.click(*MIDDLE_OF_SECOND)
    assert bench.context.session.selection == (2,)
    turn_to(bench, 1)
    hand.key(Qt.Key.Key_Delete)
    assert len(settled(bench, qtbot)) == 6
    turn_to(bench, 0)
    assert bench.context.cells.layer.selected_data == {1}
    hand.key(Qt.Key.Key_Delete)
    assert set(settled(bench, qtbot)) == {1, 3, 4, 5, 6}


IN_HAND = pytest.mark.parametrize(
    "key, start", [(Qt.Key.Key_M, MIDDLE_OF_FIRST), (Qt.Key.Key_W, (20, 90))]
)


def take_in_hand(
    bench: AnnotateWidget,
    hand: Hand,
    qtbot: QtBot,
    start: tuple[float, float],
    end: tuple[float, float],
) -> None:
    """Press the mouse at one place and move it to another, until a box has followed."""
    hand.press(*start)
    layer = bench.context.cells.layer

    def follows() -> bool:
        hand.point_at(*end)  # napari follows a mouse that moves, and a little later
        corners = box_shapes.from_vertices(layer.data[:2] + layer.data[-1:])[1]
        return np.abs(corners - [FIRST, SECOND, SECOND]).max() > 20

    qtbot.waitUntil(follows)


@IN_HAND
def test_box_in_hand_while_the_image_turns_is_the_old_images(
    bench: AnnotateWidget, hand: Hand, qtbot: QtBot, key: Qt.Key, start: tuple[float, float]
) -> None:
    hand.key(key)
    end = (start[0] + 40, start[1] + 30)
    take_in_hand(bench, hand, qtbot, start, end)
    turn_to(bench, 1)
    hand.release(*end)
    now = settled(bench, qtbot)
    assert {i: box for i, box in now.items() if box[0] != 0} == {
        3: (1, FIRST),
        4: (1, SECOND),
        5: (2, FIRST),
        6: (2, SECOND),
    }
    moved_or_drawn = [
        box for i, box in now.items() if box[0] == 0 and box[1] not in (FIRST, SECOND)
    ]
    assert len(moved_or_drawn) == 1


@IN_HAND
@pytest.mark.parametrize("most_shapes", [2, 1000])
def test_box_in_hand_and_a_detection_that_comes_meanwhile_are_both_kept(
    bench: AnnotateWidget,
    hand: Hand,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
    key: Qt.Key,
    start: tuple[float, float],
    most_shapes: int,
) -> None:
    monkeypatch.setattr(box_shapes, "MOST_SHAPES", most_shapes)
    session, found = bench.context.session, [150, 10, 190, 40]
    session.editor.accept([1, 2])
    hand.key(key)
    end = (start[0] + 40, start[1] + 30)
    take_in_hand(bench, hand, qtbot, start, end)
    session.editor.merge(Boxes.from_detections([0, 2], [found, found], [0.9, 0.9]), [0, 2])
    hand.point_at(start[0] + 20, start[1] + 15)
    hand.point_at(*end)
    hand.release(*end)
    after = {2: (0, SECOND), 3: (1, FIRST), 4: (1, SECOND), 7: (0, found), 8: (2, found)}
    if key == Qt.Key.Key_M:
        moved, drawn = {1: (0, [60, 50, 100, 80])}, {}
    else:
        moved, drawn = {1: (0, FIRST)}, {9: (0, [20, 90, 60, 120])}
    assert settled(bench, qtbot) == {**after, **moved, **drawn}
    session.editor.undo()
    assert settled(bench, qtbot) == {**after, 1: (0, FIRST)}


@pytest.mark.parametrize("becomes_active", ["Cells", "a"])
def test_press_that_moves_nothing_shows_what_was_detected_meanwhile(
    bench: AnnotateWidget, hand: Hand, qtbot: QtBot, becomes_active: str
) -> None:
    session, viewer = bench.context.session, bench.context.viewer
    hand.press(*MIDDLE_OF_FIRST)
    session.editor.merge(Boxes.from_detections([0], [[150, 10, 190, 40]], [0.9]), [0])
    assert bench.context.cells.layer.nshapes == 2
    viewer.layers.selection.active = viewer.layers[becomes_active]
    hand.release(*MIDDLE_OF_FIRST)
    assert set(settled(bench, qtbot)) == {3, 4, 5, 6, 7}
