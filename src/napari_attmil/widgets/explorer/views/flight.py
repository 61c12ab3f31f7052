"""The way to a cell, wherever it lies."""

from __future__ import annotations

from napari_attmil.session import CellKey
from napari_attmil.widgets.context import PanelContext


def fly_to(context: PanelContext, key: CellKey) -> None:
    """Show a cell's sample and image, centre on it, and select it."""
    sample, cell_id = key
    shown = context.session.sample
    if shown is None or shown.name != sample:
        context.image_choice.show_sample(sample)
    shown = context.session.sample
    if shown is not None and shown.name == sample:
        context.cells.show_cell(cell_id)
