"""Options of commands say and accept what the fields of the settings do."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from napari_attmil import cli
from napari_attmil.bags.settings import EnsembleSettings, MILSettings
from napari_attmil.cells.settings import DetectionSettings, FinetuneSettings
from napari_attmil.evaluation.settings import EvaluationSettings
from napari_attmil.simulation.settings import SimulationSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_attmil.core import Settings


def parameters_of(command: str) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a command as typer reads them."""
    (found,) = (one for one in cli.app.registered_commands if one.name == command)
    assert found.callback is not None
    return inspect.signature(found.callback).parameters


@pytest.mark.parametrize(
    ("command", "name", "model", "field", "low", "high", "default"),
    [
        ("simulate", "patients", SimulationSettings, "patients_per_class", 1, 1000, 6),
        ("detect", "min_score", DetectionSettings, "min_score", 0, 1, 0.5),
        ("train", "seed", MILSettings, "seed", 0, 2**31 - 1, 0),
        ("train", "epochs", MILSettings, "epochs", 1, 10_000, None),
        ("train", "members", EnsembleSettings, "members", 1, 50, None),
        ("evaluate", "folds", EvaluationSettings, "folds", 2, 10_000, 3),
        ("evaluate", "runs", EvaluationSettings, "runs", 1, 100, 5),
        ("finetune", "steps", FinetuneSettings, "steps", 1, 100_000, 160),
    ],
)
def test_a_number_has_help_bounds_and_default_of_its_field(
    command: str,
    name: str,
    model: type[Settings],
    field: str,
    low: float,
    high: float,
    default: float | None,
) -> None:
    parameter = parameters_of(command)[name]
    (option,) = parameter.annotation.__metadata__
    assert option.help == model.model_fields[field].description
    assert (option.min, option.max, parameter.default) == (low, high, default)


def test_a_bound_that_is_itself_out_of_range_is_refused_in_a_sentence(
    attmil: Any, project: Any
) -> None:
    outcome = attmil("finetune", project.folder, "--out", "d.safetensors", "--minutes", 0)
    assert outcome.code == 1
    assert "Minutes (minutes) was given 0.0: input should be greater than 0." in outcome.err


def test_the_default_of_an_option_that_a_preset_decides_is_said_for_each(attmil: Any) -> None:
    text = " ".join(attmil("train", "--help").out.replace("│", " ").split())
    assert "[default: (default 60, paper 150, marrlab-code 150)]" in text
    assert "[default: (default yes, paper no, marrlab-code no)]" in text


def test_commands_that_find_cells_have_the_same_options() -> None:
    shared = {"weights", "min_score", "cell_diameter", "device"}
    for command in ("detect", "train", "evaluate", "classify", "report", "shapes"):
        assert shared <= set(parameters_of(command)), command
