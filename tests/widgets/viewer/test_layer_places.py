"""Boxes of layers that were not opened from a file: where they are kept, and found again."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image, _layer_actions
from napari.layers._source import layer_source
from qtpy.QtWidgets import QFileDialog, QMainWindow
from support.pages.attention_mil import ImagesPage

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.images.reading import open_cohort, open_sample
from napari_attmil.widgets.viewer.boxes_writer import write_boxes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget
    from napari_attmil.widgets.context import PanelContext

BOX, OTHER = [10, 20, 40, 30], [1, 2, 9, 8]


def grey(*shape: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)


class Desk:
    """A napari with the plugin's panel, which can be started anew."""

    def __init__(self, make_panel: Callable[[Any], AttentionMILWidget]) -> None:
        self._make_panel = make_panel
        self.restart()

    def restart(self, panel_first: bool = True) -> None:
        self.viewer = ViewerModel()
        self.panel: AttentionMILWidget | None = None
        if panel_first:
            self.open_panel()

    def open_panel(self) -> None:
        self.panel = self._make_panel(self.viewer)

    @property
    def context(self) -> PanelContext:
        assert self.panel is not None
        return self.panel.context

    def add(self, data: Any, **settings: Any) -> Any:
        layer = self.viewer.add_image(data, **settings)
        if self.panel is not None:
            self.context.image_choice.choose(layer)
        return layer

    def open(self, path: Path) -> Any:
        with layer_source(path=str(path)):
            layer = Image(tifffile.imread(path), name=path.stem)
        self.viewer.add_layer(layer)
        if self.panel is not None:
            self.context.image_choice.choose(layer)
        return layer

    def split(self, layer: Any) -> list[Any]:
        """Split a layer as the menu of napari's list of layers does."""
        before = set(self.viewer.layers)
        self.viewer.layers.selection.active = layer
        _layer_actions._split_stack(self.viewer.layers)
        return [each for each in self.viewer.layers if each not in before]

    def boxes(self, layer: Any = None) -> list[list[float]]:
        if layer is not None:
            self.context.image_choice.choose(layer)
        return self.context.session.boxes.xyxy.tolist()

    def draw(self, xyxy: list[int], image: int = 0, layer: Any = None) -> None:
        if layer is not None:
            self.context.image_choice.choose(layer)
        self.context.session.editor.add(image, xyxy)


@pytest.fixture
def desk(make_panel: Callable[[Any], AttentionMILWidget]) -> Desk:
    return Desk(make_panel)


@pytest.fixture
def stack_file(tmp_path: Path) -> Path:
    path = tmp_path / "smears" / "stack.tif"
    path.parent.mkdir()
    tifffile.imwrite(path, grey(3, 50, 60), photometric="minisblack")
    return path


@pytest.mark.parametrize("kind", ["array", "dask", "multiscale"])
def test_boxes_of_an_array_are_there_after_a_restart(desk: Desk, kind: str) -> None:
    def pixels() -> Any:
        data = grey(3, 50, 60)
        if kind == "multiscale":
            return [data, data[:, ::2, ::2]]
        return da.from_array(data, chunks=(1, 50, 60)) if kind == "dask" else data

    desk.add(pixels(), name="made by a script", multiscale=kind == "multiscale")
    desk.draw(BOX, 2)
    desk.context.session.editor.set_reviewed(1)
    desk.restart()
    desk.add(pixels(), name="called otherwise", multiscale=kind == "multiscale")
    session = desk.context.session
    assert desk.boxes() == [BOX] and session.boxes.image_index.tolist() == [2]
    assert session.state.reviewed == {1}
    session.editor.undo()
    session.editor.undo()
    assert desk.boxes() == []


@pytest.mark.parametrize("lazily", [False, True])
def test_equal_images_of_an_array_keep_each_its_boxes(desk: Desk, lazily: bool) -> None:
    def pixels() -> Any:
        data = np.stack([np.zeros((50, 60), np.uint8)] * 2 + [grey(50, 60)])
        return da.from_array(data, chunks=(1, 50, 60)) if lazily else data

    desk.add(pixels(), name="with empty images")
    for image in (0, 1, 1):
        desk.draw(BOX, image)
    desk.restart()
    desk.add(pixels(), name="with empty images")
    assert desk.context.session.boxes.image_index.tolist() == [0, 1, 1]


