"""Short tasks off the main thread for panels only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Event

from napari_attmil import workflows
from napari_attmil.core import Device
from napari_attmil.images import Cohort
from napari_attmil.simulation import SimulationSettings
from napari_attmil.workflows import Progress, Stage

SIMULATION = SimulationSettings(
    patients_per_class=3, samples_per_patient=1, images_per_sample=3, cells_per_image=24
)
"""A cohort to try the steps with."""


def open_cohort(paths: Path | Sequence[Path], stop: Event) -> Stage[Cohort | None]:
    """Read which samples files, folders or a cohort.csv hold; stopped, return None."""
    yield Progress(0, 0, "Looking for images")
    cohort = workflows.open_cohort(paths)
    return None if stop.is_set() else cohort


def simulate_cohort(folder: Path, stop: Event) -> Stage[Cohort | None]:
    """Draw a small cohort and read it; stopped early, return None."""
    from napari_attmil.simulation import simulate_cohort as simulate

    for step in simulate(folder, SIMULATION):
        yield step
        if stop.is_set():
            return None
    return workflows.open_cohort(folder)


def list_devices(stop: Event) -> Stage[list[Device]]:
    """Return the devices of this computer."""
    del stop
    from napari_attmil.core import available_devices

    yield Progress(0, 0, "Looking for devices")
    return available_devices()
