"""The names of the detectors that installed packages offer; see `OfferedDetector`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from napari_attmil.core import entry_names

if TYPE_CHECKING:
    from pathlib import Path

GROUP: Final = "napari_attmil.detectors"


def detector_names() -> list[str]:
    """Return the names of the detectors that installed packages offer."""
    return entry_names(GROUP)


def is_offered(weights: Path) -> bool:
    """Tell whether the place of a model file is the name of a detector of another package."""
    is_name = weights.name == str(weights) and not weights.is_file()
    return is_name and str(weights) in detector_names()
