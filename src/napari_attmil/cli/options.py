"""The command line's frame, and the arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_attmil.settings import Preset

app = typer.Typer(
    help="Find red blood cells in bright-field images, classify samples by attention-based "
    "multiple instance learning, and see which cells decided. "
    "Decision support for research, not a diagnosis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Inputs = Annotated[
    list[Path],
    typer.Argument(help="Image files, stacks, or folders of images.", show_default=False),
]
CohortPath = Annotated[
    Path,
    typer.Argument(
        help="A folder tree class/patient/sample/images, or a cohort.csv with the columns image, "
        "sample, patient, label.",
        show_default=False,
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        help="Model file of the detector; the shipped one by default.", show_default=False
    ),
]
MinScore = Annotated[
    float, typer.Option(min=0, max=1, help="Leave out cells that the detector is less sure of.")
]
CellDiameter = Annotated[
    float | None,
    typer.Option(help="Typical cell diameter in pixels; measured by default.", show_default=False),
]
DeviceName = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps, ...")]
PresetName = Annotated[Preset, typer.Option(help="Architecture and training.")]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1, help="Passes over the cohort; the preset's by default.", show_default=False
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same result.")]
