"""Annotating only, without classes: boxes are found, corrected, reviewed and handed on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QFileDialog
from support.smears import write_smears
from support.walk import ANNOTATE

from napari_attmil.cells.boxes import Source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.walk import Walk

IMAGES = 4


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a flat folder of a few images, which the dialog for folders answers with."""
    names = [f"field {number}.tif" for number in range(1, IMAGES + 1)]
    folder = write_smears(tmp_path / "fields", dict.fromkeys(names, ["discocyte"] * 8))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, **__: str(folder))
    return folder


def correct(desk: Walk) -> None:
    """Delete a box, confirm another, move a third and draw one more, by mouse and keys."""
    hand, boxes = desk.hand, desk.session.boxes.xyxy
    middles = np.stack([boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]], axis=1) / 2
    for middle, key in zip(middles.tolist(), (Qt.Key.Key_K, Qt.Key.Key_J), strict=False):
        hand.point_at(*middle)
        hand.key(key)
    hand.key(Qt.Key.Key_M)
    x, y = middles[2].tolist()
    hand.click(x, y)
    hand.drag((x, y), (x + 12, y))
    hand.key(Qt.Key.Key_W)
    x, y = middles[0].tolist()
    hand.drag((x - 20, y - 18), (x + 16, y + 22))
    hand.key(Qt.Key.Key_M)


def test_from_a_flat_folder_to_boxes_for_another_program_and_back(
    walk: Callable[[str], Walk], folder: Path
) -> None:
    desk = walk(ANNOTATE)
    session, mouse = desk.session, desk.mouse

    mouse.choose("Open images or folder…", "Folder…")
    desk.until(lambda: session.cohort is not None)
    desk.settle()
    assert session.cohort.classes == ()

    # Cells are found image by image while a person works; the first image's at once.
    mouse.press("Detect cells ahead, image by image")
    desk.until(lambda: len(session.states_of_samples()) == IMAGES)
    desk.settle()
    found = session.boxes
    assert len(found) >= 4 and (found.source == Source.MODEL).all()
    correct(desk)
    desk.settle()
    made = session.boxes
    assert len(made) == len(found)
    (drawn,) = set(made.cell_id.tolist()) - set(found.cell_id.tolist())
    row = made.cell_id.tolist().index(drawn)
    x_min, y_min, x_max, y_max = found.xyxy[0].tolist()
    middle = (x_min + x_max) / 2, (y_min + y_max) / 2
    expected = [middle[0] - 20, middle[1] - 18, middle[0] + 16, middle[1] + 22]
    np.testing.assert_allclose(made.xyxy[row], expected, atol=2)
    shift = made.xyxy[made.cell_id == found.cell_id[2]] - found.xyxy[2]
    np.testing.assert_allclose(shift, [[12, 0, 12, 0]], atol=2)
    sources = dict(zip(made.cell_id.tolist(), made.source.tolist(), strict=True))
    assert sources[int(found.cell_id[1])] == Source.ACCEPTED
    assert sources[drawn] == Source.PERSON

    for _ in range(IMAGES):
        desk.hand.key(Qt.Key.Key_N)
        desk.settle()
    states = session.states_of_samples()
    assert sum(len(state.reviewed) for state in states.values()) == IMAGES

    # All of them go into one file that other programs read.
    mouse.press("Export boxes…")
    desk.until(lambda: QApplication.activeModalWidget() is not None)
    dialog = QApplication.activeModalWidget()
    assert dialog is not None
    desk.until(lambda: mouse.button("Export", dialog).isEnabled())
    mouse.press("Export", dialog)
    desk.settle()
    written = json.loads((folder / "boxes.json").read_text("utf-8"))
    boxes = sum(len(state.boxes) for state in states.values())
    assert len(written["images"]) == IMAGES and len(written["annotations"]) == boxes
    place = session.sample.name
    desk.viewer.close()

    again = walk(ANNOTATE)
    again.mouse.choose("Open images or folder…", "Recent studies", "")
    again.until(lambda: again.session.cohort is not None)
    again.settle()
    after = again.session.states_of_samples()
    assert again.session.sample.name == place
    assert after.keys() == states.keys()
    for name, state in states.items():
        np.testing.assert_array_equal(after[name].boxes.xyxy, state.boxes.xyxy)
        np.testing.assert_array_equal(after[name].boxes.source, state.boxes.source)
        np.testing.assert_array_equal(after[name].deleted.cell_id, state.deleted.cell_id)
        assert after[name].reviewed == state.reviewed
    # What was done is there too: the last review is taken back by one key.
    again.hand.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    again.settle()
    left = again.session.states_of_samples()
    assert sum(len(state.reviewed) for state in left.values()) == IMAGES - 1
