"""The arguments and options that several commands share, and options made from settings."""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Final, get_args

import typer

from napari_attmil.bags import (
    EmbeddingName,
    EnsembleSettings,
    MILSettings,
    Preset,
    ensemble_preset,
    mil_preset,
)
from napari_attmil.cells import DetectionSettings
from napari_attmil.core import (
    FieldSpec,
    Settings,
    UserError,
    Workers,
    open_cluster,
    tell_current_folder,
)

DETECTION: Final = DetectionSettings()


def option(model: type[Settings], name: str, *flags: str, default: str | bool = True) -> Any:
    """Return the option that sets a field of some settings; help text and bounds are the field's.

    Parameters
    ----------
    model, name
        The settings and the field.
    *flags
        How the option is written, if not as the command's parameter is called.
    default
        What holds where the option is not given, in words; the parameter's default if True.
    """
    spec = FieldSpec.of(model, name)
    return typer.Option(
        *flags, help=spec.description, min=spec.ge, max=spec.le, show_default=default
    )


def preset_option(model: type[MILSettings | EnsembleSettings], name: str) -> Any:
    """Return the option that changes a field of a preset; its help text has each preset's value."""
    preset_of = mil_preset if model is MILSettings else ensemble_preset
    values = {preset: getattr(preset_of(preset), name) for preset in get_args(Preset)}
    words = {True: "yes", False: "no"} if isinstance(values["default"], bool) else {}
    defaults = ", ".join(f"{preset} {words.get(value, value)}" for preset, value in values.items())
    return option(model, name, default=defaults)


def _not_a_model(paths: list[Path]) -> list[Path]:
    """Refuse a model file among images, as where the two were given the wrong way round."""
    for path in paths:
        if path.suffix == ".safetensors":
            raise UserError(
                f"{path} is a model file, not an image; give the model first "
                "to a command that takes both."
            )
    return paths


Inputs = Annotated[
    list[Path],
    typer.Argument(
        help="Image files, stacks, folders of images, or a cohort.csv.", callback=_not_a_model
    ),
]
CohortPath = Annotated[
    Path,
    typer.Argument(
        help="A folder of images, an image or stack, or a cohort.csv with the columns image, "
        "sample, patient, label. Classes are those of a folder tree class/patient/sample/images."
    ),
]
ModelFile = Annotated[Path, typer.Argument(help="Model file written by `attmil train`.")]
ModelOut = Annotated[Path, typer.Option(help="Model file to write.")]
TableOut = Annotated[Path, typer.Option(help="CSV or Parquet file for the cells.")]
Weights = Annotated[
    Path | None,
    typer.Option(
        help="Model file of the detector, or the name of one that an installed package offers.",
        show_default="the one in use in the study, otherwise the built-in one",
    ),
]
DeviceName = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps, ...")]


Priors = Annotated[
    list[str] | None,
    typer.Option(
        "--prior",
        metavar="CLASS=SHARE",
        help="How frequent a class is where the samples come from, once for each class: "
        "--prior healthy=0.9 --prior sickle=0.1. Probabilities follow it.",
        show_default="as kept in the study, otherwise as in the training: all equal",
    ),
]


def prior_of(given: list[str] | None) -> dict[str, float] | None:
    """Return the frequency of each class that `--prior` was given for; None without it.

    Raises
    ------
    UserError
        If one is not a class and a number, or a class is given twice.
    """
    prior: dict[str, float] = {}
    for text in given or ():
        name, _, share = text.rpartition("=")
        try:
            value = float(share)
        except ValueError:
            value = None
        if not name or value is None or name in prior:
            raise UserError(
                f"--prior was given {text!r}; give each class once and a number, as in "
                "--prior healthy=0.9 --prior sickle=0.1."
            )
        prior[name] = value
    return prior or None


@dataclass(frozen=True)
class PlaneOptions:
    """The options of every command that opens images: which planes show the cells."""

    z: Annotated[
        str | None,
        typer.Option(
            metavar="sharpest|middle|max|mean|all|N",
            help="Plane of a z-stack, whose planes show the same cells: the sharpest of each "
            "field, the middle one, a projection (largest value or mean), a number from 1, or "
            "all, each as a field of its own.",
            show_default="as kept in the study, otherwise sharpest",
            rich_help_panel="Planes of images",
        ),
    ] = None
    time: Annotated[
        str | None,
        typer.Option(
            metavar="first|all|N",
            help="Time point of a film: the first, a number from 1, or all, each as a field of "
            "its own.",
            show_default="as kept in the study, otherwise first",
            rich_help_panel="Planes of images",
        ),
    ] = None
    channel: Annotated[
        str | None,
        typer.Option(
            metavar="auto|N|NAME",
            help="Channel to look at: transmitted light by its name, else the one that looks like "
            "bright field; a number from 1; or a part of its name.",
            show_default="as kept in the study, otherwise auto",
            rich_help_panel="Planes of images",
        ),
    ] = None

    @property
    def given(self) -> dict[str, str | None]:
        """What was chosen; None where it is as kept in the study.

        Raises
        ------
        UserError
            If a choice is not known.
        """
        from napari_attmil.images import DEFAULT_PLANES  # help opens without it

        chosen = {"z": self.z, "time": self.time, "channel": self.channel}
        DEFAULT_PLANES.changed(**chosen)
        return chosen


