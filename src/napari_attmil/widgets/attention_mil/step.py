"""What the four steps of the panel have in common."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import Listening


class Step(Listening, QWidget):
    """The content of one step.

    Parameters
    ----------
    context
        The panel's.

    Signals
    -------
    state_changed(str, bool)
        One line for the heading, and whether the step is done.
    """

    state_changed = Signal(str, bool)

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._create()
        self._lay_out()
        self._connect()
        self.synchronise()

    def synchronise(self) -> None:
        """Show how things stand, and emit `state_changed`."""

    def _create(self) -> None:
        """Make the controls."""

    def _lay_out(self) -> None:
        """Arrange the controls."""

    def _connect(self) -> None:
        """Listen to controls, session and viewer."""
