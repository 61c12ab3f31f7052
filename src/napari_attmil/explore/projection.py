"""A map of cells: their embeddings in two dimensions, so that cells alike lie together."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import numpy.typing as npt

from napari_attmil.core import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_attmil.core import Float32Array

MapMethod = Literal["pca", "umap"]

MOST_FITTED: Final = 20_000
"""Cells that principal directions are found from; more of them hardly turn these."""
UMAP_COMPONENTS: Final = 30
"""Principal components that UMAP sees: its neighbours hardly change, its time does."""
UMAP_NEIGHBOURS: Final = 15


def map_of_cells(
    embeddings: npt.ArrayLike, method: MapMethod = "pca", seed: int = 0
) -> npt.NDArray[np.float32]:
    """Return where cells lie on a map.

    Parameters
    ----------
    embeddings
        (n, D) one row a cell, see `napari_attmil.bags.attribution.vectors`. A cell
        with a value that is not finite gets no place.
    method
        ``"pca"``: the two directions in which the cells vary most; 100,000 cells take seconds.
        Distances mean what they seem. ``"umap"``: neighbours stay together (McInnes et al. 2018);
        distances between groups mean nothing, and 100,000 cells take minutes.
    seed
        The same seed and cells give the same map.

    Returns
    -------
    (n, 2) float32
        NaN for cells without a place; the second column is 0 where the cells do not differ in a
        second direction.

    Raises
    ------
    UserError
        If UMAP is wanted and not installed.
    """
    values = np.asarray(embeddings, dtype=np.float32)
    place = np.full((len(values), 2), np.nan, dtype=np.float32)
    known = np.isfinite(values).all(axis=1)
    if known.any():
        place[known] = _METHODS[method](values[known], seed)
    return place


def _principal_components(values: Float32Array, count: int, seed: int) -> Float32Array:
    """Return (n, count) scores along the main directions, 0 beyond those that there are."""
    from sklearn.decomposition import PCA

    kept = min(count, *values.shape)
    scores = np.zeros((len(values), count), dtype=np.float32)
    if kept and len(values) > 1:
        pca = PCA(kept, svd_solver="randomized", random_state=seed)
        scores[:, :kept] = pca.fit(_some(values, seed)).transform(values)
    return scores


def _some(values: Float32Array, seed: int) -> Float32Array:
    if len(values) <= MOST_FITTED:
        return values
    rng = np.random.default_rng(seed)
    return values[np.sort(rng.choice(len(values), MOST_FITTED, replace=False))]


def _pca(values: Float32Array, seed: int) -> Float32Array:
    return _principal_components(values, 2, seed)


def _umap(values: Float32Array, seed: int) -> Float32Array:
    try:
        umap = import_module("umap")
    except ImportError as error:
        raise UserError(
            "UMAP is not installed; run `pip install napari-attmil[umap]`, or choose PCA."
        ) from error
    # Its spectral start needs a few more cells than dimensions.
    if len(values) <= UMAP_NEIGHBOURS:
        return _pca(values, seed)
    reduced = _principal_components(values, UMAP_COMPONENTS, seed)
    layout = umap.UMAP(n_neighbors=UMAP_NEIGHBOURS, random_state=seed, n_jobs=1)
    mapped = layout.fit_transform(reduced)
    return np.asarray(mapped, dtype=np.float32)


_METHODS: Final[Mapping[MapMethod, Callable[[Float32Array, int], Float32Array]]] = {
    "pca": _pca,
    "umap": _umap,
}
