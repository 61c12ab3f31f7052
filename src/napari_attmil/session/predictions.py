"""The classifier in use, and its predictions of a session's samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, Self

from napari_attmil.core import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
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

    @property
    def prior(self) -> Mapping[str, float] | None:
        """How frequent the classes are where the samples come from; None as in the training."""

    @property
    def assumed(self) -> Mapping[str, float] | None:
        """How frequent the classes were in the training; None if that is not known."""

    def with_prior(self, prior: Mapping[str, float] | None) -> Self:
        """Return the same classifier for classes that are as frequent as given."""

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


def takes_prior(classifier: ClassifierLike, prior: Mapping[str, float] | None) -> bool:
    """Return whether a classifier can use these frequencies of classes."""
    if prior is None:
        return False
    return set(prior) == set(classifier.classes) and classifier.assumed is not None


class Predictions:
    """The classifier in use; its predictions are part of the samples' states.

    Both take the classes to be as frequent as `prior` says, if it is of the classifier's classes.

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
        self._versions: list[LoadedClassifier] = []
        """The classifier in use at the frequencies of classes that it was used for."""
        self._prior: Mapping[str, float] | None = None

    @property
    def classifier(self) -> LoadedClassifier | None:
        """The classifier in use."""
        return self._classifier

    @property
    def prior(self) -> Mapping[str, float] | None:
        """How frequent the classes are where the samples come from; None as in the training."""
        return self._prior

    def is_in_use(self, classifier: LoadedClassifier) -> bool:
        """Return whether it is the classifier in use, be it at other frequencies of the classes."""
        return classifier in self._versions

    def use(self, classifier: LoadedClassifier | None) -> None:
        """Use another classifier; predictions of the former one are removed."""
        former, is_same = self._classifier, False
        if former is not None and classifier is not None:
            is_same = former.model is classifier.model
        self._versions = [] if classifier is None else [classifier]
        self._classifier = None if classifier is None else self._at_prior(classifier)
        if not is_same:
            for record in self._records.all():
                record.state = replace(record.state, prediction=None)
            self._prediction_changed.emit()
        self._classifier_changed.emit()

    def set_prior(self, prior: Mapping[str, float] | None) -> None:
        """Take the classes to be as frequent as given; predictions follow.

        Parameters
        ----------
        prior
            Of the classifier's classes, else it waits for one that has them; None for the
            frequencies of the training.

        Raises
        ------
        UserError
            If an earlier version made a prediction that does not say what it assumed.
        """
        if prior == self._prior:
            return
        former, self._prior = self._prior, prior
        if self._classifier is None:
            return
        changed = self._at_prior(self._classifier)
        try:
            weighed = [
                (record, record.state.prediction.with_prior(changed.model.prior))
                for record in self._records.all()
                if record.state.prediction is not None
            ]
        except UserError:
            self._prior = former
            raise
        self._classifier = changed
        for record, prediction in weighed:
            record.state = replace(record.state, prediction=prediction)
        self._prediction_changed.emit()
        self._classifier_changed.emit()

    def set(self, prediction: Prediction, classified: Boxes, key: SessionKey | None = None) -> None:
        """Set a sample's prediction.

        Parameters
        ----------
        prediction
            What the classifier predicted.
        classified
            The sample's cells at that time, even if the classifier looked at a draw of them.
        key
            The sample; the shown one by default. Nothing happens if it is no longer open.
        """
        key = self._records.shown if key is None else key
        record = self._records.get(key)
        if record is None:
            return
        if self._classifier is not None:
            # The frequencies may have been changed while it was made.
            prediction = prediction.with_prior(self._classifier.model.prior)
        record.state = replace(record.state, prediction=prediction, classified=classified)
        if key == self._records.shown:
            self._prediction_changed.emit()

    def _at_prior(self, classifier: LoadedClassifier) -> LoadedClassifier:
        """Return the classifier at the frequencies that are to be used."""
        model = classifier.model
        wanted = self._prior if takes_prior(model, self._prior) else None
        if model.prior == wanted:
            return classifier
        changed = replace(classifier, model=model.with_prior(wanted))
        self._versions.append(changed)
        return changed
