"""The choice of the device, filled when it is first wanted."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox

from napari_attmil.core import Device
from napari_attmil.widgets import tasks
from napari_attmil.widgets.parts import TaskRunner, make_narrow

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

    def __init__(self) -> None:
        super().__init__()
        make_narrow(self, "The device for detection, training and classification.")
        self._runner = TaskRunner(self)
        self._wanted = ""
        self.addItem("automatic", AUTO)
        self.currentIndexChanged.connect(lambda _: self.valueChanged.emit(self.value()))

    def value(self) -> str:
        """Return the name of the device, or "auto"."""
        return str(self.currentData())

    def setValue(self, name: str) -> None:
        """Choose a device, as soon as it is listed."""
        self._wanted = name
        self.refresh()
        self._choose_wanted()

    def refresh(self) -> None:
        """List the devices of this computer, the first time only."""
        if self.count() == 1:
            self._runner.start(tasks.list_devices, on_done=self._fill)

    def _fill(self, devices: Sequence[Device]) -> None:
        self.setItemText(0, f"automatic ({devices[0].name})")
        for device in devices:
            self.addItem(f"{device.name}: {device.description}", device.name)
        self._choose_wanted()

    def _choose_wanted(self) -> None:
        if (place := self.findData(self._wanted)) >= 0:
            self.setCurrentIndex(place)
            self._wanted = ""
