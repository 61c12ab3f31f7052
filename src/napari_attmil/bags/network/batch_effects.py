"""What differs between samples for other reasons than their class: focus, light, stain, smear.

A classifier that learns from a few dozen samples can tell them apart by such batch effects, and
then knows nothing of the next sample. Directions in which the means of samples of one class lie
further apart than their few cells explain are therefore scaled down before anything is learnt:
within-class covariance normalisation (Hatch, Kajarekar and Stolcke 2006, there of the sessions of a
speaker) with what chance explains on average taken off. By chance alone some directions lie beyond
that, the more the fewer the samples: without any batch effect, deviations of 20 samples of 55 cells
from their class are halved, those of 80 samples of 80 cells keep five sixths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

LEAST_VARIANCE: Final = 1e-4
"""Directions in which the cells of a sample vary less than by this share of the largest variance
count as if they varied so much."""


def batch_damping(bags: Sequence[Tensor], labels: Sequence[int], penalty: float) -> Tensor:
    """Return the linear map that scales batch effects down.

    In units in which the cells of a sample have unit variance in all directions, a direction in
    which samples of one class have the variance v beyond chance is divided by
    sqrt(1 + penalty * v).

    Parameters
    ----------
    bags
        For each sample (n_i, D) float32 of its cells; none is empty.
    labels
        Its class, counted from 0.
    penalty
        0 changes nothing.

    Returns
    -------
    (D, D) float32
        To be multiplied from the right.
    """
    device = bags[0].device
    bags = [bag.cpu().double() for bag in bags]  # Apple's GPUs have no float64.
    sizes, classes = torch.tensor([len(bag) for bag in bags]), torch.tensor(labels)
    means = torch.stack([bag.mean(0) for bag in bags])
    of_class = {label: means[classes == label].mean(0) for label in set(labels)}
    apart = means - torch.stack([of_class[label] for label in labels])
    within = sum(_scatter(bag - mean) for bag, mean in zip(bags, means, strict=True))
    within = within / (sizes.sum() - len(bags)).clamp(min=1)
    by_chance = within * (1 / sizes).mean()
    between = _scatter(apart) / max(1, len(bags) - len(of_class)) - by_chance
    variance, axes = torch.linalg.eigh(within)
    if variance[-1] <= 0:  # One cell a sample: nothing says what is more than chance.
        return torch.eye(len(variance), device=device)
    variance = variance.clamp(min=LEAST_VARIANCE * float(variance[-1]))
    to_unit, back = ((axes * variance**power) @ axes.T for power in (-0.5, 0.5))
    excess, directions = torch.linalg.eigh(to_unit @ between @ to_unit)
    factor = (1 + penalty * excess.clamp(min=0)).rsqrt()
    damping: Tensor = to_unit @ (directions * factor) @ directions.T @ back
    return damping.float().to(device)


def _scatter(rows: Tensor) -> Tensor:
    return rows.T @ rows
