"""Embeddings of cells by the classifier, in which similar cells are close."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_attmil.core import Float32Array

if TYPE_CHECKING:
    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.classifier import Classifier

MOST_MODELS = 5
"""More models hardly change a map, but take memory: 26 MB per model for 100,000 cells."""


def cell_embeddings(classifier: Classifier, bag: Bag) -> Float32Array:
    """Return the embeddings h (eq. 3) of a bag's cells by several models side by side.

    Returns
    -------
    (n, M * D) float32
        In the order of the bag, by at most the first `MOST_MODELS` models; a composition model is
        only used if there are no others. The distance from healthy that anomaly-aware attention
        appends to h is left out.
    """
    size = classifier.models[0].embedded_size
    parts = classifier.embeddings(bag, min(MOST_MODELS, classifier.weighing_models))
    return np.concatenate([part[:, :size].float().cpu().numpy() for part in parts], axis=1)
