"""What a classifier says of a sample, and a classifier that needs no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_attmil.bags import Prediction
from napari_attmil.cells import FeatureSettings

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from napari_attmil.bags import Bag
    from napari_attmil.session import ClassifierLike


def prediction(
    cell_id: npt.ArrayLike,
    attention: npt.ArrayLike,
    contribution: npt.ArrayLike | None = None,
    classes: tuple[str, ...] = ("healthy", "sickle"),
) -> Prediction:
    """Return what was said of some cells; all classes are equally probable."""
    weights: Any = np.asarray(attention, dtype=np.float64)  # hand-worked values compare equal
    shares: Any = np.zeros((len(weights), len(classes))) if contribution is None else contribution
    return Prediction(
        sample="s",
        classes=classes,
        probabilities=np.full(len(classes), 1 / len(classes), np.float32),
        cell_id=np.asarray(cell_id),
        attention=weights,
        contribution=np.asarray(shares),
    )


class FakeClassifier:
    """Gives every cell an attention that grows with its id."""

    feature_settings = FeatureSettings()
    description = "2 models. Not calibrated: the training was stopped early."

    def __init__(self, classes: tuple[str, ...] = ("healthy", "sickle", "spherocytosis")) -> None:
        self.classes = classes

    def classify(self, bag: Bag) -> Prediction:
        return self.predict(bag.sample, bag.cell_id)

    def predict(self, sample: str, cell_id: npt.NDArray[np.int64]) -> Prediction:
        """Say the same of every sample: 10, 70 and 20 per cent."""
        weights: Any = cell_id.astype(np.float64) ** 2
        return Prediction(
            sample=sample,
            classes=self.classes,
            probabilities=np.array([0.1, 0.7, 0.2]),
            cell_id=cell_id,
            attention=weights / weights.sum(),
            contribution=weights[:, np.newaxis] * np.array([0.1, 0.7, 0.2]),
            member_probabilities=np.array([[0.1, 0.8, 0.1], [0.1, 0.6, 0.3]]),
            prediction_set=("sickle",),
            coverage=0.9,
        )

    def save(self, path: Path) -> None:
        path.write_bytes(b"fake")


_: type[ClassifierLike] = FakeClassifier
