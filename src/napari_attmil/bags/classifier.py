"""A trained classifier: it gives a sample's class probabilities and each cell's share in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt
import torch

from napari_attmil.bags.certainty import NOT_CHECKED, Certainty
from napari_attmil.bags.held_out import HeldOut
from napari_attmil.bags.name_digests import digests_of
from napari_attmil.bags.network import CHANNELS, AttentionMIL, Packing, PreparedFeatures
from napari_attmil.bags.prediction import Prediction, agreed_attention
from napari_attmil.bags.presets import with_method
from napari_attmil.bags.prior import (
    assumed_in_training,
    checked_prior,
    log_posterior,
    shares_in_words,
)
from napari_attmil.bags.stored_models import mil_settings, weights_of, with_weights
from napari_attmil.bags.stored_values import (
    checked_certainty,
    class_names,
    model_votes,
    number_of_channels,
    number_of_models,
)
from napari_attmil.cells import FeatureSettings
from napari_attmil.core import (
    CAUTION,
    Checkpoint,
    Device,
    Float32Array,
    Remedy,
    UserError,
    choose_device,
    counted,
    html_paragraph,
    html_table,
    load_checkpoint,
    save_checkpoint,
)
from napari_attmil.images import reference_class

if TYPE_CHECKING:
    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.settings import MILSettings

KIND = "classifier"
COMPOSITION_DECIDES = (
    "Which share of all cells is of which type decides more here than single characteristic cells."
)
COUNTED: Final = {
    True: "all classes taken to be equally frequent",
    False: "classes taken to be as frequent as there",
}
"""The class frequencies that calibrated probabilities assume, by `MILSettings.balance_classes`."""
LEARNT_FROM = (
    "The classifier was trained on a patient or sample of this name: if it is the same one, this "
    "shows what it has learnt, not how well it does on a new patient."
)
MEASURE_IT = "`attmil evaluate` measures it."


_DAMAGE: Final = (
    *(KeyError, TypeError, AttributeError, IndexError),
    *(RuntimeError, ValueError, OverflowError, MemoryError),
)
"""What values raise that are not those of a classifier."""


@dataclass(frozen=True, eq=False)
class Classifier:
    """One or several trained models with all that is needed to use them again.

    Attributes
    ----------
    models
        The networks, those that weigh single cells first. All have one architecture, except for
        one that may see only the types of cells.
    classes
        Names of the classes, in the order of their outputs.
    reader_digest, feature_settings
        What the training cells' features were computed with.
    certainty
        How logits become probabilities and prediction sets.
    provenance
        Where it comes from, as plain JSON values.
    votes
        (M,) weight of each model; they sum to 1. Equal if empty.
    held_out
        What was said of the training samples while their patients were held out; None if none was,
        or if an earlier version wrote the file.
    prior
        How frequent the classes are where the samples come from, in their order, sums to 1; None
        for the frequencies of the training. Not part of the model file: see `with_prior`.
    """

    models: tuple[AttentionMIL, ...]
    classes: tuple[str, ...]
    reader_digest: str
    feature_settings: FeatureSettings
    certainty: Certainty = field(default_factory=Certainty)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    votes: tuple[float, ...] = ()
    held_out: HeldOut | None = None
    prior: Mapping[str, float] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the models on the processor: a process that gets them may lack their device."""
        return vars(self) | {"models": tuple(_on_processor(model) for model in self.models)}

    @property
    def settings(self) -> MILSettings:
        """The settings it was trained with; the seed is that of the first model."""
        return self.models[0].settings

    @property
    def description(self) -> str:
        """The number of models and what they were calibrated on, in one or two sentences."""
        models = counted(len(self.models), "model")
        if self.composition_vote and len(self.models) > 1:
            single = counted(self.weighing_models, "model")
            models = f"{single} of single cells and one of the shares of cell types"
            models += f" (counts {self.composition_vote:.0%})"
        if self.certainty.is_calibrated:
            calibrated = f"{models}, calibrated on {sum(self.certainty.patients)} held-out patients"
            return f"{calibrated}, {COUNTED[self.settings.balance_classes]}.{self._with_prior}"
        return f"{models}. {self.certainty.note(self.classes)}{self._with_prior}"

    def _repr_html_(self) -> str:
        """Return for a notebook which classes it tells apart, and how well on new patients."""
        rows = [(name,) for name in self.classes]
        table = html_table("Classifier", ("Class",), rows)
        said = (self.description, self.on_new_patients, CAUTION)
        return "".join([table, *(html_paragraph(text) for text in said)])

    @property
    def _with_prior(self) -> str:
        if self.prior is None:
            return ""
        return f" Probabilities are shown for {shares_in_words(self.prior)}, as given."

    @property
    def on_new_patients(self) -> str:
        """How it did on patients it was not trained on, or why that is not known."""
        if self.held_out is not None:
            return self.held_out.in_words()
        if self.certainty.is_calibrated:
            return f"An earlier version wrote this file without its held-out figure; {MEASURE_IT}"
        if self.certainty.missing_because == NOT_CHECKED:
            return (
                "No patient was held out, so nothing is known about how well it does on new ones; "
                f"{MEASURE_IT}"
            )
        return f"No figure for new patients: {self.certainty.missing_because}"

    @property
    def composition_vote(self) -> float:
        """The vote of a model that sees only a sample's composition, 0 to 1."""
        pairs = zip(self.models, self.model_votes, strict=True)
        return float(sum(vote for model, vote in pairs if model.method.by_type))

    @property
    def assumed(self) -> dict[str, float] | None:
        """How frequent its probabilities take each class to be; None if that is not known."""
        counts = self.certainty.patients or self.provenance.get("samples_of_classes", ())
        return assumed_in_training(self.classes, self.settings.balance_classes, counts)

    def with_prior(self, prior: Mapping[str, float] | None) -> Self:
        """Return the same classifier for samples from where the classes are as frequent as given.

        Parameters
        ----------
        prior
            The frequency of each class, of any sum; None for the frequencies of the training.

        Raises
        ------
        UserError
            If they are not those of the classes, or it is not known which ones were assumed.
        """
        if prior is None:
            return replace(self, prior=None)
        if self.assumed is None:
            raise UserError(
                "The model file does not say how frequent the classes were in its training, so "
                "probabilities cannot be given for other frequencies; train the classifier again.",
                Remedy.TRAIN_CLASSIFIER,
            )
        return replace(self, prior=checked_prior(prior, self.classes))

    def log_probabilities(self, logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return (..., K) log probabilities of the models' logits: calibrated, and with the prior.

        Parameters
        ----------
        logits
            (..., K) as `logits` returns them.
        """
        calibrated = self.certainty.log_probabilities(logits)
        if self.prior is None or self.assumed is None:
            return calibrated
        return log_posterior(calibrated, self.prior, self.assumed)

    def may_have_learnt_from(self, bag: Bag) -> bool:
        """Whether the training samples included a patient or sample of the same name.

        Leading folders of a name are ignored, but its last part alone, such as "s1", identifies
        nobody.
        """
        learnt = set(self.provenance.get("learnt_from", ()))
        return not learnt.isdisjoint(digests_of(bag.patient, bag.sample))

    def classify(self, bag: Bag) -> Prediction:
        """Classify one sample and attribute the result to its cells.

        Raises
        ------
        UserError
            If the sample has no cells, or its features come from another network or from
            other feature settings than those of the training.
        """
        self.check(bag)
        members = self._ask(bag)
        logits = np.stack([logits for logits, _, _ in members])
        probabilities = np.exp(self.certainty.log_probabilities(self.model_votes @ logits))
        possible = self.certainty.prediction_set(probabilities)
        contributions = [contribution for _, _, contribution in members]
        contribution = np.average(contributions, axis=0, weights=self.model_votes)
        weights = [weight for _, weight, _ in members[: self.weighing_models]]
        prediction = Prediction(
            bag.sample,
            self.classes,
            probabilities.astype(np.float32),
            bag.cell_id,
            agreed_attention(weights, self.models[0].least_weight),
            (contribution / self.certainty.temperature).astype(np.float32),
            np.exp(self.certainty.log_probabilities(logits)).astype(np.float32),
            None if possible is None else self._names(possible, probabilities),
            None if possible is None else self.certainty.coverage,
            self._note(bag),
            self.healthy_class,
            self.may_have_learnt_from(bag),
            None if self.held_out is None else self.held_out.of_sample(bag.sample, bag.patient),
            bag.boxes,
            self.assumed,
            bool(self.certainty.by_class) and all(self.certainty.by_class),
        )
        return prediction.with_prior(self.prior)

    @property
    def healthy_class(self) -> str | None:
        """The class of healthy samples; None if no class is recognised as such."""
        return reference_class(self.classes, self.settings.reference_class)

    def logits(self, bag: Bag) -> npt.NDArray[np.float64]:
        """Return (K,) the mean of the models' log probabilities, before calibration."""
        self.check(bag)
        return np.asarray(self.model_votes @ [logits for logits, _, _ in self._ask(bag)])

    def embeddings(self, bag: Bag, models: int | None = None) -> Iterator[torch.Tensor]:
        """Yield the cells' embeddings by each of the first `models` models, by all if None.

        Yields
        ------
        (n, D) float32
            See `AttentionMIL.embed`.
        """
        features = PreparedFeatures.of_bag(bag.features)
        if self._share_components:
            with self.models[0].threads(), torch.inference_mode():
                features = self.models[0].eval().fixed_part(features)
        for model in self.models[:models]:
            with model.threads(), torch.inference_mode():
                embedded = model.eval().embed(features)
            yield embedded

    def save(self, path: str | Path) -> None:
        """Write the classifier whole or not at all.

        Raises
        ------
        UserError
            If the folder cannot be written or the disk is full.
        """
        settings = {
            "classes": list(self.classes),
            "channels": self.models[0].channels,
            "detector_digest": self.reader_digest,
            "features": self.feature_settings.model_dump(),
            # By name: a later version may know other names that tell it.
            "mil": self.settings.model_dump() | {"reference_class": self.healthy_class or ""},
            "methods": [model.settings.method for model in self.models],
            "votes": self.model_votes.tolist(),
            "certainty": self.certainty.to_json(),
        }
        if self.held_out is not None:
            settings["held_out"] = self.held_out.to_json()
        weights = weights_of(self.models)
        save_checkpoint(Path(path), Checkpoint(KIND, weights, settings, self.provenance))

    @classmethod
    def load(cls, path: str | Path, device: Device | None = None) -> Self:
        """Read a classifier from a model file.

        Parameters
        ----------
        path
            A model file of kind "classifier".
        device
            Where to compute; the fastest device of this machine if None.

        Raises
        ------
        UserError
            If the file is missing, damaged, of another kind or of another version.
        """
        checkpoint = load_checkpoint(Path(path), KIND)
        settings, device = checkpoint.settings, device or choose_device()
        try:
            classes = class_names(settings["classes"])
            mil = mil_settings(settings["mil"])
            features = FeatureSettings(**settings["features"])
            certainty = checked_certainty(Certainty.from_json(settings["certainty"]), len(classes))
            held_out = HeldOut.from_json(settings.get("held_out"), len(classes))
            models = []
            methods = settings.get("methods") or [mil.method] * number_of_models(settings["models"])
            number_of_models(len(methods))
            channels = number_of_channels(settings["channels"])
            for number, method in enumerate(methods):
                own = with_method(mil, method)
                model = new_model(classes, own, device, channels)
                models.append(with_weights(model, checkpoint.weights, number))
            digest = str(settings["detector_digest"])
            votes = model_votes(settings.get("votes", ()), len(models))
        except _DAMAGE as error:
            raise UserError(
                f"{path} does not fit this version of napari-attmil or is damaged; train the "
                "classifier again.",
                Remedy.LOAD_MODEL,
            ) from error
        origin = checkpoint.provenance
        return cls(tuple(models), classes, digest, features, certainty, origin, votes, held_out)

    @property
    def model_votes(self) -> npt.NDArray[np.float64]:
        """(M,) the weight of each model; they sum to 1."""
        count = len(self.models)
        return np.array(self.votes or [1 / count] * count)

    @property
    def weighing_models(self) -> int:
        """How many models, counted from the first, weigh single cells; all if none does."""
        by_type = [model.method.by_type for model in self.models]
        return by_type.count(False) or len(by_type)

    @cached_property
    def _share_components(self) -> bool:
        """Whether all models use the same directions, so that they are applied only once."""
        first, *others = (_directions_of(model) for model in self.models)
        return bool(first) and all(
            len(first) == len(other) and all(map(torch.equal, first, other)) for other in others
        )

    def _ask(self, bag: Bag) -> list[tuple[npt.NDArray[np.float32], Float32Array, Float32Array]]:
        """Return (K,) log probabilities, (n,) weights and (n, K) contribution by each model."""
        answers = []
        for model, embeddings in zip(self.models, self.embeddings(bag), strict=True):
            with model.threads(), torch.inference_mode():
                packing = Packing.of([len(bag)], embeddings.device)
                output = model.pool(embeddings, packing)
                logits = model.log_probabilities(output, packing)[0].cpu().numpy()
            weight, contribution = output.weight.cpu(), output.contribution.cpu()
            answers.append((logits, weight.numpy(), contribution.numpy()))
        return answers

    def _note(self, bag: Bag) -> str:
        notes = [self.certainty.note(self.classes)]
        if self.composition_vote > 0.5:
            notes.append(COMPOSITION_DECIDES)
        if self.may_have_learnt_from(bag):
            notes.insert(0, LEARNT_FROM)
        return " ".join(note for note in notes if note)

    def _names(self, possible: npt.NDArray[np.bool_], shares: npt.ArrayLike) -> tuple[str, ...]:
        order = np.argsort(-np.asarray(shares), kind="stable")
        return tuple(self.classes[k] for k in order if possible[k])

    def check(self, bag: Bag) -> None:
        """Refuse a bag that it cannot judge, with the errors of `classify`."""
        bag.check_readable(self.reader_digest, self.feature_settings)


def new_model(
    classes: Sequence[str], settings: MILSettings, device: Device, channels: int = CHANNELS
) -> AttentionMIL:
    """Return an untrained model without touching torch's global random state."""
    healthy = reference_class(classes, settings.reference_class)
    reference = None if healthy is None else list(classes).index(healthy)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(settings.seed)
        return AttentionMIL(len(classes), settings, device, channels, reference)


def _directions_of(model: AttentionMIL) -> list[torch.Tensor]:
    """Return the tensors that define a model's directions; empty if it has none."""
    if model.components is None or model.fixed_form is None:
        return []
    return [model.feature_mean, model.feature_std, model.components.directions]


def _on_processor(model: AttentionMIL) -> AttentionMIL:
    """Return a model itself if it is there, else a copy."""
    if model.device.name == "cpu":
        return model
    moved = deepcopy(model).cpu()
    moved.device = Device("cpu", "float32", "processor")
    return moved
