"""Which plane in z, time point and channel is looked at; shown only where images have several."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QComboBox, QLabel, QWidget

from napari_attmil.images import PlaneChoice, PlanesInUse
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.parts import Listening, narrow_combo, row

_Z = {
    "sharpest": "sharpest",
    "middle": "middle",
    "maximum": "max",
    "mean": "mean",
    "all": "all",
}
_TIME = {"first": "first", "all": "all"}
_NAMES = ("Plane in z", "Time point", "Channel")
"""For screen readers."""
_LETTERS = (5, 2, 2)
"""Least widths in letters: "sharpest" is to be read, and three choices fit into a narrow panel."""
_SAME_CELLS = "They show the same cells again, so one is looked at."


class PlanesRow(Listening, QWidget):
    """Three choices in a row, each there only if an image of the study has that axis.

    Parameters
    ----------
    context
        The panel's.
    """

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._z = narrow_combo(f"Plane in z (focus). {_SAME_CELLS} All: each is a field.")
        self._time = narrow_combo(f"Time point. {_SAME_CELLS} All: each is a field.")
        self._channel = narrow_combo("Channel: transmitted light, unless you choose another.")
        self._parts = (self._z, self._time, self._channel)

        for combo, name, letters in zip(self._parts, _NAMES, _LETTERS, strict=True):
            combo.setAccessibleName(name)
            combo.setMinimumContentsLength(letters)
        row(QLabel("Planes"), *((combo, 1) for combo in self._parts), within=self, margin_px=0)

        for combo in self._parts:
            combo.activated.connect(self._on_chosen)
        self.listen(context.session.cohort_changed, self._synchronise)
        context.opening.changed.connect(self._synchronise)
        self._synchronise()

    def _on_chosen(self) -> None:
        choice = PlaneChoice(*(str(combo.currentData()) for combo in self._parts))
        self._context.opening.choose_planes(choice)

    def _synchronise(self) -> None:
        cohort = self._context.session.cohort
        planes = None if cohort is None else cohort.planes
        self.setVisible(planes is not None)
        self.setEnabled(not self._context.opening.busy)
        if planes is None:
            return
        self.setToolTip(planes.text)
        choice = planes.choice
        _fill(self._z, {**_Z, **_numbers("plane", planes.z)}, choice.z)
        _fill(self._time, {**_TIME, **_numbers("time", planes.times)}, choice.time)
        _fill(self._channel, _channels(planes), choice.channel)
        sizes: Sequence[int] = (planes.z, planes.times, len(planes.channels))
        for combo, size in zip(self._parts, sizes, strict=True):
            combo.setVisible(size > 1)


def _numbers(thing: str, count: int) -> dict[str, str]:
    return {f"{thing} {number}": str(number) for number in range(1, count + 1)}


def _channels(planes: PlanesInUse) -> dict[str, str]:
    named = {
        f"{number}: {name}" if name != str(number) else f"channel {number}": str(number)
        for number, name in enumerate(planes.channels, start=1)
    }
    return {"auto": "auto", **named}


def _fill(combo: QComboBox, entries: dict[str, str], value: str) -> None:
    """Offer the entries, with what is chosen, if it is none of them, as it was written."""
    with QSignalBlocker(combo):
        combo.clear()
        for text, data in entries.items():
            combo.addItem(text, data)
        if combo.findData(value) < 0:
            combo.addItem(value, value)
        combo.setCurrentIndex(combo.findData(value))
