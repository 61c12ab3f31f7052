"""The names of the detectors that installed packages offer; see `OfferedDetector`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from napari_attmil.core import Remedy, UserError, entry_names, read_provenance

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


def check_is_there(weights: Path) -> None:
    """Raise UserError if there is neither a model file nor an offered detector of that name."""
    names = detector_names()
    if names and not weights.is_file() and not is_offered(weights):
        raise UserError(
            f"There is no model file {weights}; check the path, or give the name of a detector "
            f"that an installed package offers: {', '.join(names)}.",
            Remedy.LOAD_MODEL,
        )


def check_can_be_fitted(weights: Path | None) -> None:
    """Raise UserError if a detector is no model file; None is the shipped one.

    Those of other packages cannot be fitted.
    """
    if weights is None:
        return
    if is_offered(weights):
        raise UserError(
            f"The detector {str(weights)!r} of another package cannot be fitted; use the built-in "
            "one, and fit that.",
            Remedy.TRAIN_DETECTOR,
        )
    read_provenance(weights, "detector")
