from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_attmil.bags.embeddings import EMBEDDINGS, profile


def maps(side: int = 14) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (3, 2, side, side)).astype(np.float32)


def test_a_profile_is_mean_deviation_maximum_and_middle() -> None:
    found = profile(torch.from_numpy(maps())).numpy()[..., 0]
    places = (2, 3)
    np.testing.assert_allclose(found[:, :, 0], maps().mean(places), atol=1e-6)
    np.testing.assert_allclose(found[:, :, 1], maps().std(places), rtol=1e-5)
    np.testing.assert_allclose(found[:, :, 2], maps().max(places))
    np.testing.assert_allclose(found[:, :, 3], maps()[:, :, 4:10, 4:10].mean(places), atol=1e-6)


@pytest.mark.parametrize("side", [2, 7, 14])
def test_a_turned_or_mirrored_cell_has_the_same_profile(side: int) -> None:
    cells = torch.from_numpy(maps(side))
    for other in (cells.rot90(1, (2, 3)), cells.flip(3)):
        torch.testing.assert_close(profile(other), profile(cells))


@pytest.mark.parametrize("name", list(EMBEDDINGS))
def test_prepared_features_are_not_prepared_again(name: str) -> None:
    recipe = EMBEDDINGS[name]
    once = recipe.prepared(torch.from_numpy(maps()).half())
    assert once.shape[2:] == recipe.shape
    assert once.dtype == torch.float16
    assert recipe.prepared(once) is once


@pytest.mark.parametrize("name", list(EMBEDDINGS))
def test_the_layers_take_what_is_prepared(name: str) -> None:
    recipe = EMBEDDINGS[name]
    convolutions, connected = recipe.build(2, 10, 0.1)
    prepared = recipe.prepared(torch.from_numpy(maps()))
    assert connected(convolutions(prepared)).shape == (3, 10)
