"""The stages of the method as commands: simulate, detect, train, evaluate, classify, demo."""

from __future__ import annotations

import shutil
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
    app,
    detection_settings,
)
from napari_attmil.cli.outputs import check_outputs
from napari_attmil.cli.terminal import (
    classified,
    detect_cells,
    evaluation_written,
    follow,
    labelled,
    load_detector,
    open_labelled_cohort,
    prepare,
    say,
    say_healthy_class,
    write_json,
)
from napari_attmil.core import CAUTION, UserError, check_writable, counted
from napari_attmil.evaluation import EvaluationSettings

if TYPE_CHECKING:
    from napari_attmil.bags import MILSettings
    from napari_attmil.bags.training import EnsembleTrainer
    from napari_attmil.images import Cohort

EVALUATION = EvaluationSettings()
"""Has the defaults of the options about cross-validation."""


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="Folder for the cohort.", show_default=False)],
    patients: Annotated[int, typer.Option(min=1, help="Patients of each class.")] = 6,
    seed: Seed = 0,
) -> None:
    """Write a simulated cohort of five classes, with the truth about every cell."""
    from napari_attmil.simulation import SimulationSettings, simulate_cohort

    settings = SimulationSettings.checked(patients_per_class=patients, seed=seed)
    for _ in follow("Simulating images", simulate_cohort(out, settings)):
        pass
    print(out / "cohort.csv")


@app.command()
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
    from napari_attmil.images import open_stacks

    check_outputs([out], [*inputs, weights])
    check_table_file(out)
    settings = detection_settings(min_score, cell_diameter)
    stacks = open_stacks(inputs)
    detector = load_detector(weights, device)
    tables = [
        cell_table(stack, detect_cells(stack, detector, settings, label))
        for stack, label in labelled("Detecting cells", stacks)
    ]
    write_cells(out, tables)
    cells, images = sum(map(len, tables)), sum(map(len, stacks))
    print(f"{counted(cells, 'cell')} in {counted(images, 'image')} written to {out}")


@app.command()
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
    opened = _open_trainable_cohort(cohort, healthy_class)
    detector = load_detector(weights, device)
    bags = prepare(opened, detector, detection, features_for(settings))
    from napari_attmil.bags.training import EnsembleTrainer

    unfinished = out.with_name(f"{out.name}.unfinished")
    trainer = EnsembleTrainer(bags, settings, ensemble, detector.device, kept_in=unfinished)
    is_finished = _is_trained_to_the_end(trainer)
    classifier = trainer.best
    classifier.save(out)
    if is_finished:
        # Not before the model is saved: what was trained must outlast a disk that is full by then.
        shutil.rmtree(unfinished, ignore_errors=True)
    else:
        say("Stopped; the models so far are written, and the same command goes on from there.")
    print(f"Classifier of {', '.join(classifier.classes)} written to {out}")
    print(classifier.description)


@app.command()
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
    opened = _open_trainable_cohort(cohort, healthy_class)
    from napari_attmil.images import patient_folds

    patient_folds(opened, folds, seed)  # Refuses before the long work, not after it.
    detector = load_detector(weights, device)
    notes = list(opened.notes)
    bags = prepare(opened, detector, detection, features_for(settings), notes)
    from napari_attmil.evaluation import cross_validate

    steps = cross_validate(
        bags,
        settings,
        plan,
        detector.device,
        resume_in=out / "trials",
        ensemble=ensemble_preset(preset),
    )
    try:
        print(evaluation_written(steps, out, notes))
    except KeyboardInterrupt:
        raise UserError(
            f"Stopped; finished trainings are kept in {out / 'trials'}, and the same command goes "
            "on from there."
        ) from None


@app.command()
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
    from napari_attmil.bags import Classifier
    from napari_attmil.explore import (
        cell_table,
        check_table_file,
        classification_report,
        in_words,
        model_origin,
        write_cells,
    )
    from napari_attmil.images import open_samples

    check_outputs([out, report], [model, *inputs, weights])
    check_table_file(out)
    if report is not None:
        check_writable(report)
    detection = detection_settings(min_score, cell_diameter)
    samples = open_samples(inputs)
    detector = load_detector(weights, device)
    classifier = Classifier.load(model, detector.device)
    tables, predictions = [], []
    for sample, boxes, prediction in classified(samples, detector, detection, classifier):
        tables.append(cell_table(sample, boxes, prediction))
        predictions.append(prediction)
    write_cells(out, tables)
    if report is not None:
        origin = model_origin(classifier, str(model), detector.digest)
        write_json(report, classification_report(predictions, origin))
    for prediction in predictions:
        shares = zip(prediction.classes, prediction.probabilities, strict=True)
        ranked = sorted(shares, key=lambda pair: -pair[1])
        print(f"{prediction.sample}: " + ", ".join(f"{name} {p:.0%}" for name, p in ranked))
        if in_words(prediction):
            print(f"    {in_words(prediction)}")
    notes = dict.fromkeys(prediction.note for prediction in predictions)
    for sentence in filter(None, (*notes, CAUTION)):
        print(sentence)


@app.command()
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
    from napari_attmil.cli.demo import run_demo

    check_outputs([out / "cells.csv"], [data])
    result = run_demo(data, out, device)
    from napari_attmil.widgets import show_demo

    show_demo(result, out / "window.png" if headless else None)
    print(f"Results are in {out}")


def _open_trainable_cohort(path: Path, healthy_class: str) -> Cohort:
    """Return the cohort, having said what was assumed about it and which class is healthy."""
    from napari_attmil.images import check_trainable

    cohort = open_labelled_cohort(path)
    check_trainable(cohort)
    say_healthy_class(cohort, healthy_class)
    return cohort


def _is_trained_to_the_end(trainer: EnsembleTrainer) -> bool:
    """Train, and return whether it was not stopped before; a UserError if there is no model yet."""
    try:
        for _ in follow("Training", trainer.epochs(), lambda step: step.title):
            pass
    except KeyboardInterrupt:
        if not trainer.has_model:
            raise UserError(
                "Stopped before the first model was there, so none is written; the same command "
                "goes on from there."
            ) from None
        return False
    return True


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
