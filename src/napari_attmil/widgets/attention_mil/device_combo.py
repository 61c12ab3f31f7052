"""Chooses the device; what there is gets known only when somebody looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QWidget

from napari_attmil.widgets import tasks
from napari_attmil.widgets.parts import TaskRunner

AUTO = "auto"


class DeviceCombo(QComboBox):
    """Device names, "auto" first.

    Asking torch takes seconds, so the list is filled off the main thread when it is first
    wanted: see `refresh`.

    Signals
    -------
    valueChanged(str)
        Another device is chosen.
    """

    valueChanged = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._runner = TaskRunner(self)
        self._known = False

        self.addItem("automatic", AUTO)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)

        self.currentIndexChanged.connect(lambda _: self.valueChanged.emit(self.value()))

        self.setToolTip("What computes: detection, training and classification run there.")

    def value(self) -> str:
        """Return the name of the device, or "auto"."""
        return str(self.currentData())

    def setValue(self, name: str) -> None:
        """Choose a device; one that is not listed is passed over."""
        index = self.findData(name)
        if index >= 0:
            self.setCurrentIndex(index)

    def refresh(self) -> None:
        """Find out, once, what this computer has."""
        if not self._known:
            self._runner.start(tasks.list_devices, on_done=self._fill)

    def _fill(self, devices: Sequence[Any]) -> None:
        if self._known:
            return
        self._known = True
        self.setItemText(0, f"automatic ({devices[0].name})")
        for device in devices:
            self.addItem(f"{device.name}: {device.description}", device.name)
