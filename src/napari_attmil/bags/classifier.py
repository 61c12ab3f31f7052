"""A trained classifier: samples in, class probabilities and each cell's part in them out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import ValidationError

from napari_attmil.bags.attention_mil import CHANNELS, AttentionMIL
from napari_attmil.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from napari_attmil.device import Device, choose_device
from napari_attmil.settings import FeatureSettings, MILSettings, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_attmil.bags.bag import Bag
    from napari_attmil.cells.boxes import FloatArray, IntArray

KIND = "classifier"


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a classifier says about one sample.

    Attributes
    ----------
    sample
        Name of the sample.
    classes
        Names of the K classes.
    probabilities
        (K,) float32, sums to 1; for the method SIC the shares of the cells' votes.
    cell_id
        (n,) the cells, in the order of the bag.
    attention
        (n,) float32, non-negative, sums to 1 (eq. 7); what it is for the other methods says
        `AttentionMIL.pool`.
    contribution
        (n, K) float32, signed. Their sum over the cells is the sample's logits but for a
        constant of the classifier; see `AttentionMIL.contributions`.
    """

    sample: str
    classes: tuple[str, ...]
    probabilities: FloatArray
    cell_id: IntArray
    attention: FloatArray
    contribution: FloatArray

    @property
    def predicted(self) -> str:
        """The most probable class; the first of several that are equally probable."""
        return self.classes[int(np.argmax(self.probabilities))]


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained model with all that is needed to use it again.

    Attributes
    ----------
    model
        The network.
    classes
        Names of the classes, in the order of its outputs.
    detector_digest, feature_settings
        What the training cells' features were computed with.
    provenance
        Where it comes from, as plain JSON values.
    """

    model: AttentionMIL
    classes: tuple[str, ...]
    detector_digest: str
    feature_settings: FeatureSettings
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> MILSettings:
        """The settings it was trained with."""
        return self.model.settings

    def classify(self, bag: Bag) -> Prediction:
        """Classify one sample and say which cells decided.

        Raises
        ------
        UserError
            If the sample has no cells, or its features come from another detector or from
            other feature settings than those of the training.
        """
        self._check(bag)
        self.model.eval()
        offsets = [0, len(bag)]
        with torch.inference_mode():
            embeddings = self.model.embed(as_tensor(bag.features))
            output = self.model.pool(embeddings, offsets)
            contribution, _ = self.model.contributions(embeddings)
            probabilities = self.model.probabilities(output, offsets)[0]
        return Prediction(
            bag.sample,
            self.classes,
            probabilities.cpu().numpy(),
            bag.cell_id,
            output.attention.cpu().numpy(),
            contribution.cpu().numpy(),
        )

    def save(self, path: Path) -> None:
        """Write the classifier whole or not at all.

        Raises
        ------
        UserError
            If the folder cannot be written or the disk is full.
        """
        settings = {
            "classes": list(self.classes),
            "channels": self.model.channels,
            "detector_digest": self.detector_digest,
            "features": self.feature_settings.model_dump(),
            "mil": self.settings.model_dump(),
        }
        save_checkpoint(
            Path(path), Checkpoint(KIND, self.model.state_dict(), settings, self.provenance)
        )

    @classmethod
    def load(cls, path: Path, device: Device | None = None) -> Classifier:
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
        settings = checkpoint.settings
        try:
            classes = tuple(str(name) for name in settings["classes"])
            mil, features = MILSettings(**settings["mil"]), FeatureSettings(**settings["features"])
            model = new_model(len(classes), mil, device or choose_device(), settings["channels"])
            model.load_state_dict(dict(checkpoint.weights))
            digest = str(settings["detector_digest"])
        except (KeyError, TypeError, RuntimeError, ValidationError) as error:
            raise UserError(
                f"{path} does not fit this version of napari-attmil or is damaged; train the "
                "classifier again."
            ) from error
        return cls(model, classes, digest, features, checkpoint.provenance)

    def _check(self, bag: Bag) -> None:
        if len(bag) == 0:
            raise UserError(f"Sample {bag.sample!r} has no cells; run detection or draw one.")
        if bag.detector_digest != self.detector_digest:
            raise UserError(
                f"The cells of sample {bag.sample!r} were read with another detector than this "
                "classifier was trained with; load that detector, or train the classifier again."
            )
        if bag.feature_settings != self.feature_settings:
            raise UserError(
                f"The features of sample {bag.sample!r} were computed with other settings than "
                "this classifier was trained with; compute them again with the classifier's."
            )


def new_model(
    classes: int, settings: MILSettings, device: Device, channels: int = CHANNELS
) -> AttentionMIL:
    """Return an untrained model without touching torch's global random state."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(settings.seed)
        return AttentionMIL(classes, settings, device, channels)


def as_tensor(features: npt.NDArray[np.float16]) -> torch.Tensor:
    """Return features as a tensor that shares their memory where it can."""
    # torch has no read-only tensors; memory maps of the store are private copies on write.
    return torch.from_numpy(np.require(features, requirements=["C", "W"]))
