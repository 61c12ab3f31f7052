"""The arguments that several commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from napari_attmil.bags import Preset
from napari_attmil.cells import DetectionSettings
from napari_attmil.core import LARGEST_SEED, UserError


def _not_a_model(paths: list[Path]) -> list[Path]:
    """Refuse a model file among images, as where the two were given the wrong way round."""
    for path in paths:
        if path.suffix == ".safetensors":
            raise UserError(
                f"{path} is a model file, not an image; a command that takes both takes the model "
                "first."
            )
    return paths


Inputs = Annotated[
    list[Path],
    typer.Argument(
        help="Image files, stacks, or folders of images.",
        show_default=False,
        callback=_not_a_model,
    ),
]
CohortPath = Annotated[
    Path,
    typer.Argument(
        help="A folder tree class/patient/sample/images, or a cohort.csv with the columns image, "
        "sample, patient, label.",
        show_default=False,
    ),
]
ModelFile = Annotated[
    Path, typer.Argument(help="Model file that `attmil train` wrote.", show_default=False)
]
Weights = Annotated[
    Path | None,
    typer.Option(
        help="Model file of the detector; the shipped one by default.", show_default=False
    ),
]
DETECTION = DetectionSettings()
"""Has the defaults of the options about detection."""
MinScore = Annotated[
    float, typer.Option(min=0, max=1, help="Leave out cells that the detector is less sure of.")
]
CellDiameter = Annotated[
    str | None,
    typer.Option(
        metavar="50|7.5um",
        help="Typical cell diameter in pixels, or in micrometres where the images tell the size of "
        "their pixels; measured by default.",
        show_default=False,
    ),
]
DeviceName = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps, ...")]
PresetName = Annotated[Preset, typer.Option(help="Architecture and training.")]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1, help="Passes over the cohort; the preset's by default.", show_default=False
    ),
]
HealthyClass = Annotated[
    str,
    typer.Option(
        help="Class of the healthy samples; by default found by its name (healthy, control, ...).",
        show_default=False,
    ),
]
Seed = Annotated[
    int, typer.Option(min=0, max=LARGEST_SEED, help="The same seed gives the same result.")
]


def detection_settings(min_score: float, cell_diameter: str | None) -> DetectionSettings:
    """Return how to detect, from what the options say.

    Raises
    ------
    UserError
        If the diameter is no number of pixels or micrometres, or a value is out of range.
    """
    if cell_diameter is None:
        return DetectionSettings.checked(min_score=min_score)
    number = re.fullmatch(r"\s*([0-9.]+)\s*(px|um|[µμ]m)?\s*", cell_diameter)
    if number is None:
        raise UserError(
            f"--cell-diameter was given {cell_diameter!r}; give pixels (50) or micrometres (7.5um)."
        )
    name = "cell_diameter_px" if number[2] in (None, "px") else "cell_diameter_um"
    return DetectionSettings.checked(min_score=min_score, **{name: number[1]})
