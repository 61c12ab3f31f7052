"""`attmil merge` on two annotators' copies of a project."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_attmil.cells.annotations.corrections import add_box, move_box

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.cells.boxes import Boxes


@pytest.fixture
def copies(project: Any, tmp_path: Path) -> tuple[Any, Any]:
    """Return Ana's and Ben's copies: both drew a cell of their own, and moved one differently."""
    ana, ben = project, project.copied_to(tmp_path / "ben")
    start = project.kept().boxes
    for copy, drawn, moved in (
        (ana, [20, 10, 30, 20], [3, 2, 14, 9]),
        (ben, [40, 10, 50, 20], [0, 1, 5, 5]),
    ):
        boxes = add_box(start, 0, drawn)
        copy.keep(move_box(boxes, 3, moved))
    return ana, ben


def joined_boxes(ana: Any, out: Path) -> Boxes:
    """Return the boxes of the joined file, read in Ana's study as the command says."""
    (out / "annotations.sqlite").replace(ana.folder / "annotations.sqlite")
    boxes: Boxes = ana.kept().boxes
    return boxes


def test_what_each_did_is_there_once_and_a_conflict_is_listed(
    copies: tuple[Any, Any], attmil: Any, tmp_path: Path
) -> None:
    (ana, ben), out = copies, tmp_path / "both"
    outcome = attmil("merge", ana.folder, ben.folder, "--out", out)
    assert outcome.code == 0 and "1 edit taken over, 1 conflict; written to" in outcome.out
    with (out / "conflicts.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["reason"] == "both changed the box, differently" and row["page"] == "1"
    assert row["image"].endswith("c.tif") and len(row["cell_ids"].split()) == 2
    boxes = joined_boxes(ana, out)
    drawn = boxes.of_image(0).xyxy.tolist()
    assert [20, 10, 30, 20] in drawn and [40, 10, 50, 20] in drawn and len(drawn) == 3
    assert sorted(boxes.of_image(2).xyxy.tolist()) == [[0, 1, 5, 5], [3, 2, 14, 9]]


def test_a_merge_that_ends_before_its_conflicts_are_written_can_be_run_again(
    copies: tuple[Any, Any], attmil: Any, tmp_path: Path
) -> None:
    (ana, ben), out = copies, tmp_path / "both"
    (out / "conflicts.csv").mkdir(parents=True)
    assert attmil("merge", ana.folder, ben.folder, "--out", out).code == 1
    assert not (out / "annotations.sqlite").exists()
    (out / "conflicts.csv").rmdir()
    assert attmil("merge", ana.folder, ben.folder, "--out", out).code == 0


def test_neither_copy_is_changed(copies: tuple[Any, Any], attmil: Any, tmp_path: Path) -> None:
    before = [copy.kept().boxes.digest() for copy in copies]
    attmil("merge", copies[0].folder, copies[1].folder, "--out", tmp_path / "both")
    assert [copy.kept().boxes.digest() for copy in copies] == before


def test_merging_again_takes_nothing_over_twice(
    copies: tuple[Any, Any], attmil: Any, tmp_path: Path
) -> None:
    (ana, ben), out = copies, tmp_path / "both"
    attmil("merge", ana.folder, ben.folder, "--out", out)
    once = joined_boxes(ana, out)
    outcome = attmil("merge", ana.folder, ben.folder, "--out", tmp_path / "again")
    assert outcome.out.startswith("0 edits taken over")
    np.testing.assert_array_equal(joined_boxes(ana, tmp_path / "again").xyxy, once.xyxy)
