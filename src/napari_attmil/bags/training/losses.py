"""The losses of the paper (eq. 2, 5 and 8) and its stopping rule."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn import functional

from napari_attmil.bags.methods import METHODS

if TYPE_CHECKING:
    from napari_attmil.bags.network import Packing
    from napari_attmil.bags.settings import MILSettings


def bag_losses(
    logits: Tensor,
    instance_logits: Tensor,
    packing: Packing,
    targets: Tensor,
    settings: MILSettings,
    cell_weights: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return (b,) L_MIL (eq. 5) and (b,) L_SIC (eq. 2), the latter a mean over each bag's cells.

    They follow from the (b, K) logits of the bags and the (n, K) logits of their cells.
    `cell_weights` are the (n,) weights of the cells in that mean; equal if None.
    """
    cells = class_loss(instance_logits, targets[packing.of_cell], settings.loss)
    if cell_weights is not None:
        cells = cells * cell_weights.to(cells.device)
    return class_loss(logits, targets, settings.loss), packing.means(cells)


def exclusion_loss(
    instance_logits: Tensor,
    packing: Packing,
    targets: Tensor,
    silent: int | None = None,
    models: int = 1,
) -> Tensor:
    """Return (b,) how strongly each bag's cells support classes other than the bag's.

    It is the mean over cells and other classes of log(1 + exp(logit)): the cross entropy of "this
    cell does not belong to that class", which the bag's label makes true of each of its cells. The
    bags are those of several `models`, one model's after the other's, as many of each. The
    class `silent`, which no cell supports, is excluded.
    """
    others = 1 - functional.one_hot(targets, instance_logits.shape[1]).to(instance_logits.dtype)
    if silent is not None:
        others[:, silent] = 0
    shares = others / others.sum(1, keepdim=True).clamp(min=1)
    # Softplus rounds the last few numbers of a tensor differently: each model has its own.
    own = packing.lengths.view(models, -1).sum(1).tolist()
    support = torch.cat([functional.softplus(cells) for cells in instance_logits.split(own)])
    speaks = support * shares[packing.of_cell]
    return packing.means(speaks.sum(1))


def class_loss(
    logits: Tensor, targets: Tensor, kind: Literal["cross-entropy", "binary-cross-entropy"]
) -> Tensor:
    """Return the (m,) losses of (m, K) logits."""
    if kind == "cross-entropy":
        return functional.cross_entropy(logits, targets, reduction="none")
    # The published code's: binary cross entropy of each softmax output, averaged over classes.
    truth = functional.one_hot(targets, logits.shape[1]).to(logits.dtype)
    return functional.binary_cross_entropy(logits.softmax(1), truth, reduction="none").mean(1)


def combined_loss(
    mil: Tensor, sic: Tensor, epoch: int, settings: MILSettings, guided: bool = False
) -> Tensor:
    """Return L = (1 - beta^E) L_MIL + beta^E L_SIC (eq. 8), E counted from 0.

    Methods with one branch use its loss throughout. If the SIC branch is guided by odd cells, beta
    is the setting `guidance`.
    """
    if METHODS[settings.method].pooling is None:
        return sic
    if not METHODS[settings.method].sic:
        return mil
    is_max = METHODS[settings.method].pooling == "max"
    beta = settings.beta_max_pooling if is_max else settings.beta
    share = (settings.guidance if guided else beta) ** epoch
    return (1 - share) * mil + share * sic


def rate_share(done: float, settings: MILSettings) -> float:
    """Return the share of the learning rate when a share `done`, 0 to 1, of the epochs is over.

    One cycle: it rises along a cosine in the first 30 % of the training and then falls to 0 (Smith
    and Topin 2019).
    """
    if settings.schedule == "constant":
        return 1.0
    rising = 0.3
    if done < rising:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * done / rising)) / 2
    return (1 + math.cos(math.pi * (done - rising) / (1 - rising))) / 2


def should_stop(fit_losses: Sequence[float], settings: MILSettings) -> bool:
    """Return whether the loss was below `stop_loss` often enough, in a row or in all."""
    below = [loss < settings.stop_loss for loss in fit_losses]
    if settings.stop_consecutive:
        return len(below) >= settings.stop_epochs and all(below[-settings.stop_epochs :])
    return sum(below) >= settings.stop_epochs


def bag_weights(targets: Tensor, settings: MILSettings) -> Tensor:
    """Return (bags,) weights of mean 1 that balance the classes."""
    if not settings.balance_classes:
        return torch.ones(len(targets))
    counts = Counter(targets.tolist())
    return torch.tensor([len(targets) / (len(counts) * counts[int(t)]) for t in targets])
