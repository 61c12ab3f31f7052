from __future__ import annotations

import numpy as np
import torch
from sklearn.decomposition import PCA

from napari_attmil.bags.components import Components


def cells_of_unequal_spread() -> torch.Tensor:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 30)) * np.geomspace(8, 0.5, 30)
    return torch.tensor(values - values.mean(0), dtype=torch.float32)


def test_components_are_those_of_scikit_learn_but_for_sign() -> None:
    values = cells_of_unequal_spread()
    components = Components(30, 5)
    torch.manual_seed(0)
    components.fit(values)
    expected = PCA(5, whiten=True, svd_solver="full").fit_transform(values.numpy())
    np.testing.assert_allclose(
        np.abs(components(values).numpy()), np.abs(expected), atol=0.02, rtol=0.02
    )


def test_every_component_has_unit_variance() -> None:
    values = cells_of_unequal_spread()
    components = Components(30, 12)
    components.fit(values)
    np.testing.assert_allclose(components(values).std(0, correction=0).numpy(), 1, rtol=1e-3)


def test_directions_without_any_spread_are_left_out() -> None:
    values = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)) @ torch.ones(2, 8)
    components = Components(8, 4)
    components.fit(values - values.mean(0))
    assert torch.isfinite(components.directions).all()
    assert (components.directions.abs().sum(0) > 0).tolist() == [True, False, False, False]


def test_fewer_cells_than_components_are_no_mistake() -> None:
    components = Components(30, 20)
    components.fit(cells_of_unequal_spread()[:6])
    assert components(cells_of_unequal_spread()).shape == (400, 20)
