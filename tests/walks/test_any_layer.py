"""Any layer that a viewer holds, in a real window by mouse and keys, also after a restart."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from napari.layers import _layer_actions
from qtpy.QtCore import Qt
from support.hand import LEFT, MOUSE, Hand
from support.mouse import Mouse
from support.pages.page import Page

from napari_attmil.simulation import SimulationSettings, simulate_image
from napari_attmil.widgets.context import session_of
from napari_attmil.widgets.dock_panel import DockPanel
from napari_attmil.widgets.explorer.views import GalleryView

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from napari_attmil.session import Session

SIDE_PX, CELLS = 200, 5


def fields(count: int) -> npt.NDArray[np.uint8]:
    """Return simulated images, (count, 200, 200)."""
    rng = np.random.default_rng(5)
    settings = SimulationSettings(image_size_px=SIDE_PX, cell_diameter_px=40, cells_per_image=CELLS)
    images = [simulate_image(settings, rng, ["discocyte"] * CELLS).image for _ in range(count)]
    return np.stack(images).astype(np.uint8)


def lazily(pixels: npt.NDArray[np.uint8]) -> Any:
    """Return images that are computed one by one, when they are looked at."""
    array: Any = importlib.import_module("dask.array")
    return array.from_array(pixels, chunks=(*[1] * (pixels.ndim - 2), SIDE_PX, SIDE_PX))


class Window:
    """One run of napari with the plugin, with the mouse and the keys."""

    def __init__(self, viewer: Any, qtbot: QtBot, *panels: str) -> None:
        self.viewer, self._qtbot = viewer, qtbot
        self.window = viewer.window._qt_window
        self.window.resize(1600, 1000)
        for panel in panels:
            viewer.window.add_plugin_dock_widget("napari-attmil", panel)
        self.mouse, self.hand = Mouse(self.window), Hand(viewer)
        self.settle()

    @property
    def session(self) -> Session:
        return session_of(self.viewer)

    @property
    def steps(self) -> tuple[int, ...]:
        return tuple(self.viewer.dims.current_step[:-2])

    def settle(self) -> None:
        """Wait until nothing runs in any panel."""
        self._qtbot.wait(300)
        panels = self.window.findChildren(DockPanel)
        self._qtbot.waitUntil(lambda: not any(Page(p).busy for p in panels), timeout=240_000)
        self._qtbot.wait(300)

    def messages(self) -> list[str]:
        panels = self.window.findChildren(DockPanel)
        return [text for panel in panels for text in Page(panel).messages()]

    def draw(self, x: float, y: float, side: float = 30) -> None:
        """Draw a box with the mouse, from a place to the right and down."""
        self.hand.key(Qt.Key.Key_W)
        self.hand.drag((x, y), (x + side, y + side))
        self.settle()

    def split(self, layer: Any) -> list[Any]:
        """Do what *Split Stack* in the menu of napari's list of layers does."""
        before = set(self.viewer.layers)
        self.viewer.layers.selection.active = layer
        _layer_actions._split_stack(self.viewer.layers)
        self.settle()
        return [each for each in self.viewer.layers if each not in before]

    def places(self) -> list[tuple[int, list[int]]]:
        """Return image and rounded x_min, y_min of each box."""
        boxes = self.session.boxes
        corners = np.rint(boxes.xyxy[:, :2]).astype(int).tolist()
        return sorted(zip(boxes.image_index.tolist(), corners, strict=True))

    def canvas(self) -> npt.NDArray[np.uint8]:
        return np.asarray(self.viewer.screenshot(canvas_only=True, flash=False))

    def close(self) -> None:
        self.viewer.close()
        self._qtbot.wait(50)


