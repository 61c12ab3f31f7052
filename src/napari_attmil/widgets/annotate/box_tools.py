"""The tools for boxes besides dragging: propose, nudge, snap, accept, delete."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal

from napari_attmil.cells import MIN_SIDE_PX, Boxes, median_diameter_px
from napari_attmil.cells.detection import (
    box_from_outline,
    detection_around,
    detection_at,
    snap_to_outline,
)
from napari_attmil.session import doubtful_cells
from napari_attmil.widgets.annotate.cell_candidates import CellCandidates
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.notes_menu import TAG_KEYS, toggle_tag
from napari_attmil.widgets.parts import Listening, pause_timer
from napari_attmil.widgets.viewer import TURNED, pixel_at

Way = Literal["left", "right", "up", "down"]
WAYS: dict[Way, tuple[int, int]] = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
FAR_STEP_PX = 10
STILL_PX = 3
"""A press that moves less on the screen is a click."""
CELLS_ACROSS = (12, 6, 24)
"""How many cells fit along the shorter side of an image without boxes, most likely first."""


class BoxTools(Listening, QObject):
    """The tools of one panel; they work on the boxes of the image that the viewer shows.

    Parameters
    ----------
    context
        The panel's.

    Signals
    -------
    hinted(text)
        Why nothing was done.
    """

    hinted = Signal(str)

    def __init__(self, context: PanelContext, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._candidates = CellCandidates(context, self)
        self._clicked: tuple[float, ...] = ()
        self._click_timer = pause_timer(lambda: self.add_at(self._clicked), parent=self)
        context.viewer.mouse_drag_callbacks.append(self._on_press)
        self.at_end(context.viewer.mouse_drag_callbacks.remove, self._on_press)

    def functions(self) -> dict[str, Callable[[], None]]:
        """Return the function of each action, by its name."""
        named: dict[str, Callable[[], None]] = {
            "draw": self.start_drawing,
            "select": self._context.cells.start_selecting,
            "box_here": lambda: self.add_at(self._context.viewer.cursor.position),
            "box_in_middle": self.add_in_middle,
            "delete_here": lambda: self._delete(self._pointed_at()),
            "delete_selected": lambda: self._delete(self._selected()),
            "accept_here": lambda: self._accept(self._pointed_at()),
            "accept_selected": lambda: self._accept(self._selected()),
            "snap": self.snap,
            "next_box": lambda: self.select_neighbour(1),
            "previous_box": lambda: self.select_neighbour(-1),
            "next_doubtful": self.show_next_doubtful,
            "hide_boxes": self.toggle_boxes,
        }
        for name, tag in TAG_KEYS.items():
            named[name] = partial(self.toggle_tag, tag)
        for way in WAYS:
            named[f"nudge_{way}"] = partial(self.nudge, way, 1)
            named[f"push_{way}"] = partial(self.nudge, way, FAR_STEP_PX)
            named[f"resize_{way}"] = partial(self.move_side, way, 2)
            named[f"stretch_{way}"] = partial(self.move_side, way, 0)
        return named

    # --- new boxes --------------------------------------------------------------------------

    def start_drawing(self) -> None:
        """Switch to the tool that draws boxes."""
        self._candidates.prepare()
        self._context.cells.start_drawing()

    def add_at(self, world: npt.ArrayLike) -> None:
        """Add a box for the cell at a place of the viewer; if it has one, select that."""
        place = self._place(world)
        image = self._image()
        if place is None or image is None:
            return
        found = detection_at(self._candidates.of_image_shown(), place, self._boxes().xyxy)
        boxed = self._context.cells.cell_at(world)
        if boxed is not None and (found is None or self._is_centre_in(found, boxed)):
            self._context.session.select([boxed])
            return
        if found is None:
            guesses = (
                box_from_outline(image, place, size) for size in self._likely_diameters_px(image)
            )
            found = next((box for box in guesses if box is not None), None)
        if found is None:
            self.hinted.emit("No clear cell here; drag a box around it instead.")
            return
        self._add(found)

    def add_in_middle(self) -> None:
        """Add a box of usual size in the middle of the view, to be moved with the keyboard."""
        image = self._image()
        if image is None:
            return
        place = self._place(self._context.cells.camera.middle())
        half = self._likely_diameters_px(image)[0] / 2
        if place is not None:
            self._add(np.concatenate([place - half, place + half]))

    def _is_centre_in(self, found: npt.NDArray[np.float32], cell: int) -> bool:
        """Return whether a box is about the cell that another one is of, though they differ."""
        boxes = self._context.session.boxes
        x_min, y_min, x_max, y_max = boxes.xyxy[boxes.index_of([cell])[0]]
        x, y = (found[:2] + found[2:]) / 2
        return bool(x_min <= x <= x_max and y_min <= y <= y_max)

    def _add(self, xyxy: npt.ArrayLike) -> None:
        session = self._context.session
        session.select([session.editor.add(self._context.cells.camera.image_index(), xyxy)])

    # --- boxes that are there ---------------------------------------------------------------

    def nudge(self, way: Way, step_px: int) -> None:
        """Move the selected boxes; without any, show the previous or next image."""
        if not self._selected():
            self._turn(way)
            return
        self._shift_corners(np.tile(np.array(WAYS[way]) * step_px, 2))

    def move_side(self, way: Way, first: Literal[0, 2]) -> None:
        """Move the left or upper (0), or the right or lower (2) side of the selected boxes."""
        by = np.zeros(4)
        by[first : first + 2] = WAYS[way]
        self._shift_corners(by)

    def snap(self) -> None:
        """Pull the box under the pointer, or else the selected ones, onto their cells."""
        self._snap(self._pointed_at() or self._selected())

    def snap_selected(self) -> None:
        """Pull the selected boxes onto their cells, wherever the pointer is."""
        self._snap(self._selected())

    def _snap(self, ids: list[int]) -> None:
        image = self._image()
        if image is None or not ids:
            self.hinted.emit("Select or point at a box to snap it onto its cell.")
            return
        boxes, candidates = self._context.session.boxes, self._candidates.of_image_shown()
        xyxy = boxes.xyxy.copy()
        for row in boxes.index_of(ids):
            meant = detection_around(candidates, xyxy[row])
            xyxy[row] = snap_to_outline(image, xyxy[row]) if meant is None else meant
        self._replace_corners(xyxy)

    def _delete(self, ids: list[int]) -> None:
        if ids:
            self._context.session.editor.delete(ids)

    def _accept(self, ids: list[int]) -> None:
        if ids:
            self._context.session.editor.accept(ids)

    def toggle_tag(self, tag: str) -> None:
        """Tag the box under the pointer, or else the selected ones, or remove the tag."""
        session = self._context.session
        ids = self._pointed_at() or self._selected()
        if session.key is not None:
            toggle_tag(session, {session.key: ids}, tag)

    def select_neighbour(self, step: int) -> None:
        """Select the next or previous box of the image, in reading order."""
        boxes, selected = self._boxes(), self._selected()
        if not len(boxes):
            return
        ids = boxes.cell_id[np.lexsort((boxes.xyxy[:, 0], boxes.xyxy[:, 1]))].tolist()
        start = -1 if step > 0 else 0
        at = ids.index(selected[0]) if selected else start
        self._context.cells.start_selecting()
        self._context.session.select([ids[(at + step) % len(ids)]])

    def show_next_doubtful(self) -> None:
        """Go to the next box of the sample with a low score."""
        session = self._context.session
        doubtful = doubtful_cells(session.state.cells)
        if not doubtful:
            self.hinted.emit("No doubtful boxes are left in this sample.")
            return
        last = next((cell for cell in session.selection if cell in doubtful), None)
        at = -1 if last is None else doubtful.index(last)
        self._context.cells.show_cell(doubtful[(at + 1) % len(doubtful)])

    def toggle_boxes(self) -> None:
        """Hide the boxes, or show them again."""
        layer = self._context.cells.layer
        if layer is not None:
            layer.visible = not layer.visible

    # --- inside -----------------------------------------------------------------------------

    def _on_press(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        """With the drawing tool, a click without a drag adds the box of the cell."""
        layer = self._context.cells.layer
        if layer is None or viewer.layers.selection.active != layer or event.button != 1:
            return
        if layer.mode != "add_rectangle":
            return
        start, world = np.array(event.pos), tuple(event.position)
        yield
        still = True
        while event.type == "mouse_move":
            still &= bool(np.abs(np.array(event.pos) - start).max() < STILL_PX)
            yield
        if still:
            # After napari's own event, which still has to finish its drawing.
            self._clicked = world
            self._click_timer.start()

    def _shift_corners(self, by: npt.NDArray[Any]) -> None:
        boxes, ids = self._context.session.boxes, self._selected()
        if not ids:
            return
        xyxy, rows = boxes.xyxy.copy(), boxes.index_of(ids)
        xyxy[rows] += by.astype(np.float32)
        if np.all(xyxy[rows, 2:] - xyxy[rows, :2] >= MIN_SIDE_PX):
            self._replace_corners(xyxy)

    def _replace_corners(self, xyxy: npt.NDArray[np.float32]) -> None:
        """Move boxes as one step of undo."""
        session = self._context.session
        session.editor.follow(session.boxes.cell_id, session.boxes.image_index, xyxy)

    def _turn(self, way: Way) -> None:
        """Do what napari's arrow keys do when no box is selected."""
        if way in ("left", "right"):
            self._context.cells.camera.step(WAYS[way][0])

    def _image(self) -> npt.NDArray[Any] | None:
        images = self._context.images
        return None if images is None else images[self._context.cells.camera.image_index()]

    def _place(self, world: npt.ArrayLike) -> npt.NDArray[np.float64] | None:
        """Return (x, y) in pixels of the image for a place of the viewer."""
        layer = self._context.image_choice.chosen
        if not self._context.cells.camera.shows_images:
            self.hinted.emit(TURNED)
            return None
        return None if layer is None else pixel_at(layer, world)

    def _boxes(self) -> Boxes:
        return self._context.session.boxes.of_image(self._context.cells.camera.image_index())

    def _selected(self) -> list[int]:
        """Return the selected boxes of the image shown; others cannot be seen and stay."""
        here = self._boxes().cell_id
        return [cell for cell in self._context.session.selection if cell in here]

    def _under_pointer(self) -> list[int]:
        """Return the smallest box under the mouse pointer, if any."""
        cell = self._context.cells.cell_at(self._context.viewer.cursor.position)
        return [] if cell is None else [cell]

    def _pointed_at(self) -> list[int]:
        """Return the boxes that a key applies to when it is pressed over one of them."""
        here, selected = self._under_pointer(), self._selected()
        return selected if here and here[0] in selected else here

    def _likely_diameters_px(self, image: npt.NDArray[Any]) -> tuple[float, ...]:
        boxes = self._context.session.boxes
        if len(boxes):
            return (median_diameter_px(boxes.xyxy),)
        return tuple(min(image.shape[:2]) / count for count in CELLS_ACROSS)
