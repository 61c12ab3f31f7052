"""What a classifier says of a sample, and a classifier that needs no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_attmil.bags import HeldOut, Prediction
from napari_attmil.bags.name_digests import name_digest
from napari_attmil.cells import Boxes, FeatureSettings
from napari_attmil.session import LoadedClassifier

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from napari_attmil.bags import Bag
    from napari_attmil.session import ClassifierLike, Session


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
    held_out: HeldOut | None = None
    on_new_patients = "No figure for new patients: the training was stopped early."

    def __init__(
        self,
        classes: tuple[str, ...] = ("healthy", "sickle", "spherocytosis"),
        prior: Mapping[str, float] | None = None,
    ) -> None:
        self.classes, self.prior = classes, prior

    @property
    def assumed(self) -> Mapping[str, float]:
        return dict.fromkeys(self.classes, 1 / len(self.classes))

    def with_prior(self, prior: Mapping[str, float] | None) -> FakeClassifier:
        return FakeClassifier(self.classes, prior)

    def classify(self, bag: Bag) -> Prediction:
        return self.predict(bag.sample, bag.cell_id)

    def predict(self, sample: str, cell_id: npt.NDArray[np.int64]) -> Prediction:
        """Say the same of every sample: 10, 70 and 20 per cent."""
        weights: Any = cell_id.astype(np.float64) ** 2
        said = Prediction(
            sample=sample,
            classes=self.classes,
            probabilities=np.array([0.1, 0.7, 0.2]),
            cell_id=cell_id,
            attention=weights / weights.sum(),
            contribution=weights[:, np.newaxis] * np.array([0.1, 0.7, 0.2]),
            member_probabilities=np.array([[0.1, 0.8, 0.1], [0.1, 0.6, 0.3]]),
            prediction_set=("sickle",),
            coverage=0.9,
            assumed=self.assumed,
            holds_by_class=True,
        )
        return said.with_prior(self.prior)

    def holding_out(self, *patients: tuple[str, str, int, float]) -> FakeClassifier:
        """Say of (sample, patient, class) the probability of the next class, the rest its own."""
        classes, shares = len(self.classes), []
        for _, _, truth, wrong in patients:
            row = [0.0] * classes
            row[truth], row[(truth + 1) % classes] = 1 - wrong, wrong
            shares.append(tuple(row))
        digests = [(name_digest(sample), name_digest(patient)) for sample, patient, *_ in patients]
        self.held_out = HeldOut(
            tuple(sample for sample, _ in digests),
            tuple(patient for _, patient in digests),
            tuple(truth for _, _, truth, _ in patients),
            tuple(shares),
        )
        self.on_new_patients = self.held_out.in_words()
        return self

    def save(self, path: Path) -> None:
        path.write_bytes(b"fake")


_: type[ClassifierLike] = FakeClassifier


def find_and_classify(session: Session) -> None:
    """Give a stack of three images three cells each, and say of them what the fake does."""
    corners = np.tile([[10, 10, 30, 30], [50, 20, 70, 40], [20, 60, 40, 80]], (3, 1))
    session.editor.merge(Boxes.from_detections(np.repeat([0, 1, 2], 3), corners, np.full(9, 0.9)))
    session.predictions.use(LoadedClassifier(FakeClassifier(), "fake"))
    session.predictions.set(FakeClassifier().predict("blood", session.boxes.cell_id), session.boxes)
