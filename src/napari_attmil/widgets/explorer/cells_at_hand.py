"""The cells in scope, taken out of the session for a worker."""

from __future__ import annotations

from napari_attmil.widgets.context import PanelContext
from napari_attmil.workflows import CellsAtHand


def cells_in_scope(context: PanelContext) -> list[CellsAtHand]:
    """Return the cells of the samples in scope that have any."""
    session, exploration = context.session, context.exploration
    if not exploration.scope:
        if session.sample is None or not len(session.state.cells):
            return []
        return [CellsAtHand(session.sample, session.state.cells, context.images, session.key)]
    states = session.states_of_samples()
    return [
        CellsAtHand(sample, states[sample.name].cells, key=session.key_of(sample.name))
        for sample in exploration.samples
        if sample.name in states and len(states[sample.name].cells)
    ]
