"""The part of an ensemble's trainings that one worker does, and what comes of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from napari_attmil.bags.training.preparation import share_components
from napari_attmil.bags.training.trainer import Trainer, resumable_together
from napari_attmil.core import Progress, Unfinished

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.classifier import Classifier
    from napari_attmil.bags.training.planned_trainings import Part, PlannedTraining
    from napari_attmil.core import Device


@dataclass(frozen=True)
class TrainedPart:
    """The models of a part.

    Attributes
    ----------
    whole
        Those whose training has ended, in the order of its trainings.
    begun
        Those of a first group whose training was interrupted.
    """

    whole: tuple[Classifier, ...]
    begun: tuple[Classifier, ...] = ()


def trained_part(
    part: Part,
    bags: Sequence[Bag],
    device: Device,
    classes: Sequence[str],
    seed: int,
    state_folder: Path | None,
) -> Generator[Progress, None, TrainedPart | Unfinished[TrainedPart]]:
    """Train the models of a part; interrupted, return those that are there.

    `device`, `classes` and `state_folder` are those of `EnsembleTrainer`, `seed` is that of its
    settings.

    Yields
    ------
    Progress
        In units of epochs; `detail` has the progress of a training, and the numbers within the part
        of the first of its group, of itself and of the last of its group.
    """
    chosen, epochs = [bags[row] for row in part.plans[0].rows], part.plans[0].settings.epochs
    total, trainers = epochs * len(part.plans), list[Trainer]()
    whole: list[Classifier] = []
    for group in part.groups:
        trainers = _trainers_of(group, chosen, device, classes, seed, trainers)
        start, count = len(whole), len(group)
        try:
            for place, epoch in resumable_together(trainers, state_folder):
                numbers = (start, start + place, start + count - 1)
                done = start * epochs + (epoch.done - 1) * count + place + 1
                yield Progress(done, total, "", {"numbers": numbers, "epoch": asdict(epoch)})
        except KeyboardInterrupt:
            begun = () if whole else tuple(one.best for one in trainers if one.epochs_done)
            return Unfinished(TrainedPart(tuple(whole), begun))
        whole += [trainer.best for trainer in trainers]
    return TrainedPart(tuple(whole))


def _trainers_of(
    group: Sequence[PlannedTraining],
    bags: Sequence[Bag],
    device: Device,
    classes: Sequence[str],
    seed: int,
    before: list[Trainer],
) -> list[Trainer]:
    """Return the trainers of a group, which takes the place of another one on the same bags."""
    trainers = before[:1]
    before.clear()  # Frees features on the device if the next are others.
    now = group[0].settings
    if trainers:
        was = trainers[0].settings
        if was.method != now.method and not share_components(was, now):
            trainers.clear()
    for plan in group:
        # They share the cells, which are prepared only once.
        alike = trainers[-1] if trainers else None
        trainers.append(Trainer(bags, plan.settings, device, classes, alike, seed))
    return trainers[-len(group) :]


def joined(members: Sequence[Classifier]) -> Classifier:
    """Return several classifiers of one architecture and origin as one classifier."""
    first = members[0]
    provenance = dict(first.provenance)
    if len(members) > 1:
        for name in ("epochs", "loss"):
            provenance[name] = [member.provenance.get(name) for member in members]
    models = tuple(model for member in members for model in member.models)
    return replace(first, models=models, provenance=provenance)
