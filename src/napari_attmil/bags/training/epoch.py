"""An epoch of one model, or of several that differ only by their seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_attmil.bags.methods import METHODS
from napari_attmil.bags.network import AttentionMIL, Packing, judged_together, judges_cells
from napari_attmil.bags.training.losses import (
    bag_losses,
    combined_loss,
    exclusion_loss,
    rate_share,
)

if TYPE_CHECKING:
    from napari_attmil.bags.network import PreparedFeatures
    from napari_attmil.bags.settings import MILSettings
    from napari_attmil.bags.training.answered import AnsweredCells
    from napari_attmil.bags.training.drawn_cells import BagSizes
    from napari_attmil.bags.training.preparation import PreparedCells
    from napari_attmil.bags.training.training_state import Randomness


@dataclass(frozen=True, eq=False)
class Learner:
    """A model in training.

    Attributes
    ----------
    settings, model, optimiser, randomness
        Its own.
    cells, sizes
        The features of the bags' cells, and how many there are.
    targets, weights
        (b,) class and weight of each bag.
    answered
        What is learnt from answers about single cells, if anything.
    """

    settings: MILSettings
    model: AttentionMIL
    optimiser: torch.optim.Optimizer
    randomness: Randomness
    cells: PreparedCells
    sizes: BagSizes
    targets: Tensor
    weights: Tensor
    answered: AnsweredCells | None

    def set_learning_rate(self, epochs_done: float) -> None:
        """Set the learning rate when so many epochs, or parts of one, are over."""
        share = rate_share(epochs_done / self.settings.epochs, self.settings)
        for group in self.optimiser.param_groups:
            group["lr"] = share * self.settings.learning_rate

    def embed(self, features: PreparedFeatures) -> tuple[Tensor, Tensor | None]:
        """Return the embeddings of cells, and the loss of the answers."""
        with self.randomness:
            embedded = self.model.embed(features)
            return embedded, None if self.answered is None else self.answered.loss(self.model)


def learn_together(settings: MILSettings, sizes: BagSizes) -> bool:
    """Return whether models of some settings can learn several at once, with the same result."""
    is_quick = settings.takes_rows and settings.components > 0 and judges_cells(settings.method)
    return is_quick and sizes.longest is not None


def train_epoch(learners: Sequence[Learner], epoch: int) -> list[dict[str, float]]:
    """Train models for one epoch, counted from 0.

    Parameters
    ----------
    learners
        One, or several of the same bags and settings but for the seed that `learn_together`. What
        each of them learns does not depend on the others, to the last bit.

    Returns
    -------
    list of dict
        For each the means over its bags of ``"loss"``, ``"mil"``, ``"sic"`` and ``"correct"``.
    """
    draws = []
    for learner in learners:
        learner.model.train()
        with learner.randomness:
            draws.append(learner.sizes.draw(learner.settings.bags_per_step))
    together = learn_together(learners[0].settings, learners[0].sizes)
    steps = []
    # Some algorithms of cudnn sum in an arbitrary order, in the backward pass too.
    with torch.backends.cudnn.flags(deterministic=True, benchmark=False):
        for number, drawn in enumerate(zip(*draws, strict=True)):
            for learner in learners:
                learner.set_learning_rate(epoch + number / len(draws[0]))
            steps.append(_step(learners, drawn, epoch, together))
    names = ("loss", "mil", "sic", "correct")
    # Copied from the device only here.
    values = {name: torch.cat([step[name] for step in steps], dim=1).mean(1) for name in names}
    rows = torch.stack([values[name] for name in names]).T.tolist()
    return [dict(zip(names, row, strict=True)) for row in rows]


def _step(
    learners: Sequence[Learner],
    drawn: Sequence[tuple[Tensor, Tensor]],
    epoch: int,
    together: bool,
) -> dict[str, Tensor]:
    """Take one step; return what there is to say of each learner's (m,) bags, as (learners, m)."""
    first = learners[0]
    settings, place = first.settings, first.model.device.torch()
    own = list(zip(learners, drawn, strict=True))
    kept = torch.cat([learner.sizes.kept[bags] for learner, (bags, _) in own])
    packing = Packing.of(kept, place, first.sizes.longest if together else None)
    embedded, answers = zip(
        *(one.embed(one.cells.take(bags.tolist(), rows, one.sizes)) for one, (bags, rows) in own),
        strict=True,
    )
    models = [learner.model for learner in learners]
    if together:
        logits, instance_logits = judged_together(models, embedded, packing)
        predicted = logits.argmax(1)
    else:
        output = first.model.pool(embedded[0], packing)
        logits, instance_logits = output.logits, output.instance_logits
        predicted = first.model.log_probabilities(output, packing).argmax(1)
    targets = torch.cat([learner.targets[bags] for learner, (bags, _) in own]).to(place)
    weights = torch.cat([learner.weights[bags] for learner, (bags, _) in own]).to(place)
    guides = [learner.cells.guides(rows) for learner, (_, rows) in own]
    guidance = None if guides[0] is None else torch.cat([g for g in guides if g is not None])
    mil, sic = bag_losses(logits, instance_logits, packing, targets, settings, guidance)
    losses = combined_loss(mil, sic, epoch, settings, guidance is not None)
    if settings.exclusion > 0 and not METHODS[settings.method].by_type:
        silent, count = first.model.silent, len(learners)
        other = exclusion_loss(instance_logits, packing, targets, silent, count)
        losses = losses + settings.exclusion * other
    # Each model's own mean: its gradient is the same alone.
    total = (losses * weights).unflatten(0, (len(learners), -1)).mean(1)
    if answers[0] is not None:
        total = total + settings.answers * torch.stack([one for one in answers if one is not None])
    for learner in learners:
        learner.model.zero_grad()
    total.sum().backward()
    for learner in learners:
        learner.optimiser.step()
    found = {"loss": losses, "mil": mil, "sic": sic, "correct": (predicted == targets).float()}
    return {
        name: values.detach().float().unflatten(0, (len(learners), -1))
        for name, values in found.items()
    }
