"""Principal components: the main directions in which cells vary."""

from __future__ import annotations

import torch
from torch import Tensor, nn

MOST_CELLS = 20_000
"""About this many cells, taken evenly from all, suffice to find the directions."""


class Components(nn.Module):
    """Principal components of standardised features, at one scale: their mean variance is 1.

    They are found once, before a training. Directions of larger variance keep their larger scale:
    with unit variances, a small cohort would be separated along directions of little variance.

    Parameters
    ----------
    features
        Length F of the description of a cell.
    count
        Number of components.
    """

    directions: Tensor

    def __init__(self, features: int, count: int) -> None:
        super().__init__()
        self.register_buffer("directions", torch.zeros(features, min(count, features)))

    def fit(self, values: Tensor) -> None:
        """Find the directions in the (n, F) float32 features of a training's cells, of mean 0.

        Labels are not used. Random numbers are drawn from torch's generator (Halko, Martinsson and
        Tropp 2011).
        """
        values = values.nan_to_num()  # NaN is reported with the loss, together with a remedy.
        count = min(self.directions.shape[1], *values.shape)
        width = min(count + 16, *values.shape)
        _, singular, directions = torch.svd_lowrank(values, q=width, niter=3)
        mean_variance = singular[:count].square().mean() / len(values)
        scale = mean_variance.rsqrt() if mean_variance > 0 else 0.0
        # Signs are arbitrary; the largest entry of each direction is made positive.
        sign = directions[:, :count].gather(0, directions[:, :count].abs().argmax(0)[None]).sign()
        with torch.no_grad():
            self.directions.zero_()[:, :count] = directions[:, :count] * sign * scale

    def follow_with(self, matrix: Tensor) -> None:
        """Append a (count, count) linear map."""
        with torch.no_grad():
            self.directions.copy_(self.directions @ matrix)

    def forward(self, values: Tensor) -> Tensor:
        """Return the (n, count) components of (n, F) features."""
        return values @ self.directions
