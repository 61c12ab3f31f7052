"""Which models an ensemble's training trains, in which order, and in which parts they are done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_attmil.bags.methods import METHODS
from napari_attmil.bags.presets import with_method
from napari_attmil.core import later_seed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_attmil.bags.methods import Method
    from napari_attmil.bags.settings import EnsembleSettings, MILSettings
    from napari_attmil.images import Fold

SEED_STEP = 10_000
"""Distance between the seeds of an ensemble's models: ensembles of seeds 0 and 1 share no model."""

Stage = Literal["model", "calibration"]


@dataclass(frozen=True)
class PlannedTraining:
    """A planned training of one model.

    Attributes
    ----------
    stage
        Its purpose: a model of the ensemble, or one for its calibration.
    rows
        Positions of the training samples.
    settings
        Architecture, fitting and seed.
    """

    stage: Stage
    rows: tuple[int, ...]
    settings: MILSettings

    @property
    def kind(self) -> tuple[tuple[int, ...], Method]:
        """What it has in common with models that differ only by their seed."""
        return self.rows, self.settings.method


def planned_trainings(
    settings: MILSettings, ensemble: EnsembleSettings, samples: int, folds: Sequence[Fold]
) -> list[PlannedTraining]:
    """Return all trainings in their order, those of one kind together.

    Parameters
    ----------
    settings
        Of the first model.
    ensemble
        The number of models.
    samples
        The number of training samples.
    folds
        Training and held-out samples of each inner fold; empty without calibration.
    """
    seeds = [later_seed(settings.seed, number * SEED_STEP) for number in range(ensemble.members)]
    models = [settings.replace(seed=seed) for seed in seeds]
    # Only held-out patients can tell its vote.
    others = [with_method(settings, "composition")] * asks_composition(settings, ensemble)
    plans = [
        PlannedTraining("model", tuple(range(samples)), own)
        for own in models + others * bool(folds)
    ]
    for train, _ in folds:
        rows = tuple(train.tolist())
        few = models[: ensemble.members_held_out] + others
        plans += [PlannedTraining("calibration", rows, own) for own in few]
    return plans


def asks_composition(settings: MILSettings, ensemble: EnsembleSettings) -> bool:
    """Return whether a composition model is trained beside the others."""
    is_other = settings.components > 0 and not METHODS[settings.method].by_type
    return ensemble.composition and ensemble.calibrate and is_other


def most_epochs(settings: MILSettings, ensemble: EnsembleSettings) -> int:
    """Return the maximum number of epochs of all trainings of an ensemble."""
    folds = [(np.arange(0), np.arange(0))] * (ensemble.folds * ensemble.calibrate)
    return len(planned_trainings(settings, ensemble, 0, folds)) * settings.epochs


@dataclass(frozen=True)
class Part:
    """Planned trainings on the same samples, which one worker does.

    Attributes
    ----------
    first
        The number of the first of them among all trainings.
    groups
        The trainings; those of a group are trained at once.
    """

    first: int
    groups: tuple[tuple[PlannedTraining, ...], ...]

    @property
    def plans(self) -> tuple[PlannedTraining, ...]:
        """Its trainings, in their order."""
        return tuple(plan for group in self.groups for plan in group)


def parts_of(groups: Iterable[tuple[PlannedTraining, ...]], most: int | None) -> list[Part]:
    """Return groups of trainings in parts.

    Parameters
    ----------
    groups
        Trainings that are trained at once, each group of one kind.
    most
        How many trainings a part has at most, unless already its first group has more; if None,
        all those on the same samples. A composition model goes with the models before it, whose
        components it shares.
    """
    parts: list[Part] = []
    first = 0
    for group in groups:
        last = parts[-1].plans if parts else ()
        goes_with = bool(last) and last[0].rows == group[0].rows
        if most is not None and last and last[0].kind == group[0].kind:
            goes_with = goes_with and len(last) + len(group) <= most
        if goes_with:
            parts[-1] = replace(parts[-1], groups=(*parts[-1].groups, group))
        else:
            parts.append(Part(first, (group,)))
        first += len(group)
    return parts
