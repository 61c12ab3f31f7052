"""What a training learns from a person's answers about single cells.

A sample's label says that some of its cells are altered, an answer says which. Answers are few
beside the cells, so each step of the training sees all of them, whichever samples it takes.

What an altered cell speaks for is not held down. A sample is judged by its few strongest cells, so
that these have to be surer than any cell alone would be: with a target of 0.95 for them, answers
made a classifier worse than it was without (benchmarks/answers.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_attmil.bags.network import AttentionMIL, PreparedFeatures, packed
from napari_attmil.cells.annotations import ALTERED, NOT_ALTERED, OF_CLASS

if TYPE_CHECKING:
    from napari_attmil.bags.bag import Bag

LEAST: Final = 0.05
"""How probably a cell that is said to be normal is altered after all: an answer may be wrong."""
AT_ONCE: Final = 512
"""Most answered cells in one step; more are drawn from at random."""


@dataclass(frozen=True, eq=False)
class AnsweredCells:
    """The answered cells of a training.

    Attributes
    ----------
    features
        Of the m cells.
    targets
        (m, K) float32, how probably a cell is of a class: `LEAST`, or 1.
    weights
        (m, K) float32, how much that counts; they sum to 1, half of it altered cells where there
        are both kinds.
    """

    features: PreparedFeatures
    targets: Tensor
    weights: Tensor

    @classmethod
    def of(
        cls,
        bags: Sequence[Bag],
        features: Sequence[PreparedFeatures],
        classes: Sequence[str],
        healthy: str | None,
    ) -> Self | None:
        """Return the answered cells of some bags; None if no answer says what to learn.

        Parameters
        ----------
        bags, features
            The samples, and the features of each one's cells.
        classes, healthy
            Names of all classes, and of that of healthy samples.
        """
        parts, rows = [], []
        for bag, cells in zip(bags, features, strict=True):
            told = told_classes(bag, classes, healthy)
            places = np.flatnonzero([one is not None for one in told])
            if len(places):
                parts.append(cells[torch.from_numpy(places)])
                rows += [told[place] for place in places]
        if not parts:
            return None
        names = list(classes)
        known = torch.ones(len(names))
        if healthy is not None:
            known[names.index(healthy)] = 0
        targets, weights = torch.full((len(rows), len(names)), LEAST), known.repeat(len(rows), 1)
        for row, name in enumerate(rows):
            if name:
                # What else the cell is not, the label of its sample teaches.
                targets[row, names.index(name)] = 1
                weights[row] = functional.one_hot(torch.tensor(names.index(name)), len(names))
        weights = weights / weights.sum(1, keepdim=True) * _balanced([bool(n) for n in rows])
        return cls(packed(parts), targets, weights)

    def __len__(self) -> int:
        return len(self.targets)

    def loss(self, model: AttentionMIL) -> Tensor:
        """Return how far a model's judgement of the cells is from the answers: a scalar."""
        chosen = torch.arange(len(self))
        if len(self) > AT_ONCE:
            chosen = torch.randperm(len(self))[:AT_ONCE]
        logits = model.pooling.head(model.embed(self.features[chosen]))
        targets, weights = (part[chosen].to(logits.device) for part in (self.targets, self.weights))
        wrong = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return (wrong * weights).sum() * (len(self) / len(chosen))


def told_classes(bag: Bag, classes: Sequence[str], healthy: str | None = None) -> list[str | None]:
    """Return the class that an answer gives each cell of a bag; "" is none of the diseased ones.

    None where there is no answer or it teaches nothing: nobody can tell, the class is unknown, or
    the cell is altered in a sample of which no disease is known.
    """
    if bag.answers is None:
        return [None] * len(bag)
    of_sample = bag.label if bag.label != healthy and bag.label in classes else None
    meant = {NOT_ALTERED: "", ALTERED: of_sample}
    meant |= {f"{OF_CLASS}{name}": "" if name == healthy else name for name in classes}
    return [meant.get(answer) for answer in bag.answers.tolist()]


def _balanced(is_altered: Sequence[bool]) -> Tensor:
    """Return (m, 1) weights that sum to 1, each kind of cell having the same share."""
    kind = torch.tensor(is_altered)
    counts = torch.where(kind, kind.sum(), (~kind).sum())
    return (1 / counts / len(kind.unique()))[:, None]
