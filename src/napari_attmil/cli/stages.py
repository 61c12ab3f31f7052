"""The stages of the method as commands: simulate, detect, train, evaluate, classify, demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_attmil.bags import (
    METHODS,
    TABLE_1,
    Method,
    Preset,
    ensemble_preset,
    features_for,
    mil_preset,
)
from napari_attmil.cli.options import (
    DETECTION,
    CellDiameter,
    CohortPath,
    DeviceName,
    Epochs,
    HealthyClass,
    Inputs,
    MinScore,
    ModelFile,
    PresetName,
    Seed,
    Weights,
    detection_settings,
)
from napari_attmil.cli.outputs import check_outputs
from napari_attmil.cli.terminal import (
    classified,
    load_classifier,
    open_trainable_cohort,
    say,
    say_device,
    shown,
    study_of,
)
from napari_attmil.core import CAUTION, UserError, check_writable, counted, write_json
from napari_attmil.evaluation import EvaluationSettings

if TYPE_CHECKING:
    import pandas as pd

    from napari_attmil.bags import MILSettings, Prediction

EVALUATION = EvaluationSettings()
"""Has the defaults of the options about cross-validation."""


def simulate(
    out: Annotated[Path, typer.Option(help="Folder for the cohort.", show_default=False)],
    patients: Annotated[int, typer.Option(min=1, help="Patients of each class.")] = 6,
    seed: Seed = 0,
) -> None:
    """Write a simulated cohort of five classes, with the truth about every cell."""
    from napari_attmil.simulation import SimulationSettings, simulate_cohort

    settings = SimulationSettings.checked(patients_per_class=patients, seed=seed)
    shown(simulate_cohort(out, settings), "Simulating images")
    print(out / "cohort.csv")


def detect(
    inputs: Inputs,
    out: Annotated[
        Path, typer.Option(help="CSV or Parquet file for the cells.", show_default=False)
    ],
    weights: Weights = None,
    min_score: MinScore = DETECTION.min_score,
    cell_diameter: CellDiameter = None,
    device: DeviceName = "auto",
) -> None:
    """Find the cells of images and write one row a cell."""
    from napari_attmil.explore import cell_table, check_table_file, write_cells
    from napari_attmil.images import open_stacks, read_images
    from napari_attmil.workflows import Study, detect_cells

    check_outputs([out], [*inputs, weights])
    check_table_file(out)
    settings = detection_settings(min_score, cell_diameter)
    stacks = open_stacks(inputs)
    say_device(device)
    tables: list[pd.DataFrame] = []
    for study in Study.around(stacks, weights):
        for stack in study.cohort.samples:
            in_pixels = settings.in_pixels(stack.pixel_size_um)
            images, path = read_images(stack), study.detector_path
            steps = detect_cells(images, range(len(stack)), in_pixels, device, path)
            label = f"Detecting cells: {stack.name} ({len(tables) + 1} of {len(stacks)})"
            tables.append(cell_table(stack, shown(steps, label).boxes))
    write_cells(out, tables)
    cells, images_in_all = sum(map(len, tables)), sum(map(len, stacks))
    print(f"{counted(cells, 'cell')} in {counted(images_in_all, 'image')} written to {out}")


def train(
    cohort: CohortPath,
    out: Annotated[Path, typer.Option(help="Model file to write.", show_default=False)],
    preset: PresetName = "default",
    members: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Models of different seeds that classify together; by default 20, or 1 with the "
            "presets paper and marrlab-code.",
            show_default=False,
        ),
    ] = None,
    calibrate: Annotated[
        bool | None,
        typer.Option(
            help="Also learn from held-out patients how sure the models may be, which nearly "
            "doubles the time; by default with the preset default only.",
            show_default=False,
        ),
    ] = None,
    composition: Annotated[
        bool | None,
        typer.Option(
            help="Calibrated, also ask a model that knows only the shares of cell types in a "
            "sample, and let held-out patients say how much it counts; by default with the preset "
            "default only.",
            show_default=False,
        ),
    ] = None,
    healthy_class: HealthyClass = "",
    epochs: Epochs = None,
    seed: Seed = 0,
    weights: Weights = None,
    min_score: MinScore = DETECTION.min_score,
    cell_diameter: CellDiameter = None,
    device: DeviceName = "auto",
) -> None:
    """Train a classifier on all samples of a cohort; stopped, it goes on where it stood.

    Ctrl+C also writes the models that are there by then.
    """
    check_outputs([out], [cohort, weights])
    check_writable(out)
    settings = preset_settings(preset, epochs, seed, healthy_class)
    chosen = {"members": members, "calibrate": calibrate, "composition": composition}
    ensemble = ensemble_preset(preset, **{k: v for k, v in chosen.items() if v is not None})
    detection = detection_settings(min_score, cell_diameter)
    opened = open_trainable_cohort(cohort, healthy_class)
    say_device(device)
    study = study_of(opened, weights, features_for(settings))
    from napari_attmil.workflows import train_classifier

    training = shown(train_classifier(study, settings, ensemble, detection, device, out))
    if training is None:
        raise UserError(
            "Stopped before the first model was there, so none is written; the same command goes "
            "on from there."
        )
    if not training.is_finished:
        say("Stopped; the models so far are written, and the same command goes on from there.")
    classifier = training.classifier.model
    print(f"Classifier of {', '.join(classifier.classes)} written to {out}")
    print(classifier.description)


def evaluate(
    cohort: CohortPath,
    out: Annotated[
        Path,
        typer.Option(help="Folder for report.html, report.md and report.json.", show_default=False),
    ],
    folds: Annotated[
        int, typer.Option(min=2, help="Parts the patients are split into.")
    ] = EVALUATION.folds,
    runs: Annotated[
        int, typer.Option(min=1, help="Repetitions with other splits.")
    ] = EVALUATION.runs,
    methods: Annotated[
        str, typer.Option(help="table-1, all, or names of methods separated by commas.")
    ] = "table-1",
    ensemble: Annotated[
        bool,
        typer.Option(
            help="Also what `attmil train` makes for people to use: several models, calibrated; "
            "not with the presets paper and marrlab-code, where that is a single model."
        ),
    ] = True,
    controls: Annotated[
        bool, typer.Option("--controls", help="Also what must give chance.")
    ] = False,
    preset: PresetName = "default",
    healthy_class: HealthyClass = "",
    epochs: Epochs = None,
    seed: Seed = 0,
    weights: Weights = None,
    min_score: MinScore = DETECTION.min_score,
    cell_diameter: CellDiameter = None,
    device: DeviceName = "auto",
) -> None:
    """Cross-validate by patient and write a report; stopped, it goes on where it stood."""
    check_outputs([out / "report.json"], [cohort, weights])
    check_writable(out / "report.json")
    settings = preset_settings(preset, epochs, seed, healthy_class)
    compared = {"methods": method_names(methods), "ensemble": ensemble, "controls": controls}
    plan = EvaluationSettings.checked(folds=folds, runs=runs, seed=seed, **compared)
    detection = detection_settings(min_score, cell_diameter)
    opened = open_trainable_cohort(cohort, healthy_class)
    say_device(device)
    study = study_of(opened, weights, features_for(settings))
    from napari_attmil.evaluation import markdown
    from napari_attmil.workflows import evaluate_study

    ensembles = ensemble_preset(preset)
    steps = evaluate_study(study, settings, plan, ensembles, detection, device, out)
    try:
        report = shown(steps)
    except KeyboardInterrupt:
        raise UserError(
            f"Stopped; finished trainings are kept in {out / 'trials'}, and the same command goes "
            "on from there."
        ) from None
    assert report is not None  # nobody has stopped it
    print(markdown(report))


def classify(
    model: ModelFile,
    inputs: Inputs,
    out: Annotated[
        Path, typer.Option(help="CSV or Parquet file for the cells.", show_default=False)
    ],
    report: Annotated[
        Path | None, typer.Option(help="JSON file for the result.", show_default=False)
    ] = None,
    weights: Weights = None,
    min_score: MinScore = DETECTION.min_score,
    cell_diameter: CellDiameter = None,
    device: DeviceName = "auto",
) -> None:
    """Classify samples; each image file, stack or folder of images is one sample."""
    from napari_attmil.explore import (
        cell_table,
        check_table_file,
        classification_report,
        model_origin,
        write_cells,
    )
    from napari_attmil.images import open_samples
    from napari_attmil.workflows import Study

    check_outputs([out, report], [model, *inputs, weights])
    check_table_file(out)
    if report is not None:
        check_writable(report)
    detection = detection_settings(min_score, cell_diameter)
    samples = open_samples(inputs)
    classifier = load_classifier(model, device)
    found = classified(Study.around(samples, weights), classifier, detection, device)
    write_cells(out, [cell_table(one.sample, one.boxes, one.prediction) for one in found])
    predictions = [one.prediction for one in found]
    if report is not None:
        origin = model_origin(classifier, str(model), classifier.detector_digest)
        write_json(report, classification_report(predictions, origin))
    for prediction in predictions:
        _print_prediction(prediction)
    notes = dict.fromkeys(prediction.note for prediction in predictions)
    for sentence in filter(None, (*notes, CAUTION)):
        print(sentence)


def demo(
    data: Annotated[
        Path | None,
        typer.Option(help="Your own images (class/patient/sample/images) instead of simulated."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo-output"),
    headless: Annotated[
        bool, typer.Option("--headless", help="Save a screenshot instead of staying open.")
    ] = False,
    device: DeviceName = "auto",
) -> None:
    """Simulate a cohort, find its cells, train, cross-validate, and show the result in napari."""
    from napari_attmil.workflows import run_demo

    check_outputs([out / "cells.csv"], [data])
    say_device(device)
    result = shown(run_demo(data, out, device))
    from napari_attmil.widgets import show_demo

    show_demo(result, out / "window.png" if headless else None)
    print(f"Results are in {out}")


def _print_prediction(prediction: Prediction) -> None:
    """Print the probabilities, the highest first, and what is to know about them."""
    from napari_attmil.explore import in_words

    shares = zip(prediction.classes, prediction.probabilities, strict=True)
    ranked = sorted(shares, key=lambda pair: -pair[1])
    print(f"{prediction.sample}: " + ", ".join(f"{name} {p:.0%}" for name, p in ranked))
    if in_words(prediction):
        print(f"    {in_words(prediction)}")


def preset_settings(
    preset: Preset, epochs: int | None, seed: int, healthy_class: str = ""
) -> MILSettings:
    """Return the settings of a preset with what the command line changes."""
    changes: dict[str, Any] = {"seed": seed, "reference_class": healthy_class}
    return mil_preset(preset, **(changes if epochs is None else changes | {"epochs": epochs}))


def method_names(text: str) -> tuple[Method, ...]:
    """Return the methods of a list separated by commas; "table-1" and "all" stand for several.

    Raises
    ------
    UserError
        If one is unknown.
    """
    known = tuple(METHODS)
    several = {"table-1": TABLE_1, "all": known}
    words = [word.strip() for word in text.split(",") if word.strip()]
    chosen = [name for word in words for name in several.get(word, (word,))]
    for name in chosen:
        if name not in known:
            raise UserError(
                f"There is no method {name!r}; choose from {', '.join([*several, *known])}."
            )
    return tuple(name for name in known if name in chosen)
