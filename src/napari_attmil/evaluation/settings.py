"""Settings of a cross-validation."""

from __future__ import annotations

from pydantic import Field

from napari_attmil.bags import TABLE_1, Method
from napari_attmil.core import LARGEST_SEED, Settings


class EvaluationSettings(Settings):
    """Patient-wise cross-validation."""

    folds: int = Field(3, ge=2, le=10_000, title="Folds")
    """Parts the patients are split into; as many as patients to leave each out."""
    runs: int = Field(5, ge=1, le=100, title="Runs")
    """Repetitions with other seeds and splits."""
    methods: tuple[Method, ...] = Field(TABLE_1, title="Methods")
    """Methods to compare as single models, on the same folds and seeds."""
    ensemble: bool = Field(True, title="Ensemble")
    """Also evaluate what people use: several models, calibrated on training patients that were held
    out."""
    controls: bool = Field(False, title="Controls")
    """Also evaluate what must give chance: training labels shuffled between patients, and an
    untrained model."""
    seed: int = Field(0, ge=0, le=LARGEST_SEED, title="Seed")
    """Seed of the first run."""