@pytest.fixture
def start(
    make_napari_viewer: Callable[..., Any],
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Callable[..., Window]:
    """Return a function that starts napari with some panels, for the same person each time."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return lambda *panels: Window(
        make_napari_viewer(show=True), qtbot, *(panels or ("Annotate cells",))
    )


def near(places: list[tuple[int, list[int]]], *wanted: tuple[int, int, int]) -> bool:
    """Return whether boxes lie where they were drawn, to some pixels."""
    return len(places) == len(wanted) and all(
        place[0] == image and abs(place[1][0] - x) <= 3 and abs(place[1][1] - y) <= 3
        for place, (image, x, y) in zip(places, wanted, strict=True)
    )


def test_a_stack_beside_labels_of_four_axes_is_reviewed_image_by_image(
    start: Callable[..., Window], tmp_path: Path
) -> None:
    path = tmp_path / "smears.tif"
    tifffile.imwrite(path, fields(3), photometric="minisblack")
    desk = start()

    def open_both(at: Window) -> None:
        at.viewer.open(path, plugin="napari")
        at.viewer.add_labels(np.zeros((2, 4, SIDE_PX, SIDE_PX), np.uint8), visible=False)
        at.viewer.layers.selection.active = at.viewer.layers["smears"]
        at.viewer.dims.set_current_step([0, 1], [1, 0])
        at.settle()

    open_both(desk)
    for image in range(3):
        assert desk.steps == (1, image)
        desk.draw(20 + 30 * image, 40)
        desk.hand.key(Qt.Key.Key_N)
        desk.settle()
    drawn = ((0, 20, 40), (1, 50, 40), (2, 80, 40))
    assert near(desk.places(), *drawn) and desk.session.state.reviewed == {0, 1, 2}
    desk.close()

    again = start("Annotate cells", "Explore cells")
    open_both(again)
    assert near(again.places(), *drawn) and again.session.state.reviewed == {0, 1, 2}
    # A double click on a cell of the third image in the gallery shows that image.
    again.mouse.turn_to("Gallery")
    again.settle()
    (gallery,) = again.window.findChildren(GalleryView)
    for row in (2, 0):
        rectangle = gallery.visualRect(gallery.model().index(row, 0))
        for click in (MOUSE.mouseClick, MOUSE.mouseDClick):
            click(gallery.viewport(), LEFT, pos=rectangle.center())
        again.settle()
        (cell,) = again.session.selection
        boxes = again.session.boxes
        assert again.steps == (1, int(boxes.image_index[boxes.index_of([cell])[0]]))


def test_images_with_planes_are_drawn_on_any_plane(start: Callable[..., Window]) -> None:
    def open_places(at: Window) -> None:
        planes = np.stack([fields(2)] * 3, axis=1)
        at.viewer.add_image(planes, name="places", scale=(1, 0.3, 0.5, 0.5))
        at.viewer.dims.set_current_step([0, 1], [1, 1])
        at.settle()

    desk = start()
    open_places(desk)
    desk.draw(20, 30, 20)
    empty_side = desk.canvas()
    desk.viewer.dims.set_current_step(1, 2)
    desk.settle()
    # Its box is seen there too, and the tool that selects picks it with the mouse.
    assert np.array_equal(desk.canvas(), empty_side)
    desk.session.select([])
    desk.hand.key(Qt.Key.Key_M)
    desk.hand.click(30, 40)
    assert desk.session.selection == (1,)
    desk.hand.drag((30, 40), (40, 40))
    desk.settle()
    assert near(desk.places(), (1, 60, 60))
    desk.close()
    again = start()
    open_places(again)
    assert near(again.places(), (1, 60, 60))


def test_parts_of_a_split_film_of_five_axes_keep_their_boxes(start: Callable[..., Window]) -> None:
    data = fields(8).reshape(2, 2, 2, SIDE_PX, SIDE_PX)

    def open_film(at: Window) -> Any:
        layer = at.viewer.add_image(
            lazily(data),
            name="film",
            axis_labels=("t", "z", "c", "y", "x"),
        )
        at.settle()
        return layer

    desk = start()
    layer = open_film(desk)
    desk.viewer.dims.set_current_step([0, 1, 2], [1, 1, 1])
    desk.settle()
    desk.draw(50, 60)
    desk.viewer.dims.set_current_step(0, 0)
    desk.settle()
    assert desk.places() == []
    parts = desk.split(layer)
    desk.viewer.dims.set_current_step([0, 1], [0, 0])
    desk.settle()
    desk.draw(100, 20)
    drawn_on = next(i for i, part in enumerate(parts) if part is chosen(desk))
    desk.close()

    again = start()
    layer = open_film(again)
    again.viewer.dims.set_current_step([0, 1, 2], [1, 0, 0])
    again.settle()
    assert near(again.places(), (0, 50, 60))
    parts = again.split(layer)
    choose(again, parts[drawn_on])
    assert near(again.places(), (0, 100, 20))
    assert all("Along" in text for text in again.messages())  # what axes are taken for


def chosen(at: Window) -> Any:
    return panel_of(at).context.image_choice.chosen


def choose(at: Window, layer: Any) -> None:
    panel_of(at).context.image_choice.choose(layer)
    at.settle()


def panel_of(at: Window) -> Any:
    return at.window.findChildren(DockPanel)[0]


def test_a_pyramid_is_searched_and_its_cells_are_there_after_a_restart(
    start: Callable[..., Window],
) -> None:
    images = fields(2)

    def open_pyramid(at: Window) -> None:
        large = lazily(images)
        at.viewer.add_image([large, large[:, ::2, ::2]], multiscale=True, name="slide")
        at.viewer.dims.set_current_step(0, 1)
        at.settle()

    desk = start("Classify samples")
    open_pyramid(desk)
    desk.mouse.press("Detect cells")
    desk.settle()
    found = desk.places()
    assert {image for image, _ in found} == {0, 1} and len(found) >= 2 * (CELLS - 2)
    desk.close()
    again = start("Classify samples")
    open_pyramid(again)
    assert again.places() == found


def test_rolled_axes_refuse_a_drawn_box_and_a_button_turns_them_back(
    start: Callable[..., Window],
) -> None:
    desk = start()
    desk.viewer.add_image(fields(60), name="smears")
    desk.settle()
    desk.hand.key(Qt.Key.Key_W)
    desk.viewer.dims.roll()
    desk.viewer.reset_view()
    desk.settle()
    center = desk.viewer.scene.camera.center
    x, y = center[-1], center[-2]
    desk.hand.drag((x - 10, y - 10), (x + 10, y + 10))
    desk.settle()
    assert desk.places() == [] and len(desk.messages()) == 1
    desk.mouse.press("Turn back")
    desk.viewer.reset_view()
    desk.settle()
    desk.draw(50, 60)
    assert len(desk.places()) == 1 and desk.messages() == []
