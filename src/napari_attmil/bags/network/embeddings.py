"""From the feature maps of one cell to its embedding vector h (eq. 3).

Each embedding has a part without parameters, computed once before a training, and trainable layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from torch import Tensor, nn

from napari_attmil.bags.network.convolution import MapDropout, QuickDropout, TiledConv2d
from napari_attmil.bags.network.prepared_features import (
    COMBINED_LENGTH,
    PROFILE_LENGTH,
    RINGS,
    PreparedFeatures,
)
from napari_attmil.core import UserError

if TYPE_CHECKING:
    from napari_attmil.bags.methods import EmbeddingName

SHAPES: Final = {
    "maps": (14, 14),
    "profiles": (PROFILE_LENGTH, 1),
    "vectors": (1, 1),
    "combined": (COMBINED_LENGTH, 1),
}
"""Rows and columns of a channel of each kind of features; maps as the published convolutions take
them."""


@dataclass(frozen=True)
class Embedding:
    """How cells are embedded.

    Attributes
    ----------
    kind
        The input of its layers: whole maps, their profiles, the vectors of a cell encoder, or
        profiles and vectors.
    standardised_over
        Axes of the prepared features that share a mean and a standard deviation.
    build
        Makes the layers from the number of channels (where there are no maps, of numbers per cell),
        the length of h and the dropout: the convolutions, which run in the device's precision, and
        the fully connected layer, which runs in float32.
    """

    kind: Literal["maps", "profiles", "vectors", "combined"]
    standardised_over: tuple[int, ...]
    build: Callable[[int, int, float], tuple[nn.Sequential, nn.Module]]

    def prepared(self, features: PreparedFeatures) -> PreparedFeatures:
        """Return the features of bags in the form that the layers take, of the same type.

        Raises
        ------
        UserError
            If the features are none that the layers can take.
        """
        if self.kind == "profiles" and features.kind == "maps":
            return features.as_rows()
        rows, columns = features.values.shape[2:]
        if (rows, columns) != self.shape:
            raise UserError(
                f"The features have maps of {rows}x{columns}, but this embedding needs "
                f"{self.shape[0]}x{self.shape[1]}; compute the features so, or choose another "
                "embedding."
            )
        return features

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of each prepared map."""
        return SHAPES[self.kind]

    def map_means(self, prepared: Tensor) -> Tensor:
        """Return (n, channels) means of prepared maps or of the rings of profiles."""
        has_rings = self.kind in ("profiles", "combined")
        means = prepared[:, :, : len(RINGS) + 1] if has_rings else prepared
        return means.mean((2, 3))

    @property
    def takes_rows(self) -> bool:
        """Whether the layers take one row of numbers a cell rather than maps."""
        return self.kind != "maps"

    def weighted(self, std: Tensor) -> Tensor:
        """Return the standard deviations by which features are divided, from those measured.

        Of combined features, the numbers of the encoder weigh as much as all those of profiles.
        """
        if self.kind != "combined":
            return std
        rows = [1.0] * PROFILE_LENGTH + [PROFILE_LENGTH**-0.5]
        return std * std.new_tensor(rows)[:, None]

    def statistics_shape(self, channels: int) -> tuple[int, int, int]:
        """Return the shape of the prepared features' mean and standard deviation."""
        rows, columns = self.shape
        return (
            channels,
            1 if 2 in self.standardised_over else rows,
            1 if 3 in self.standardised_over else columns,
        )


def _one_layer(inputs: int, size: int, dropout: float) -> tuple[nn.Sequential, nn.Module]:
    """Return the project's own embedding, with few parameters for small cohorts."""
    connected = nn.Linear(inputs, size)
    return nn.Sequential(nn.Flatten()), nn.Sequential(connected, nn.ReLU(), QuickDropout(dropout))


def _three_conv(channels: int, size: int, dropout: float) -> tuple[nn.Sequential, nn.Module]:
    """Return the embedding of the published code."""
    convolutions = nn.Sequential(
        TiledConv2d(channels, 128),
        nn.ReLU(),
        MapDropout(dropout),
        nn.Conv2d(128, 64, 1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 32, 3),
        nn.ReLU(),
        nn.Flatten(),
    )
    return convolutions, nn.Sequential(nn.Linear(32 * 4 * 4, size), nn.ReLU())


def _five_conv(channels: int, size: int, dropout: float) -> tuple[nn.Sequential, nn.Module]:
    """Return the embedding of the paper.

    The paper gives the number of convolutions, the dropout and the pooling, but not the widths, the
    kernels or the activation of h. Kernels of 3x3 without padding, and the widths of the first two
    layers and the ReLU of the published code, are our choice.
    """
    layers: list[nn.Module] = [TiledConv2d(channels, 128), nn.ReLU(), MapDropout(dropout)]
    for incoming in (128, 64, 64, 64):
        layers += [nn.Conv2d(incoming, 64, 3), nn.ReLU()]
    convolutions = nn.Sequential(*layers, nn.MaxPool2d(2), nn.Flatten())
    return convolutions, nn.Sequential(nn.Linear(64 * 2 * 2, size), nn.ReLU())


EMBEDDINGS: Final[Mapping[EmbeddingName, Embedding]] = {
    "combined": Embedding("combined", (0,), _one_layer),
    "encoder": Embedding("vectors", (0,), _one_layer),
    "profile": Embedding("profiles", (0,), _one_layer),
    "three-conv": Embedding("maps", (0, 2, 3), _three_conv),
    "five-conv": Embedding("maps", (0, 2, 3), _five_conv),
}
