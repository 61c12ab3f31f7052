"""How unlike the cells of healthy samples a cell is (after Kazeminia et al., MICCAI 2022)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

COMPONENTS = 32
"""Number of main directions of healthy cells along which the distance is measured."""

CELLS_A_DIRECTION = 8
"""Healthy cells needed per direction; with fewer, healthy cells not used in the fit look odd."""


class AnomalyScore(nn.Module):
    """Distance of cells to a Gaussian fitted to the cells of healthy samples.

    It is the Mahalanobis distance of the means of the feature maps, along the main directions of
    healthy cells, standardised over healthy cells. It has no trainable parameters: the Gaussian is
    fitted once, before a training.

    Parameters
    ----------
    channels
        Feature maps of a cell.
    """

    mean: Tensor
    whitening: Tensor
    healthy: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("whitening", torch.zeros(channels, min(COMPONENTS, channels)))
        self.register_buffer("healthy", torch.tensor([0.0, 1.0]))

    def fit(self, parts: Iterable[Tensor]) -> None:
        """Fit the Gaussian to the (n, channels) means of healthy cells, given in parts."""
        values = torch.cat([part.float().cpu() for part in parts])
        centred = values - values.mean(0)
        _, singular, directions = torch.linalg.svd(centred, full_matrices=False)
        kept = min(self.whitening.shape[1], max(1, len(values) // CELLS_A_DIRECTION))
        deviations = singular[:kept] / max(len(values) - 1, 1) ** 0.5
        whitening = directions[:kept].T / deviations.clamp(min=1e-6)
        with torch.no_grad():
            self.mean.copy_(values.mean(0))
            self.whitening.zero_()[:, : whitening.shape[1]].copy_(whitening)
            self.healthy.copy_(torch.tensor([0.0, 1.0]))
            distance = self(values.to(self.mean.device))
            spread = distance.std(correction=0).clamp(min=1e-6)
            self.healthy.copy_(torch.stack([distance.mean(), spread]))

    def forward(self, means: Tensor) -> Tensor:
        """Return how far (n, channels) feature means are from those of healthy cells.

        Returns
        -------
        Tensor
            (n, 1), scaled so that the healthy cells have mean 0 and standard deviation 1.
        """
        away = (means.float() - self.mean) @ self.whitening
        distance = away.square().mean(1, keepdim=True).sqrt()
        return (distance - self.healthy[0]) / self.healthy[1]
