"""Bags of simulated features: for what depends on the size of a cohort, not on what cells show.

A disease is a shift of some features in a tenth of a sample's cells. Features are correlated, as
real ones are, so that principal components find something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_attmil.bags import Bag, MILSettings, features_for

if TYPE_CHECKING:
    from collections.abc import Iterator

SHAPE = (256, 12, 1)
"""Of a cell's combined features: profiles and the encoder's vector."""
DIRECTIONS = 60
"""In how many directions cells differ beside noise."""
SHIFT = 1.5
"""What altered cells have more in `SHIFTED` features."""
SHIFTED = 200


def simulated_bags(cells: dict[str, list[list[int]]]) -> list[Bag]:
    """Return one bag a sample.

    Parameters
    ----------
    cells
        For each class, the healthy one first, and each of its patients: how many cells each of the
        patient's samples has.
    """
    rng = np.random.default_rng(0)
    size = int(np.prod(SHAPE))
    directions = rng.standard_normal((DIRECTIONS, size), dtype=np.float32)
    directions *= np.linspace(0.4, 0.05, DIRECTIONS, dtype=np.float32)[:, None]
    bags = []
    for number, label, patient, sample, count in _samples(cells):
        features = rng.standard_normal((count, DIRECTIONS), dtype=np.float32) @ directions
        features += rng.standard_normal((count, size), dtype=np.float32) * np.float32(0.3)
        if number > 0:
            features[: max(1, count // 10), number * SHIFTED :][:, :SHIFTED] += SHIFT
        kept = features.astype(np.float16).reshape(count, *SHAPE)
        names = (f"{label}-{patient:02}-{sample:02}", f"{label}-{patient:02}")
        ids, settings = np.arange(1, count + 1), features_for(MILSettings())
        bags.append(Bag(kept, ids, *names, label, reader_digest="s", feature_settings=settings))
    return bags


def standard_cohort(patients: int = 12, samples: int = 2) -> dict[str, list[list[int]]]:
    """Return a cohort of the size of the standard planted one: 5 classes, 50 to 110 cells."""
    rng = np.random.default_rng(1)
    return {
        label: [rng.integers(50, 111, samples).tolist() for _ in range(patients)]
        for label in ("healthy", "a", "b", "c", "d")
    }


def _samples(cells: dict[str, list[list[int]]]) -> Iterator[tuple[int, str, int, int, int]]:
    for number, (label, patients) in enumerate(cells.items()):
        for patient, samples in enumerate(patients):
            for sample, count in enumerate(samples):
                yield number, label, patient, sample, count
