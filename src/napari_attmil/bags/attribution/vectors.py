"""The classifier's own view of cells, as vectors in which cells alike lie close."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.classifier import Classifier
    from napari_attmil.core import Float32Array

MOST_MODELS = 5
"""More hardly move the cells on a map, but take memory: 100,000 cells' embeddings have 26 MB."""


def cell_embeddings(classifier: Classifier, bag: Bag) -> Float32Array:
    """Return the embeddings h (eq. 3) of a bag's cells by several models side by side.

    Returns
    -------
    (n, M * D) float32
        In the order of the bag, by the first `MOST_MODELS` models at most; a model that knows types
        of cells only is not asked beside others. The distance from
        healthy, which anomaly-aware attention keeps beside h in a unit of its own, is left out.
    """
    size = classifier.models[0].embedded_size
    parts = classifier.embeddings(bag, min(MOST_MODELS, classifier.weighing_models))
    return np.concatenate([part[:, :size].float().cpu().numpy() for part in parts], axis=1)
