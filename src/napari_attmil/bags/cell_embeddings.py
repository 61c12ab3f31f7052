"""The classifier's own view of cells, as vectors in which cells alike lie close."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_attmil.bags.classifier import as_tensor

if TYPE_CHECKING:
    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.classifier import Classifier
    from napari_attmil.cells.boxes import FloatArray


def cell_embeddings(classifier: Classifier, bag: Bag) -> FloatArray:
    """Return the embeddings h (eq. 3) of a bag's cells by all models side by side.

    Returns
    -------
    (n, M * D) float32
        In the order of the bag. The distance from healthy, which anomaly-aware attention keeps
        beside h in a unit of its own, is left out.
    """
    features = as_tensor(bag.features)
    parts = []
    with torch.inference_mode():
        for model in classifier.models:
            embeddings = model.eval().embed(features)
            width = embeddings.shape[1] - (model.anomaly is not None)
            parts.append(embeddings[:, :width].float().cpu().numpy())
    return np.concatenate(parts, axis=1)
