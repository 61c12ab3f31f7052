"""Settings of a simulation, and the classes of its patients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import Field, field_validator

from napari_attmil.core import Seed, Settings

Look = Literal["unstained", "stained"]
ClassName = Literal["healthy", "spherocytosis", "sickle", "thalassemia", "xerocytosis"]

CLASSES: Final[Mapping[ClassName, tuple[str, ...]]] = {
    "healthy": (),
    "spherocytosis": ("spherocyte",),
    "sickle": ("sickle",),
    "thalassemia": ("target", "teardrop"),
    "xerocytosis": ("stomatocyte",),
}
"""The classes of a cohort and the altered types that only their own patients have."""


class SimulationSettings(Settings):
    """What is simulated: the size of the study, its cells, and how much images differ.

    `simulate_image` reads the fields about the image, `simulate_cohort` all of them.
    """

    image_size_px: int = Field(512, ge=64, le=8192, title="Image size (px)")
    """Edge of the square images."""
    cells_per_image: int = Field(30, ge=0, le=2000, title="Cells per image")
    """In a cohort, their mean number."""
    cell_diameter_px: float = Field(50.0, ge=10, le=250, title="Cell diameter (px)")
    """Diameter of a normal red cell in pixels."""
    look: Look = Field("unstained", title="Look")
    """Unstained cells show rims, stained ones are dark on a bright ground."""
    variety: float = Field(0.5, ge=0, le=1, title="Variety")
    """How much focus, light, noise and magnification differ between patients: 0 not at all, 1 as
    widely as between microscopes."""
    classes: tuple[ClassName, ...] = Field(tuple(CLASSES), min_length=1, title="Classes")
    """Diagnoses of the study."""
    patients_per_class: int = Field(6, ge=1, le=1000, title="Patients per class")
    """Patients in each class."""
    samples_per_patient: int = Field(2, ge=1, le=100, title="Samples per patient")
    """Samples taken from a patient."""
    images_per_sample: int = Field(4, ge=1, le=100, title="Images per sample")
    """Fields of view of a sample."""
    altered_share: float = Field(0.15, ge=0.02, le=0.6, title="Share of altered cells")
    """Of a diseased patient's cells, those of the disease's own types (0 to 1)."""
    odd_share: float = Field(0.05, ge=0, le=0.3, title="Share of odd cells")
    """Of every patient's cells, those that are abnormal but say nothing about the class (0 to
    1)."""
    seed: Seed = 0
    """The same seed and settings give the same files."""

    @field_validator("classes")
    @classmethod
    def _no_class_twice(cls, classes: tuple[ClassName, ...]) -> tuple[ClassName, ...]:
        if len(set(classes)) < len(classes):
            raise ValueError("every class can be named once only")
        return classes