def test_other_pixels_have_boxes_of_their_own(desk: Desk) -> None:
    first, other = grey(50, 60), grey(50, 60)
    other[7, 9] ^= 1
    desk.draw(BOX, layer=desk.add(first))
    assert desk.boxes(desk.add(other)) == []
    assert desk.boxes(desk.add(first.astype(np.uint16))) == []
    assert desk.boxes(desk.add(first.copy())) == [BOX]


def test_parts_of_a_split_stack_have_the_boxes_of_its_file(desk: Desk, stack_file: Path) -> None:
    desk.draw(BOX, 2, desk.open(stack_file))
    parts = desk.split(desk.viewer.layers[0])
    assert [desk.boxes(part) for part in parts] == [[], [], [BOX]]
    desk.draw(OTHER, layer=parts[1])
    kept = AnnotationFile.beside(stack_file.parent).read(open_sample(stack_file))
    assert kept is not None and kept.boxes.image_index.tolist() == [1, 2]
    desk.restart()
    whole = desk.open(stack_file)
    assert desk.boxes() == [OTHER, BOX]
    assert desk.boxes(desk.split(whole)[1]) == [OTHER]


def test_a_part_whose_stack_nobody_saw_is_found_by_its_pixels(desk: Desk, stack_file: Path) -> None:
    desk.draw(BOX, layer=desk.split(desk.open(stack_file))[2])
    desk.restart(panel_first=False)
    parts = desk.split(desk.open(stack_file))
    desk.open_panel()
    assert desk.boxes(parts[2]) == [BOX]
    # And the other way round: drawn where nobody saw of which file it is.
    desk.draw(OTHER, layer=parts[0])
    desk.restart()
    assert desk.boxes(desk.split(desk.open(stack_file))[0]) == [OTHER]


@pytest.mark.parametrize("lazily", [False, True])
def test_parts_of_a_split_array_have_its_boxes(desk: Desk, lazily: bool) -> None:
    data = da.from_array(grey(3, 50, 60), chunks=(1, 50, 60)) if lazily else grey(3, 50, 60)
    layer = desk.add(data)
    desk.draw(BOX, 1)
    assert [desk.boxes(part) for part in desk.split(layer)] == [[], [BOX], []]


def test_a_copy_has_the_boxes_of_its_layer_and_stays_with_them(
    desk: Desk, stack_file: Path
) -> None:
    layer = desk.open(stack_file)
    desk.draw(BOX, 2)
    desk.viewer.layers.selection = {layer}
    _layer_actions._duplicate_layer(desk.viewer.layers)
    (copy,) = (each for each in desk.viewer.layers if each.name == "stack copy")
    assert desk.boxes(copy) == [BOX]
    desk.draw(OTHER, 0)
    assert desk.boxes(layer) == [OTHER, BOX]


def test_a_layer_with_other_pixels_has_their_boxes(desk: Desk) -> None:
    layer = desk.add(grey(50, 60))
    desk.draw(BOX)
    layer.data = grey(50, 60)[::-1].copy()
    assert desk.boxes() == []
    images = desk.context.images
    assert images is not None
    np.testing.assert_array_equal(images[0], grey(50, 60)[::-1])
    layer.data = grey(50, 60)
    assert desk.boxes() == [BOX]


def test_a_part_of_a_study_s_sample_is_that_image_of_it(
    desk: Desk, stack_file: Path, qtbot: QtBot
) -> None:
    choice, session = desk.context.image_choice, desk.context.session
    assert choice.use_cohort(open_cohort(stack_file.parent))
    parts = desk.split(choice.chosen)
    assert choice.chosen is None  # whoever splits it does not want it back at once
    choice.choose(parts[2])
    assert session.shows_cohort and desk.context.cells.camera.image_index() == 2
    desk.draw(BOX, desk.context.cells.camera.image_index())
    assert session.boxes.image_index.tolist() == [2]
    # It still shows the whole sample when another image is asked for.
    assert choice.show_sample("stack", 1) and len(choice.images or ()) == 3


