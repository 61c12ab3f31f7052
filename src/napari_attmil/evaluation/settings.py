"""Settings of a cross-validation."""

from __future__ import annotations

from pydantic import Field

from napari_attmil.bags import TABLE_1, Method
from napari_attmil.core import Seed, Settings


class EvaluationSettings(Settings):
    """Patient-wise cross-validation."""

    folds: int = Field(3, ge=2, le=10_000, title="Folds")
    """Parts the patients are split into; with as many folds as patients, each patient is left out
    once."""
    runs: int = Field(5, ge=1, le=100, title="Runs")
    """Repetitions with other seeds and splits."""
    methods: tuple[Method, ...] = Field(TABLE_1, title="Methods")
    """Methods compared as single models, on the same folds and seeds."""
    ensemble: bool = Field(True, title="Ensemble")
    """Also evaluate what `attmil train` makes: several models, calibrated on held-out training
    patients. Left out if the preset trains a single model."""
    controls: bool = Field(False, title="Controls")
    """Also evaluate what must perform at chance: training labels shuffled between patients, and an
    untrained model."""
    seed: Seed = 0
    """Seed of the first run."""