@dataclass(frozen=True)
class DetectionOptions:
    """The options of every command that finds cells."""

    weights: Weights = None
    min_score: Annotated[float, option(DetectionSettings, "min_score")] = DETECTION.min_score
    cell_diameter: Annotated[
        str | None,
        typer.Option(
            metavar="50|7.5um",
            help="Typical cell diameter in pixels, or in micrometres if the images record the size "
            "of their pixels.",
            show_default="measured",
        ),
    ] = None
    device: DeviceName = "auto"

    @property
    def settings(self) -> DetectionSettings:
        """How to detect.

        Raises
        ------
        UserError
            If the diameter is not a number of pixels or micrometres, or out of range.
        """
        if self.cell_diameter is None:
            return DetectionSettings.checked(min_score=self.min_score)
        number = re.fullmatch(r"\s*([0-9.]+)\s*(px|um|[µμ]m)?\s*", self.cell_diameter)
        if number is None:
            raise UserError(
                f"--cell-diameter was given {self.cell_diameter!r}; give pixels (50) or "
                "micrometres (7.5um)."
            )
        name = "cell_diameter_px" if number[2] in (None, "px") else "cell_diameter_um"
        return DetectionSettings.checked(min_score=self.min_score, **{name: number[1]})


@dataclass(frozen=True)
class WorkOptions:
    """The options of every command whose work several workers can share."""

    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes of this computer that share the work; the result is the same.",
            show_default="as many as pay",
        ),
    ] = None

    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="tcp://HOST:8786|local|slurm",
            help="Share the work with the workers of a Dask scheduler, of a cluster started on "
            "this computer, or of jobs in a Slurm queue (see `attmil cluster init`).",
            show_default="this computer's processes",
        ),
    ] = None

    @contextlib.contextmanager
    def sharing(
        self, out: Path, tell: Callable[[str], None], device_name: str
    ) -> Iterator[Workers | None]:
        """Give who was asked to work, for as long as the context lasts; None for as many as pay.

        Parameters
        ----------
        out
            A file or folder to be written; workers of a cluster need to see the folder above it.
        tell
            Called with sentences about the cluster.
        device_name
            As for `open_cluster`.

        Raises
        ------
        UserError
            If both were given, or as `open_cluster`.
        """
        if self.cluster is None:
            yield None if self.workers is None else Workers(self.workers)
            return
        if self.workers is not None and self.cluster != "local":
            raise UserError(
                f"--workers {self.workers} is of this computer's processes, but --cluster "
                f"{self.cluster} has workers of its own; give one of the two."
            )
        shared = out.absolute().parent
        opened = open_cluster(
            self.cluster, shared, self.workers, tell=tell, device_name=device_name
        )
        with opened as found:
            tell_current_folder(found.client, tell)
            yield found


@dataclass(frozen=True)
class TrainingOptions:
    """The options of every command that trains classifiers."""

    preset: Annotated[Preset, typer.Option(help="Architecture and training.")] = "default"
    healthy_class: Annotated[
        str, option(MILSettings, "reference_class", default="found by its name")
    ] = ""
    embedding: Annotated[EmbeddingName | None, preset_option(MILSettings, "embedding")] = None
    encoder: Annotated[str | None, option(MILSettings, "encoder", default="shipped")] = None
    epochs: Annotated[int | None, preset_option(MILSettings, "epochs")] = None
    seed: Annotated[int, option(MILSettings, "seed")] = 0
    cells_per_sample: Annotated[int, option(MILSettings, "cells_per_sample")] = 0
    answers: Annotated[
        bool,
        typer.Option(help="Learn from what was said about single cells in the viewer or imported."),
    ] = True

    @property
    def settings(self) -> MILSettings:
        """The preset's settings with what the options change."""
        given = {"embedding": self.embedding, "encoder": self.encoder, "epochs": self.epochs}
        if self.encoder is not None and self.embedding is None:
            given["embedding"] = "encoder"
        changes: dict[str, Any] = {k: value for k, value in given.items() if value is not None}
        if self.cells_per_sample:
            changes["cells_per_sample"] = self.cells_per_sample
        if not self.answers:
            changes["answers"] = 0
        return mil_preset(
            self.preset, seed=self.seed, reference_class=self.healthy_class, **changes
        )


def with_grouped_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of its parameters that are dataclasses, which typer cannot read.

    The command is called with the dataclasses; typer and `--help` see their fields one by one.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, type] = {}
    flat: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        kind = parameter.annotation
        if isinstance(kind, type) and is_dataclass(kind):
            groups[name] = kind
            flat += inspect.signature(kind, eval_str=True).parameters.values()
        else:
            flat.append(parameter)

    @functools.wraps(command)
    def run(**given: Any) -> None:
        for name, group in groups.items():
            own = inspect.signature(group).parameters
            given[name] = group(**{field: given.pop(field) for field in own})
        command(**given)

    keyword_only = [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in flat]
    vars(run)["__signature__"] = signature.replace(parameters=keyword_only)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in flat}
    return run
