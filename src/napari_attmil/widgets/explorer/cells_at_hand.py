"""The cells in scope, taken out of the session for a worker."""

from __future__ import annotations

from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.explorer.explorer_tasks import CellsAtHand


def cells_in_scope(context: PanelContext) -> list[CellsAtHand]:
    """Return the cells of the samples in scope that have any."""
    session, exploration = context.session, context.exploration
    if not exploration.scope:
        if session.sample is None or not len(session.boxes):
            return []
        return [CellsAtHand(session.key, session.sample, session.boxes, context.images)]
    states = session.states_of_samples()
    return [
        CellsAtHand(session.key_of(sample.name), sample, states[sample.name].boxes)
        for sample in exploration.samples
        if sample.name in states and len(states[sample.name].boxes)
    ]