def test_steps_of_time_are_kept_each_for_itself(desk: Desk) -> None:
    def open_film() -> None:
        desk.add(grey(3, 2, 50, 60), axis_labels=("t", "z", "y", "x"), name="film")
        # Where the focus stands does not matter.
        desk.viewer.dims.set_current_step([0, 1], [2, 1])

    open_film()
    desk.draw(BOX)
    desk.restart()
    open_film()
    assert desk.boxes() == [BOX]
    desk.viewer.dims.set_current_step(0, 1)
    assert desk.boxes() == []


def test_where_boxes_without_a_file_are_kept_is_said(desk: Desk) -> None:
    desk.add(grey(50, 60), name="made by a script")
    assert desk.panel is not None
    assert ImagesPage(desk.panel.images_step).text("kept") == (
        f"This layer has no file: its boxes are found again by its pixels, in "
        f"{AnnotationFile.of_user().path}"
    )


class Unreadable:
    """An array as some plugin makes it: shown from a picture, but not to be read in parts."""

    shape, dtype, ndim, size = (3, 50, 60), np.dtype(np.uint8), 3, 9000

    def __init__(self) -> None:
        self.is_broken = False

    def __getitem__(self, place: Any) -> npt.NDArray[Any]:
        if self.is_broken:
            raise RuntimeError("the camera was unplugged")
        return grey(3, 50, 60)[place]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return grey(3, 50, 60)


@pytest.fixture
def unreadable(desk: Desk) -> Iterator[Any]:
    data = Unreadable()
    layer = Image(data, name="camera", contrast_limits=(0, 255))
    desk.viewer.add_layer(layer)
    data.is_broken = True
    choice = desk.context.image_choice
    choice._places.forget(layer)
    choice.choose(layer)
    data.is_broken = False
    return layer


def test_boxes_in_memory_only_are_told_of_at_the_first_edit_and_saved(
    desk: Desk, unreadable: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, qtbot: QtBot
) -> None:
    window = QMainWindow()
    qtbot.addWidget(window)
    window.show()
    board = desk.context.shared_board
    assert not board.messages
    assert not desk.context.session.records.is_saved(desk.context.session.key)
    desk.draw(BOX, 2)
    (message,) = board.messages
    assert message.text == (
        "The boxes of 'camera' are in memory only, as it has no file and its pixels cannot be "
        "read; save them before napari closes."
    )
    desk.draw(OTHER, 0)
    assert list(board.messages) == [message]
    ((name, save),) = message.actions
    assert name == "Save boxes…"
    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "kept.csv"), "")
    )
    save()
    with (tmp_path / "kept.csv").open(encoding="utf-8") as file:
        rows = [(row["frame"], float(row["x_min"])) for row in csv.DictReader(file)]
    assert rows == [("0", 1.0), ("2", 10.0)]
    assert [each.text for each in board.messages] == [f"Boxes saved in {tmp_path / 'kept.csv'}"]


def test_undo_goes_to_a_layer_whose_boxes_are_in_memory_only(desk: Desk, unreadable: Any) -> None:
    desk.draw(BOX, 2)
    other = desk.add(grey(50, 60), name="other")
    assert desk.context.image_choice.chosen is other
    desk.context.undo()
    assert desk.context.image_choice.chosen is unreadable and desk.boxes() == []


def test_images_are_called_by_their_layer_wherever_they_are_kept(
    desk: Desk, tmp_path: Path
) -> None:
    desk.add(grey(3, 50, 60), name="made by a script")
    desk.draw(BOX, 2)
    write_boxes(str(tmp_path / "a.csv"), *desk.context.cells.layer.as_layer_data_tuple()[:2])
    with (tmp_path / "a.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["image"], row["frame"]) == ("made by a script", "2")
