"""How unlike healthy cells a cell is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_attmil.bags.network.anomaly import AnomalyScore


def cells(rng: np.random.Generator, count: int) -> torch.Tensor:
    return torch.from_numpy(rng.normal(0, 1, (count, 64)).astype(np.float32))


@pytest.mark.parametrize("count", [20, 33, 300])
def test_new_healthy_cells_do_not_look_odd_however_few_it_was_fitted_to(count: int) -> None:
    rng = np.random.default_rng(0)
    score = AnomalyScore(64)
    score.fit([cells(rng, count)])
    assert abs(float(score(cells(rng, 500)).mean())) < 2


def test_one_healthy_cell_gives_numbers() -> None:
    rng = np.random.default_rng(0)
    score = AnomalyScore(64)
    score.fit([cells(rng, 1)])
    assert torch.isfinite(score(cells(rng, 5))).all()
