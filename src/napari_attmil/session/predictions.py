"""The classifier in use, and its predictions of a session's samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from psygnal import SignalInstance

    from napari_attmil.bags import Bag, HeldOut, Prediction
    from napari_attmil.cells import Boxes, FeatureSettings
    from napari_attmil.session.keys import SessionKey
    from napari_attmil.session.sample_records import SampleRecords


class ClassifierLike(Protocol):
    """The part of a classifier that the session and panels use."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def feature_settings(self) -> FeatureSettings:
        """The settings of the features that it was trained on."""

    @property
    def description(self) -> str:
        """The number of models, and what they were calibrated on."""

    @property
    def held_out(self) -> HeldOut | None:
        """What was said of the training samples while their patients were held out."""

    @property
    def on_new_patients(self) -> str:
        """How it did on patients it was not trained on, or why that is not known."""

    def classify(self, bag: Bag) -> Prediction:
        """Classify a sample and attribute the result to its cells."""

    def save(self, path: Path) -> None:
        """Write the model file."""


@dataclass(frozen=True, eq=False)
class LoadedClassifier:
    """A classifier and its file.

    Attributes
    ----------
    model
        The classifier.
    name
        Its name in the interface.
    path
        The file it was read from or last saved to.
    """

    model: ClassifierLike
    name: str
    path: Path | None = None


class Predictions:
    """The classifier in use; its predictions are part of the samples' states.

    Parameters
    ----------
    records
        The session's.
    prediction_changed, classifier_changed
        The session's signals.
    """

    def __init__(
        self,
        records: SampleRecords,
        prediction_changed: SignalInstance,
        classifier_changed: SignalInstance,
    ) -> None:
        self._records = records
        self._prediction_changed, self._classifier_changed = prediction_changed, classifier_changed
        self._classifier: LoadedClassifier | None = None

    @property
    def classifier(self) -> LoadedClassifier | None:
        """The classifier in use."""
        return self._classifier

    def use(self, classifier: LoadedClassifier | None) -> None:
        """Use another classifier; predictions of the former one are removed."""
        former, self._classifier = self._classifier, classifier
        if former is None or classifier is None or former.model is not classifier.model:
            for record in self._records.all():
                record.state = replace(record.state, prediction=None)
            self._prediction_changed.emit()
        self._classifier_changed.emit()

    def set(self, prediction: Prediction, classified: Boxes, key: SessionKey | None = None) -> None:
        """Set a sample's prediction.

        Parameters
        ----------
        prediction
            What the classifier predicted.
        classified
            The boxes that it was made from.
        key
            The sample; the shown one by default. Nothing happens if it is no longer open.
        """
        key = self._records.shown if key is None else key
        record = self._records.get(key)
        if record is None:
            return
        record.state = replace(record.state, prediction=prediction, classified=classified)
        if key == self._records.shown:
            self._prediction_changed.emit()
