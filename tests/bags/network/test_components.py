from __future__ import annotations

import numpy as np
import torch
from sklearn.decomposition import PCA

from napari_attmil.bags.network.components import Components


def cells_of_unequal_spread() -> torch.Tensor:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 30)) * np.geomspace(8, 0.5, 30)
    return torch.tensor(values - values.mean(0), dtype=torch.float32)


def test_components_are_those_of_scikit_learn_but_for_sign_and_scale() -> None:
    values = cells_of_unequal_spread()
    components = Components(30, 5)
    torch.manual_seed(0)
    components.fit(values)
    expected = PCA(5, svd_solver="full").fit_transform(values.numpy())
    expected /= expected.std(0).mean() / components(values).numpy().std(0).mean()
    np.testing.assert_allclose(
        np.abs(components(values).numpy()), np.abs(expected), atol=0.02, rtol=0.02
    )


def test_their_mean_variance_is_one_and_the_first_varies_most() -> None:
    values = cells_of_unequal_spread()
    components = Components(30, 12)
    components.fit(values)
    variance = components(values).var(0, correction=0).numpy()
    assert np.isclose(variance.mean(), 1, rtol=1e-3)
    assert (np.diff(variance) < 0).all()


def test_cells_that_do_not_vary_at_all_have_no_components() -> None:
    components = Components(8, 4)
    components.fit(torch.zeros(50, 8))
    assert not components.directions.any()


def test_fewer_cells_than_components_are_no_mistake() -> None:
    components = Components(30, 20)
    components.fit(cells_of_unequal_spread()[:6])
    assert components(cells_of_unequal_spread()).shape == (400, 20)
