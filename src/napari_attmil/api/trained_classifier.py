"""A classifier that takes samples and reads their cells itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_attmil.api.runs import one_sample, result_of, studies_of
from napari_attmil.bags import Bag, Classifier as BagClassifier
from napari_attmil.cells import DetectionSettings
from napari_attmil.core import Remedy, UserError
from napari_attmil.workflows import classify_study

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.bags import Prediction
    from napari_attmil.images import Sample


class Classifier(BagClassifier):
    """A trained classifier; it classifies bags, and samples whose cells it finds itself."""

    def classify(
        self,
        bag: Bag | Sample | str | Path,
        detection: DetectionSettings | None = None,
        *,
        weights: str | Path | None = None,
    ) -> Prediction:
        """Classify one sample and attribute the result to its cells.

        Parameters
        ----------
        bag
            A bag; or a sample, its folder or its image file. The boxes that people corrected in its
            study are used, with the study's detector; other cells are found.
        detection
            How cells are found.
        weights
            Model file of another detector than the study's or the shipped one.

        Raises
        ------
        UserError
            If the sample has no cells, or they are read with another detector than in training.

        Examples
        --------
        >>> classifier = attmil.Classifier.load("model.safetensors")
        >>> sample = attmil.open_cohort("study")["sickle-01-1"]
        >>> prediction = classifier.classify(sample)
        >>> len(prediction.attention) == len(prediction.boxes)
        True
        """
        if isinstance(bag, Bag):
            return super().classify(bag)
        sample = one_sample(
            bag,
            "one is classified at a time; give one of them, or use napari_attmil.classify for all.",
        )
        (study,) = studies_of(sample, weights)
        device, settings = self.models[0].device.name, detection or DetectionSettings()
        found = result_of(classify_study(study, self, settings, device))
        if not found:
            raise UserError(
                f"No cell was found in sample {sample.name!r}; look at the images, lower the "
                "minimum score, or give the cell diameter.",
                Remedy.DETECT_CELLS,
            )
        return found[0].prediction
