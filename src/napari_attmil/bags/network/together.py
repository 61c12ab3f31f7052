"""Several models that differ only by their weights, judging packed bags at once.

A step of a small model is many operations on tiny tensors. What depends on no weights is therefore
done for the bags of all models together: as many operations as for one model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_attmil.bags.network.pooling import TopPooling

if TYPE_CHECKING:
    from napari_attmil.bags.network.attention_mil import AttentionMIL
    from napari_attmil.bags.network.packing import Packing


def judged_together(
    models: Sequence[AttentionMIL], embeddings: Sequence[Tensor], packing: Packing
) -> tuple[Tensor, Tensor]:
    """Return logits of bags and cells, each model's after those of the model before it.

    What a model says does not depend on the others, to the last bit.

    Parameters
    ----------
    models
        Of one architecture; they judge cells one by one.
    embeddings
        For each model the (n_i, D) embeddings of its cells.
    packing
        Of the bags of all models, each having as many.

    Returns
    -------
    (b, K), (n, K) float32
    """
    poolings = [model.pooling for model in models]
    pairs = zip(poolings, embeddings, strict=True)
    alone = [cells @ pooling.head.weight.T for pooling, cells in pairs]
    instance = [own + pooling.head.bias for own, pooling in zip(alone, poolings, strict=True)]
    first = poolings[0]
    assert isinstance(first, TopPooling)
    sums = packing.sums(first.contribution(torch.cat(alone), packing))
    biases = torch.stack([pooling.bias for pooling in poolings])
    logits = sums.unflatten(0, (len(models), -1)) + biases[:, None]
    return logits.flatten(0, 1), torch.cat(instance)
