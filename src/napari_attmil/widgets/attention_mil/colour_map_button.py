"""The button that chooses the colour map of the boxes."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction, QActionGroup
from qtpy.QtWidgets import QMenu, QToolButton

from napari_attmil.explore import COLOUR_MAPS, ColourMap


class ColourMapButton(QToolButton):
    """Opens a menu of colour maps, the one in use ticked.

    Signals
    -------
    chosen(str)
        The user has chosen a map.
    """

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setText("Colours")
        self.setToolTip(
            "Other colours for the boxes. Until you choose, they are dark on bright images."
        )
        # Room for the arrow, which napari's themes draw over the text.
        self.setStyleSheet("QToolButton { padding-right: 16px; }")
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu, group = QMenu(self), QActionGroup(self)
        self._actions: dict[ColourMap, QAction] = {}
        for colour_map, title in COLOUR_MAPS.items():
            action = QAction(title, group)
            action.setCheckable(True)
            action.setData(colour_map)
            menu.addAction(action)
            self._actions[colour_map] = action
        group.triggered.connect(lambda action: self.chosen.emit(action.data()))
        self.setMenu(menu)

    def setColourMap(self, colour_map: ColourMap) -> None:
        """Tick the map that is in use."""
        self._actions[colour_map].setChecked(True)
