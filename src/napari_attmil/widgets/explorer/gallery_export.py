"""From the gallery that is shown to a figure in a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QWidget

from napari_attmil.core import CAUTION, counted
from napari_attmil.explore import gallery_plot
from napari_attmil.reports import save_figure
from napari_attmil.widgets.explorer.views import GalleryView
from napari_attmil.widgets.parts import (
    FIGURES,
    TaskRunner,
    ask_where_to_save,
    errors_shown,
    showing_folder,
    tell,
    with_ending,
)
from napari_attmil.widgets.thumbnails import Cutout, ImageShelf, Thumbnails, cut_all

CELLS_AT_MOST = 96
IMAGE_PX = 240
"""Thumbnails of a figure have more pixels than those on the screen."""


def ask_and_export(
    parent: QWidget, runner: TaskRunner, view: GalleryView, thumbnails: Thumbnails
) -> None:
    """Ask for a file, then write the cells that `rows_to_export` returns."""
    if path := ask_where_to_save(parent, "Export the cells as a figure", "cells.png", FIGURES):
        export(path, runner, view, thumbnails)


def export(path: Path, runner: TaskRunner, view: GalleryView, thumbnails: Thumbnails) -> None:
    """Cut the cells off the main thread and write the figure."""
    path = with_ending(path, FIGURES)
    rows = rows_to_export(view)
    cutouts = [replace(view.cutout(row), size_px=IMAGE_PX) for row in rows]
    wanted = [(view.group(row), c, view.caption(row)) for row, c in zip(rows, cutouts, strict=True)]
    look = view.look
    caption = f"{look.title}. All at one scale; bar: {look.scale.bar_text}. {CAUTION}"
    sources = {cutout.sample: thumbnails.source(cutout.sample) for cutout in cutouts}
    available = [cutout for cutout in cutouts if sources[cutout.sample] is not None]

    def ask_again() -> None:
        ask_and_export(view, runner, view, thumbnails)

    def write(cut: dict[Cutout, Any]) -> None:
        shown = [(group, cut[c], text) for group, c, text in wanted if cut.get(c) is not None]
        with errors_shown(view, "export", elsewhere=ask_again):
            save_figure(path, *gallery_plot(shown, look.scale, caption))
            written = f"{counted(len(rows), 'cell')} written to {path}."
            tell(view, written, "export", showing_folder(path))

    runner.start(cut_all, available, sources, ImageShelf(), on_done=write)


def rows_to_export(view: GalleryView) -> list[int]:
    """Return the rows that are selected; if fewer than two are, the first ones."""
    selected = sorted({index.row() for index in view.selectionModel().selectedIndexes()})
    rows = selected if len(selected) > 1 else list(range(view.model().rowCount()))
    return rows[:CELLS_AT_MOST]
