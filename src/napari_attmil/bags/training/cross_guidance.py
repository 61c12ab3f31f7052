"""Models that never saw a patient say which of the patient's cells others learn most from.

A model judges cells that it has learnt from by heart: it finds in each what its sample's label
says. One that was trained without the patient knows only what patients have in common. So the
patients are parted, models trained without each part point at that part's cells, and in the next
round models that learn from these cells point again, and better (as two views of the data
teach each other in co-training, Blum and Mitchell 1998). Oddness has a say in each round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from napari_attmil.bags.classifier import as_tensor
from napari_attmil.bags.training.guidance import (
    agreed_score,
    healthy_guides,
    is_guided,
    weights_by_rank,
)
from napari_attmil.bags.training.inner_folds import inner_folds
from napari_attmil.bags.training.trainer import Trainer
from napari_attmil.core import later_seed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.classifier import Classifier
    from napari_attmil.bags.settings import MILSettings
    from napari_attmil.bags.training.trainer import EpochProgress
    from napari_attmil.core import Device

PARTS: Final = 3
"""Parts of the patients; fewer where a class has fewer patients."""
SHARED_ALIKE: Final = 0.5
"""Of the weight of a sample, what all of its cells share alike in the end. Chosen on the cohort
"development" of `planted_cells.py`: less of it does as well where few cells are altered, and makes
diseases that alter most cells be told from others less well."""
FIRST_SEED: Final = 5_000
"""Added to the settings' seed, so that these models are none of the classifier's."""


def most_epochs(settings: MILSettings) -> int:
    """Return for how many epochs a guidance trains, at most."""
    return is_guided(settings) * settings.guidance_rounds * PARTS * _epochs_each(settings)


class CrossGuidance:
    """Guides a training by models of parts of its patients.

    Parameters
    ----------
    bags
        Those of the training, in its order.
    settings
        Of the training; its `guidance_rounds` says how often every part is judged.
    device
        Where to compute.
    classes
        Names of the classes.
    """

    def __init__(
        self,
        bags: Sequence[Bag],
        settings: MILSettings,
        device: Device,
        classes: Sequence[str],
    ) -> None:
        self._bags, self._settings, self._device = list(bags), settings, device
        self._classes = tuple(classes)
        is_guided = healthy_guides(bags, classes, settings) is not None
        self._parts = inner_folds(bags, PARTS)[0] if is_guided else []

    @property
    def trainings(self) -> int:
        """How many models are trained; none where a class has a single patient."""
        return self._settings.guidance_rounds * len(self._parts)

    @property
    def epochs_each(self) -> int:
        """Epochs of each of them at most."""
        return _epochs_each(self._settings)

    def epochs(
        self, guided: Trainer, kept_in: Path | None = None
    ) -> Iterator[tuple[int, EpochProgress]]:
        """Train these models, and guide a training by what they say in the end.

        Parameters
        ----------
        guided
            Of the same bags. One that nothing guides is left as it is.
        kept_in
            As for `Trainer.epochs_kept_in`.

        Yields
        ------
        number, progress
            Which of the models it is, counted from 0, and how its training stands.

        Raises
        ------
        UserError
            As `Trainer.epochs`.
        """
        guidance, oddness = guided.guidance, guided.oddness
        if guidance is None or oddness is None:
            return
        prepared: list[Trainer | None] = [None] * len(self._parts)
        for number in range(self.trainings):
            part = number % len(self._parts)
            if part == 0:
                before, guidance = guidance, list(guidance)
            others, judged = self._parts[part]
            trainer = self._trainer(others.tolist(), number, prepared[part])
            prepared[part] = prepared[part] or trainer
            trainer.guide([before[row] for row in others])
            for progress in trainer.epochs_kept_in(kept_in):
                yield number, progress
            for row in judged:
                own = self._judged(trainer.best, self._bags[row]).to(oddness[row].device)
                if oddness[row].any():
                    score = agreed_score(own, oddness[row])
                    guidance[row] = weights_by_rank(score, SHARED_ALIKE)
        guided.guide(guidance)

    def _trainer(self, rows: Sequence[int], number: int, alike: Trainer | None) -> Trainer:
        settings = self._settings.replace(
            seed=later_seed(self._settings.seed, FIRST_SEED + number), epochs=self.epochs_each
        )
        bags = [self._bags[row] for row in rows]
        return Trainer(bags, settings, self._device, self._classes, alike)

    def _judged(self, classifier: Classifier, bag: Bag) -> Tensor:
        """Return (n,) how much each cell alone speaks for the class of its sample."""
        model, features = classifier.models[0], as_tensor(bag.features)
        with torch.inference_mode():
            output = model(features, [0, len(features)])
            own: Tensor = output.instance_logits[:, self._classes.index(bag.label or "")]
        return own


def _epochs_each(settings: MILSettings) -> int:
    return max(1, settings.epochs // 2)
