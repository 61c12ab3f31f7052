"""A map of cells: their embeddings projected to two dimensions."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from napari_attmil.core import Float32Array, UserError

MapMethod = Literal["pca", "umap"]

MOST_FITTED: Final = 20_000
"""Maximum number of cells to find principal directions from; more hardly change them."""
UMAP_COMPONENTS: Final = 30
"""Principal components that UMAP gets: it becomes faster, with nearly the same neighbours."""
UMAP_NEIGHBOURS: Final = 15


def map_of_cells(
    embeddings: npt.ArrayLike, method: MapMethod = "pca", seed: int = 0
) -> npt.NDArray[np.float32]:
    """Return the positions of cells on a map.

    Parameters
    ----------
    embeddings
        (n, D) one row per cell, see `napari_attmil.bags.attribution.vectors`. A cell with a value
        that is not finite gets no position.
    method
        ``"pca"``: the first two principal components; distances are meaningful, and 100,000 cells
        take seconds. ``"umap"`` keeps neighbours together (McInnes et al. 2018); distances between
        groups are not meaningful, and 100,000 cells take minutes.
    seed
        The same seed and cells give the same map.

    Returns
    -------
    (n, 2) float32
        NaN for cells without a position; the second column is 0 if the cells vary in one direction
        only.

    Raises
    ------
    UserError
        If UMAP is requested but not installed.
    """
    umap = _umap() if method == "umap" else None
    values = np.asarray(embeddings, dtype=np.float32)
    positions = np.full((len(values), 2), np.nan, dtype=np.float32)
    is_finite = np.isfinite(values).all(axis=1)
    finite = values[is_finite]
    # UMAP's spectral initialisation needs a few more cells than dimensions.
    if umap is not None and len(finite) > UMAP_NEIGHBOURS:
        layout = umap.UMAP(n_neighbors=UMAP_NEIGHBOURS, random_state=seed, n_jobs=1)
        reduced = _principal_components(finite, UMAP_COMPONENTS, seed)
        positions[is_finite] = layout.fit_transform(reduced)
    elif len(finite):
        positions[is_finite] = _principal_components(finite, 2, seed)
    return positions


def _principal_components(values: Float32Array, count: int, seed: int) -> Float32Array:
    """Return (n, count) scores along the main directions, 0 where there are fewer directions."""
    from sklearn.decomposition import PCA

    directions = min(count, *values.shape)
    scores = np.zeros((len(values), count), dtype=np.float32)
    if directions and len(values) > 1:
        some = values
        if len(values) > MOST_FITTED:
            rng = np.random.default_rng(seed)
            some = values[np.sort(rng.choice(len(values), MOST_FITTED, replace=False))]
        pca = PCA(directions, svd_solver="randomized", random_state=seed)
        scores[:, :directions] = pca.fit(some).transform(values)
    return scores


def _umap() -> Any:
    try:
        return import_module("umap")
    except ImportError as error:
        raise UserError(
            "UMAP is not installed; run `pip install napari-attmil[umap]`, or choose PCA."
        ) from error
