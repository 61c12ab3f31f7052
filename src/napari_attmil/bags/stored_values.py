"""Whether the values in a classifier's file can be those of a classifier; a ValueError if not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from napari_attmil.bags.certainty import Certainty

MOST_MODELS: Final = 200
MOST_CLASSES: Final = 1000
MOST_CHANNELS: Final = 4096
LONGEST_NAME: Final = 200


def class_names(stored: Iterable[Any]) -> tuple[str, ...]:
    """Return the names of classes: some text each, that can be written and shown."""
    names = tuple(stored)
    for name in names:
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
            raise ValueError(f"a class is named {str(name)[:40]!a}")
        name.encode()  # fails for half of a pair of code units
    if len(set(names)) < len(names) or len(names) > MOST_CLASSES:
        raise ValueError(f"its {len(names)} classes are too many, or two have one name")
    return names


def number_of_models(stored: Any) -> int:
    """Return how many models there are."""
    return int(_within("the number of models", int(stored), 1, MOST_MODELS))


def number_of_channels(stored: Any) -> int:
    """Return how many feature maps a cell has."""
    return int(_within("the number of feature maps", int(stored), 1, MOST_CHANNELS))


def model_votes(stored: Iterable[Any], models: int) -> tuple[float, ...]:
    """Return the votes of models, which sum to 1; none if all count the same."""
    votes = tuple(float(vote) for vote in stored)
    if votes and not (len(votes) == models and min(votes) >= 0 and abs(sum(votes) - 1) < 1e-3):
        raise ValueError(f"{len(votes)} votes of {models} models sum to {sum(votes):g}")
    return votes


def checked_certainty(certainty: Certainty, classes: int) -> Certainty:
    """Return what calibration has found, if it can be."""
    of_classes = {
        "bounds": certainty.least_probability or (),
        "numbers of patients": certainty.patients,
        "flags": certainty.by_class,
        "offsets": certainty.offset,
    }
    for name, values in of_classes.items():
        is_needed = certainty.is_calibrated and name != "offsets"
        if len(values) != classes and (values or is_needed):
            raise ValueError(f"{len(values)} {name} of {classes} classes")
    _within("the temperature", certainty.temperature, 1e-3, 1e3)
    _within("the coverage", certainty.coverage, 0.5, 1)
    for bound in certainty.least_probability or ():
        _within("a bound", bound, 0, 1)
    for offset in certainty.offset:
        _within("an offset", offset, -1e3, 1e3)
    for patients in certainty.patients:
        _within("the number of patients", patients, 0, 10**9)
    return certainty


def _within(name: str, value: Any, low: float, high: float) -> Any:
    if not (np.isfinite(value) and low <= value <= high):
        raise ValueError(f"{name} is {value}")
    return value
