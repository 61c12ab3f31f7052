"""The features of cells with their kind: maps, profiles, vectors, or what a model makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, Self

import numpy as np
import numpy.typing as npt
import torch

if TYPE_CHECKING:
    from torch import Tensor

CELLS_AT_ONCE: Final = 1024
"""Cells that are processed together; bounds the memory for bags of any size."""

RINGS: Final = (0.29, 0.5, 0.71, 0.93)
"""Radii between the rings of a profile, as shares of half a map's side."""

PROFILE_LENGTH: Final = 2 * (len(RINGS) + 1) + 1
"""Length of a profile: mean and standard deviation of each ring, and the map's maximum."""

COMBINED_LENGTH: Final = PROFILE_LENGTH + 1
"""Length of a channel of combined features: a profile, and a number of the encoder's vector."""

FeatureKind = Literal[
    "maps", "profiles", "vectors", "combined", "components", "tiles", "standardised maps"
]


@dataclass(frozen=True, eq=False)
class PreparedFeatures:
    """The features of n cells at some stage of their processing.

    Attributes
    ----------
    kind
        Without a model, float16 or float32: ``"maps"`` (n, channels, s, s), as a detector gives
        them, ``"profiles"`` (n, channels, 11, 1), see `profile`, and ``"vectors"`` (n, channels, 1,
        1), as a cell encoder gives them, or both: ``"combined"`` (n, 256, 12, 1). By
        `AttentionMIL.fixed_part`: ``"components"`` (n, count) float32; ``"tiles"`` (n, 64, 4 *
        channels) float32, see `TiledConv2d.tiles`; ``"standardised maps"`` (n, channels, s, s)
        bfloat16.
    values
        The numbers.
    """

    kind: FeatureKind
    values: Tensor

    @classmethod
    def of_bag(cls, features: npt.NDArray[np.float16]) -> Self:
        """Return the features of a bag, sharing their memory where possible.

        Only here is the kind inferred from the shape of a channel.
        """
        kinds: dict[tuple[int, ...], FeatureKind]
        kinds = {
            (PROFILE_LENGTH, 1): "profiles",
            (1, 1): "vectors",
            (COMBINED_LENGTH, 1): "combined",
        }
        # torch has no read-only tensors; memory maps of the store are private copies on write.
        values = torch.from_numpy(np.require(features, requirements=["C", "W"]))
        return cls(kinds.get(features.shape[2:], "maps"), values)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: Tensor | slice) -> Self:
        """Return the features of some cells."""
        if not isinstance(rows, slice):
            rows = rows.to(self.values.device)
        return replace(self, values=self.values[rows])

    def to(self, device: torch.device) -> Self:
        """Return the features on a device."""
        return replace(self, values=self.values.to(device))

    def parts(self) -> list[Self]:
        """Return the features in parts of at most `CELLS_AT_ONCE` cells."""
        return [replace(self, values=part) for part in self.values.split(CELLS_AT_ONCE)]

    def as_rows(self) -> Self:
        """Return the profiles of maps; what has no maps is returned unchanged."""
        if self.kind in ("profiles", "vectors", "combined"):
            return self
        return replace(self, kind="profiles", values=profile(self.values))


def packed(parts: Sequence[PreparedFeatures]) -> PreparedFeatures:
    """Return the features of several bags on one cell axis, with the same memory layout."""
    first, *others = parts
    if not others:
        return first
    values = [part.values for part in parts]
    if first.kind == "tiles":  # Their outer axis in memory is the second one.
        joined = torch.cat([part.transpose(0, 1) for part in values], dim=1).transpose(0, 1)
    else:
        joined = torch.cat(values)
    return replace(first, values=joined)


def profile(features: Tensor) -> Tensor:
    """Return (n, channels, 11, 1) profiles: each map's values from the cell's centre to its rim.

    A profile has the mean and the standard deviation in each of five rings, and the map's maximum.
    It hardly changes when a cell is rotated, and shows a pale centre, a target cell or a dark rim.
    """
    maps = features.float().flatten(2)
    rings = _rings(features.shape[-2:]).to(maps.device)
    means = maps @ rings.T
    spreads = (maps.square() @ rings.T - means.square()).clamp(min=0).sqrt()
    parts = torch.cat([means, spreads, maps.amax(2, keepdim=True)], dim=2)
    return parts[..., None].to(features.dtype)


def _rings(shape: Sequence[int]) -> Tensor:
    """Return (5, rows * columns) the weights of a map's pixels in each ring; rows sum to 1.

    A ring that contains no pixel of a small map covers the whole map.
    """
    rows, columns = (torch.linspace(-1, 1, side) if side > 1 else torch.zeros(1) for side in shape)
    radius = torch.hypot(rows[:, None], columns[None, :]).flatten()
    ring = torch.bucketize(radius, torch.tensor(RINGS))
    weights = torch.stack([(ring == number).float() for number in range(len(RINGS) + 1)])
    weights[weights.sum(1) == 0] = 1
    return weights / weights.sum(1, keepdim=True)
