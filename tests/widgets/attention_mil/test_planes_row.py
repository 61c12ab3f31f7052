"""The row of planes: there where images leave a choice, and a choice changes what is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_array_equal
from support.pages.page import Page, entries

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.images import PlaneChoice
from napari_attmil.widgets.attention_mil.planes_row import PlanesRow
from napari_attmil.workflows import open_cohort, read_planes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget

Z, TIME, CHANNEL = "Plane in z", "Time point", "Channel"


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a film of two time points and four planes in z, the third of which is sharp."""
    own = tmp_path / "own.sqlite"
    monkeypatch.setattr(AnnotationFile, "of_user", lambda: AnnotationFile(own, one_writer=False))
    folder = tmp_path / "mine"
    folder.mkdir()
    images = np.full((2, 4, 40, 60), 120, np.uint8)
    images[:, 2, ::4] = 140
    images[1] += 20
    tifffile.imwrite(folder / "film.tif", images, imagej=True, metadata={"axes": "TZYX"})
    return folder / "film.tif"


def row_of(panel: AttentionMILWidget) -> PlanesRow:
    return Page(panel.images_step).part(PlanesRow)


def shown(panel: AttentionMILWidget) -> list[Any]:
    images = panel.context.images
    assert images is not None
    return [np.asarray(image) for image in images]


def test_the_row_is_there_only_for_axes_that_images_have(
    panel: AttentionMILWidget, wait_idle: Callable[[Any], None], film: Path
) -> None:
    row = row_of(panel)
    assert not row.isVisibleTo(panel.images_step)
    panel.context.opening.open([film])
    wait_idle(panel)
    page = Page(row)
    assert row.isVisibleTo(panel.images_step)
    assert page.combo(Z).isVisibleTo(row) and page.combo(TIME).isVisibleTo(row)
    assert not page.combo(CHANNEL).isVisibleTo(row)
    times = entries(page.combo(TIME))
    assert times == ["first", "all", "time 1", "time 2"]
    flat = film.parent / "flat.tif"
    tifffile.imwrite(flat, np.zeros((3, 40, 60), np.uint8), photometric="minisblack")
    panel.context.opening.open([flat])
    wait_idle(panel)
    assert not row.isVisibleTo(panel.images_step)


def test_a_choice_changes_what_is_shown_and_is_kept_with_the_study(
    panel: AttentionMILWidget, wait_idle: Callable[[Any], None], film: Path
) -> None:
    stack = tifffile.imread(film)
    panel.context.opening.open([film])
    wait_idle(panel)
    assert_array_equal(shown(panel), stack[:1, 2])
    assert "the sharpest of 4 planes in z" in Page(panel.images_step).text("notes")
    Page(row_of(panel)).choose(TIME, "all")
    wait_idle(panel)
    assert_array_equal(shown(panel), stack[:, 2])
    Page(row_of(panel)).choose(Z, "max")
    wait_idle(panel)
    assert_array_equal(shown(panel), stack.max(axis=1))
    assert read_planes(film.parent) == PlaneChoice("max", "all")
    assert len(open_cohort(film).samples[0]) == 2
    assert len(open_cohort(film, {"time": "1", "z": None}).samples[0]) == 1


def test_boxes_of_one_plane_are_not_those_of_another_and_come_back(
    panel: AttentionMILWidget, wait_idle: Callable[[Any], None], film: Path
) -> None:
    panel.context.opening.open([film])
    wait_idle(panel)
    panel.context.session.editor.add(0, [1, 2, 20, 30])
    Page(row_of(panel)).choose(Z, "1")
    wait_idle(panel)
    assert len(panel.context.session.boxes) == 0
    told = " ".join(Page(panel).messages())
    assert "not looked at there are 1 box of 1 image file in annotations.sqlite" in told
    Page(row_of(panel)).choose(Z, "sharpest")
    wait_idle(panel)
    assert_array_equal(panel.context.session.boxes.xyxy, [[1, 2, 20, 30]])
