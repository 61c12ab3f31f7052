from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_attmil.bags.network.embeddings import EMBEDDINGS, Embedding
from napari_attmil.bags.network.prepared_features import PreparedFeatures, _rings, profile
from napari_attmil.core.errors import UserError

if TYPE_CHECKING:
    from napari_attmil.bags.methods import EmbeddingName


def maps(side: int = 14) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (3, 2, side, side)).astype(np.float32)


def features_for(recipe: Embedding) -> np.ndarray:
    """Return features that the layers can take."""
    wide = {"vectors": maps()[:, :, :1, :1], "combined": maps()[:, :, :12, :1]}
    return wide.get(recipe.kind, maps())


def test_a_profile_is_mean_and_deviation_of_rings_and_the_maximum() -> None:
    found = profile(torch.from_numpy(maps())).numpy()[..., 0]
    assert found.shape == (3, 2, 11)
    # Of 14 x 14 places the middle 4 x 4 but its corners lie within 0.29 of half a side.
    middle = np.zeros((14, 14), dtype=bool)
    middle[5:9, 5:9] = True
    middle[[5, 5, 8, 8], [5, 8, 5, 8]] = False
    np.testing.assert_allclose(found[:, :, 0], maps()[:, :, middle].mean(2), atol=1e-6)
    np.testing.assert_allclose(found[:, :, 5], maps()[:, :, middle].std(2), rtol=1e-4)
    np.testing.assert_allclose(found[:, :, 10], maps().max((2, 3)))


def test_the_rings_of_a_profile_are_the_whole_map() -> None:
    rings = _rings((14, 14))
    assert ((rings > 0).sum(0) == 1).all()
    torch.testing.assert_close(rings.sum(1), torch.ones(5))


@pytest.mark.parametrize("side", [2, 7, 14])
def test_a_turned_or_mirrored_cell_has_the_same_profile(side: int) -> None:
    cells = torch.from_numpy(maps(side))
    for other in (cells.rot90(1, (2, 3)), cells.flip(3)):
        torch.testing.assert_close(profile(other), profile(cells))


@pytest.mark.parametrize("recipe", EMBEDDINGS.values(), ids=list(EMBEDDINGS))
def test_prepared_features_are_not_prepared_again(recipe: Embedding) -> None:
    once = recipe.prepared(PreparedFeatures.of_bag(features_for(recipe).astype(np.float16)))
    assert once.values.shape[2:] == recipe.shape
    assert once.values.dtype == torch.float16
    assert recipe.prepared(once) is once


@pytest.mark.parametrize("recipe", EMBEDDINGS.values(), ids=list(EMBEDDINGS))
def test_the_layers_take_what_is_prepared(recipe: Embedding) -> None:
    inputs = 2 * recipe.shape[0] if recipe.takes_rows else 2
    convolutions, connected = recipe.build(inputs, 10, 0.1)
    prepared = recipe.prepared(PreparedFeatures.of_bag(features_for(recipe)))
    assert connected(convolutions(prepared.values)).shape == (3, 10)


def test_of_combined_features_the_encoder_weighs_as_much_as_the_profiles() -> None:
    std = EMBEDDINGS["combined"].weighted(torch.ones(2, 12, 1))
    assert std.shape == (2, 12, 1)
    variance = (1 / std).square()
    torch.testing.assert_close(variance[:, :11].sum(), variance[:, 11:].sum())
    assert torch.equal(EMBEDDINGS["profile"].weighted(torch.ones(2, 11, 1)), torch.ones(2, 11, 1))


@pytest.mark.parametrize(
    ("needed", "given"), [("encoder", maps()), ("combined", maps()), ("three-conv", maps(7))]
)
def test_features_of_another_kind_are_refused(needed: EmbeddingName, given: np.ndarray) -> None:
    features = PreparedFeatures.of_bag(given)
    with pytest.raises(UserError, match="compute the features so, or choose another embedding"):
        EMBEDDINGS[needed].prepared(features)
