"""The rows of an evaluation: single models, the ensemble for routine use, and controls."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from napari_attmil.bags import (
    METHODS,
    Bag,
    Classifier,
    EnsembleSettings,
    Method,
    MILSettings,
    with_method,
)
from napari_attmil.bags.training import (
    EnsembleTrainer,
    Trainer,
    asks_composition,
    most_epochs,
)
from napari_attmil.core import Device, UserError

if TYPE_CHECKING:
    from napari_attmil.evaluation.settings import EvaluationSettings

RowKind = Literal["single", "ensemble", "shuffled-labels", "untrained"]


@dataclass(frozen=True)
class Row:
    """One row of the report's tables.

    Attributes
    ----------
    name
        Unique in an evaluation; for a single model, the method's name.
    title
        As in tables.
    method
        How cells are pooled.
    kind
        ``"single"``: one model, as in the paper. ``"ensemble"``: the classifier for routine use,
        several seeds calibrated on held-out training patients. ``"shuffled-labels"``: one model
        trained with the patients' labels in random order. ``"untrained"``: one model with random
        weights.
    """

    name: str
    title: str
    method: Method
    kind: RowKind = "single"

    @property
    def is_control(self) -> bool:
        """Whether it must perform at chance."""
        return self.kind in ("shuffled-labels", "untrained")


ONE_MODEL: Final = EnsembleSettings(members=1, calibrate=False)
"""Rows of single models are trained as members of an ensemble are."""


def evaluation_rows(
    settings: MILSettings, evaluation: EvaluationSettings, ensemble: EnsembleSettings
) -> tuple[Row, ...]:
    """Return the rows to compare, single models first.

    An ensemble of one model without calibration equals the single model and gets no row.

    Raises
    ------
    UserError
        If nothing was chosen.
    """
    own, title = settings.method, METHODS[settings.method].title
    rows = [Row(method, METHODS[method].title, method) for method in evaluation.methods]
    if evaluation.ensemble and not ensemble.is_one_model:
        beside = " and composition" if asks_composition(settings, ensemble) else ""
        rows.append(Row("ensemble", f"Ensemble of {title}{beside}", own, "ensemble"))
    if evaluation.controls:
        rows.append(
            Row("shuffled-labels", f"Control: {title}, labels shuffled", own, "shuffled-labels")
        )
        rows.append(Row("untrained", f"Control: {title}, untrained", own, "untrained"))
    if not rows:
        raise UserError("No method was chosen; choose at least one to evaluate.")
    return tuple(rows)


def epochs_of(row: Row, settings: MILSettings, ensemble: EnsembleSettings) -> int:
    """Return the maximum number of epochs of a row's training in each fold."""
    if row.kind == "untrained":
        return 0
    return most_epochs(settings, ensemble if row.kind == "ensemble" else ONE_MODEL)


def trained(
    row: Row,
    bags: Sequence[Bag],
    settings: MILSettings,
    ensemble: EnsembleSettings,
    device: Device,
    classes: Sequence[str],
) -> Generator[float, None, Classifier]:
    """Train a row's classifier on the bags given.

    Parameters
    ----------
    row
        What is to be trained.
    bags
        Only those of training patients.
    settings
        With the seed of the run; the method is set here.
    ensemble
        Settings of the row "ensemble".
    device, classes
        As for `Trainer`.

    Yields
    ------
    float
        Share of the work that is done, 0 to 1.

    Returns
    -------
    Classifier
        For the row "untrained" it is prepared like the others, but its weights are random.
    """
    settings = with_method(settings, row.method)
    if row.kind == "untrained":
        return Trainer(bags, settings, device, classes).untrained
    if row.kind == "shuffled-labels":
        bags = shuffled_between_patients(bags, settings.seed)
    models = ensemble if row.kind == "ensemble" else ONE_MODEL
    trainer = EnsembleTrainer(bags, settings, models, device, classes)
    for step in trainer.epochs():
        yield step.done / step.total
    return trainer.best


def shuffled_between_patients(bags: Sequence[Bag], seed: int) -> list[Bag]:
    """Return the bags with the patients' labels in random order; a patient keeps one label."""
    label_of = dict(sorted((bag.patient, bag.label) for bag in bags))
    order = np.random.default_rng(seed).permutation(len(label_of))
    labels = list(label_of.values())
    shuffled = {patient: labels[place] for patient, place in zip(label_of, order, strict=True)}
    return [replace(bag, label=shuffled[bag.patient]) for bag in bags]
