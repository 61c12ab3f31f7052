"""A classifier as the session holds it: what is needed of one, and where it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.bags import Bag, Prediction
    from napari_attmil.cells import FeatureSettings


class ClassifierLike(Protocol):
    """What the session's users need of a classifier."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def feature_settings(self) -> FeatureSettings:
        """How the features it was trained on were read."""

    @property
    def description(self) -> str:
        """How many models it asks, and what they were calibrated on."""

    def classify(self, bag: Bag) -> Prediction:
        """Say which class a sample belongs to, and which cells decided."""

    def save(self, path: Path) -> None:
        """Write the model file."""


@dataclass(frozen=True, eq=False)
class LoadedClassifier:
    """A classifier and where it is kept.

    Attributes
    ----------
    model
        The classifier.
    name
        What the person calls it.
    path
        The file it was read from or last saved to.
    """

    model: ClassifierLike
    name: str
    path: Path | None = None
