"""Real cells that are made rare ones for the detector's training keep exact boxes."""

from __future__ import annotations

import numpy as np
import pytest
from altered_cells import KINDS, Change, draw_change, round_cells, with_altered_cells, without

from napari_attmil.cells.finetuning import LabelledImage
from napari_attmil.cells.overlaps import greatest_overlap

GROUND, CELL = 200, 110


def discs(*centres: tuple[int, int], radius: int = 20) -> LabelledImage:
    y, x = np.mgrid[:300, :300] + 0.5
    grey = np.full((300, 300), GROUND, np.uint8)
    for centre_x, centre_y in centres:
        grey[np.hypot(x - centre_x, y - centre_y) < radius] = CELL
    xyxy = [[x - radius, y - radius, x + radius, y + radius] for x, y in centres]
    return LabelledImage(grey, np.array(xyxy, np.float32), stained=True)


def seen_box(grey: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(np.abs(grey.astype(int) - GROUND) > 30)
    return np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_cell_is_where_its_box_says(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("altered_cells.KINDS", (kind,))
    image = discs((150, 150))
    overlaps = []
    for seed in range(8):
        changed = with_altered_cells(image, [], np.random.default_rng(seed), share=1, more=0)
        assert len(changed.xyxy) == 1
        overlaps.append(float(greatest_overlap(changed.xyxy, seen_box(changed.grey))[0]))
    assert np.median(overlaps) > 0.85


def test_further_cells_touch_no_other_box_and_have_its_contrast() -> None:
    image = discs((60, 60), (240, 240))
    changed = with_altered_cells(
        image, round_cells([image]), np.random.default_rng(0), share=0, more=30
    )
    added = changed.xyxy[2:]
    assert len(added) > 3
    assert np.array_equal(changed.xyxy[:2], image.xyxy)
    assert greatest_overlap(added, image.xyxy).max() <= 0.06
    for x0, y0, x1, y1 in added.astype(int):
        assert changed.grey[y0:y1, x0:x1].min() < GROUND - 40


def test_an_image_shows_no_more_kinds_at_once_than_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = discs(*((x, y) for x in range(40, 280, 50) for y in range(40, 280, 50)))

    def most_kinds(at_once: int) -> int:
        monkeypatch.setattr("altered_cells.SHAPES_AT_ONCE", at_once)
        most = 0
        for seed in range(8):
            drawn: list[str] = []

            def draw(kind: str, rng: np.random.Generator, drawn: list[str] = drawn) -> Change:
                drawn.append(kind)
                return draw_change(kind, rng)

            monkeypatch.setattr("altered_cells.draw_change", draw)
            with_altered_cells(image, [], np.random.default_rng(seed), share=1, more=0)
            most = max(most, len(set(drawn)))
        return most

    assert most_kinds(1) == 1
    assert most_kinds(3) == 3


def test_cells_beside_others_or_cut_off_are_left_as_they_are() -> None:
    image = discs((150, 150), (182, 150), (10, 60))
    changed = with_altered_cells(image, [], np.random.default_rng(0), share=1, more=0)
    assert np.array_equal(changed.grey, image.grey)
    assert np.array_equal(changed.xyxy, image.xyxy)


def test_objects_that_are_no_cells_can_be_taken_out() -> None:
    image = discs((60, 60), (200, 200))
    cell, debris = LabelledImage(image.grey, image.xyxy[:1], True), image.xyxy[1:]
    emptied = without(cell, debris, np.random.default_rng(0))
    assert abs(int(emptied.grey[200, 200]) - GROUND) < 10
    assert emptied.grey[60, 60] == CELL
