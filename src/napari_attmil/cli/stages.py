"""The stages of the method as commands: simulate, detect, train, evaluate, classify, demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_attmil import bags, evaluation, explore, images, simulation, widgets, workflows
from napari_attmil.bags import METHODS, TABLE_1, EnsembleSettings, Method
from napari_attmil.cli.options import (
    CohortPath,
    DetectionOptions,
    DeviceName,
    Inputs,
    ModelFile,
    ModelOut,
    PlaneOptions,
    Priors,
    TableOut,
    TrainingOptions,
    WorkOptions,
    option,
    preset_option,
)
from napari_attmil.cli.terminal import (
    classified,
    load_classifier,
    open_inputs,
    print_held_out,
    say,
    say_device,
    shown,
    trainable_study,
)
from napari_attmil.core import CAUTION, UserError, check_writable, counted, write_json
from napari_attmil.evaluation import EvaluationSettings
from napari_attmil.simulation import SimulationSettings
from napari_attmil.workflows import check_outputs

EVALUATION = EvaluationSettings()
SIMULATION = SimulationSettings()


def simulate(
    out: Annotated[Path, typer.Option(help="Folder for the cohort.")],
    patients: Annotated[
        int, option(SimulationSettings, "patients_per_class")
    ] = SIMULATION.patients_per_class,
    seed: Annotated[int, option(SimulationSettings, "seed")] = SIMULATION.seed,
) -> None:
    """Write a simulated cohort of five classes, with the true box and type of every cell."""
    settings = SimulationSettings.checked(patients_per_class=patients, seed=seed)
    shown(simulation.simulate_cohort(out, settings), "Simulating images")
    print(out / "cohort.csv")


def detect(
    inputs: Inputs,
    out: TableOut,
    *,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="X0,Y0,X1,Y1",
            help="Search only this part of each image, in pixels from its upper left corner.",
            show_default="all of it",
        ),
    ] = None,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Only say how many cells, how long and how much memory."),
    ] = False,
    detection: DetectionOptions,
    planes: PlaneOptions,
    work: WorkOptions,
) -> None:
    """Find the cells in images and write a table with one row per cell.

    Of scans of whole slides it is said beforehand how many cells they have, and how long it takes.

    Cells are found anew: a study's corrections, tags and notes are not in the table. `attmil
    export --format csv` writes those.
    """
    check_outputs([out], [*inputs, detection.weights])
    explore.check_table_file(out)
    settings = detection.settings
    view = None if region is None else workflows.region_of(region)
    samples = open_inputs(inputs, planes)
    if view is not None:
        samples = shown(workflows.samples_with_region(samples, view))
    say_device(detection.device)
    wanted = []
    for number, sample in enumerate(samples, start=1):
        weights = detection.weights or workflows.detector_around(sample)
        if weights is not None:
            say(f"{sample.name}: detector {weights.name}")
        in_pixels, places = settings.in_pixels(sample.pixel_size_um), range(len(sample))
        own, sizes = images.read_images(sample), None
        if plan or workflows.is_worth_a_plan(own, view):
            asked = (own, places, in_pixels, detection.device, weights, view)
            label = f"{sample.name} ({number} of {len(samples)})"
            planned = shown(workflows.plan_cells(*asked), label)
            assert planned is not None  # nobody stops it
            say(f"{sample.name}: {planned.text}")
            sizes = planned.cell_sizes
        wanted.append(workflows.ToSearch(sample, places, weights, view, sizes))
    if plan:
        return
    with work.sharing(out, say, detection.device) as workers:
        found = shown(workflows.detect_samples(wanted, settings, detection.device, workers))
    pairs = zip(samples, found, strict=True)
    tables = [explore.cell_table(sample, detected.boxes) for sample, detected in pairs]
    explore.write_cells(out, tables)
    cells, images_in_all = sum(map(len, tables)), sum(map(len, samples))
    print(f"{counted(cells, 'cell')} in {counted(images_in_all, 'image')} written to {out}")


def train(
    cohort: CohortPath,
    out: ModelOut,
    training: TrainingOptions,
    *,
    members: Annotated[int | None, preset_option(EnsembleSettings, "members")] = None,
    calibrate: Annotated[bool | None, preset_option(EnsembleSettings, "calibrate")] = None,
    composition: Annotated[bool | None, preset_option(EnsembleSettings, "composition")] = None,
    detection: DetectionOptions,
    planes: PlaneOptions,
    work: WorkOptions,
) -> None:
    """Train a classifier on all samples of a cohort; a stopped training goes on where it stood.

    Ctrl+C stops it and writes the models that are there by then.
    """
    check_outputs([out], [cohort, detection.weights])
    check_writable(out)
    chosen = {"members": members, "calibrate": calibrate, "composition": composition}
    given = {name: value for name, value in chosen.items() if value is not None}
    ensemble = bags.ensemble_preset(training.preset, **given)
    settings, finding = training.settings, detection.settings
    study = trainable_study(cohort, settings, detection, planes)
    with work.sharing(out, say, detection.device) as workers:
        steps = workflows.train_classifier(
            study, settings, ensemble, finding, detection.device, out, workers
        )
        trained = shown(steps)
    if trained is None:
        raise UserError(
            "Stopped before the first model was there, so nothing is written; run the same "
            "command again to go on from there."
        )
    if not trained.is_finished:
        say("Stopped; the models so far are written, and the same command goes on from there.")
    classifier = trained.classifier.model
    print(f"Classifier of {', '.join(classifier.classes)} written to {out}")
    print(classifier.description)
    print_held_out(classifier, study.cohort)


def evaluate(
    cohort: CohortPath,
    out: Annotated[Path, typer.Option(help="Folder for report.html, report.md and report.json.")],
    *,
    folds: Annotated[int, option(EvaluationSettings, "folds")] = EVALUATION.folds,
    runs: Annotated[int, option(EvaluationSettings, "runs")] = EVALUATION.runs,
    methods: Annotated[
        str, typer.Option(help="table-1, all, or names of methods separated by commas.")
    ] = "table-1",
    ensemble: Annotated[bool, option(EvaluationSettings, "ensemble")] = EVALUATION.ensemble,
    controls: Annotated[
        bool, option(EvaluationSettings, "controls", "--controls")
    ] = EVALUATION.controls,
    training: TrainingOptions,
    detection: DetectionOptions,
    planes: PlaneOptions,
    work: WorkOptions,
) -> None:
    """Cross-validate by patient and write a report; a stopped evaluation goes on where it stood."""
    check_outputs([out / "report.json"], [cohort, detection.weights])
    check_writable(out / "report.json")
    plan = EvaluationSettings.checked(
        folds=folds,
        runs=runs,
        seed=training.seed,
        methods=method_names(methods),
        ensemble=ensemble,
        controls=controls,
    )
    settings, finding = training.settings, detection.settings
    study = trainable_study(cohort, settings, detection, planes)
    ensembles = bags.ensemble_preset(training.preset)
    try:
        with work.sharing(out / "report.json", say, detection.device) as workers:
            steps = workflows.evaluate_study(
                study, settings, plan, ensembles, finding, detection.device, out, workers
            )
            report = shown(steps)
    except KeyboardInterrupt:
        if not (out / "trials").is_dir():
            raise
        raise UserError(
            f"Stopped; finished trainings are kept in {out / 'trials'}, and the same command "
            "goes on from there: run it again."
        ) from None
    assert report is not None  # nobody has stopped it
    print(evaluation.markdown(report))


def classify(
    model: ModelFile,
    inputs: Inputs,
    out: TableOut,
    *,
    report: Annotated[Path | None, typer.Option(help="JSON file for the result.")] = None,
    prior: Priors = None,
    detection: DetectionOptions,
    planes: PlaneOptions,
    work: WorkOptions,
) -> None:
    """Classify samples; each image file, stack or folder of images is one sample."""
    check_outputs([out, report], [model, *inputs, detection.weights])
    explore.check_table_file(out)
    if report is not None:
        check_writable(report)
    settings = detection.settings
    opened = open_inputs(inputs, planes)
    studies = workflows.Study.around(opened, detection.weights)
    classifier = load_classifier(model, detection.device, prior)
    with work.sharing(out, say, detection.device) as workers:
        found = classified(studies, classifier, settings, detection.device, workers)
    tables = [explore.cell_table(f.sample, f.boxes, f.prediction, notes=f.notes) for f in found]
    explore.write_cells(out, tables)
    predictions = [one.prediction for one in found]
    if report is not None:
        origin = explore.model_origin(classifier, str(model))
        write_json(report, explore.classification_report(predictions, origin))
    for prediction in predictions:
        _print_prediction(prediction)
    said = ((one.frequencies_in_words(), one.note) for one in predictions)
    notes = dict.fromkeys(note for notes in said for note in notes)
    for sentence in filter(None, (*notes, CAUTION)):
        print(sentence)


def demo(
    data: Annotated[
        Path | None,
        typer.Option(help="Your own images (class/patient/sample/images); simulated if not given."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo-output"),
    headless: Annotated[
        bool, typer.Option("--headless", help="Save a screenshot instead of staying open.")
    ] = False,
    device: DeviceName = "auto",
) -> None:
    """Simulate a cohort, find its cells, train, cross-validate, and show the result in napari."""
    check_outputs([out / "cells.csv"], [data])
    widgets.check_screen()
    say_device(device)
    result = shown(workflows.run_demo(data, out, device))
    widgets.show_demo(result, out / "window.png" if headless else None)
    print(f"Results are in {out}")


def _print_prediction(prediction: bags.Prediction) -> None:
    """Print the probabilities, the highest first, and how certain they are."""
    shares = zip(prediction.classes, prediction.probabilities, strict=True)
    ranked = sorted(shares, key=lambda pair: -pair[1])
    print(f"{prediction.sample}: " + ", ".join(f"{name} {p:.0%}" for name, p in ranked))
    if explore.in_words(prediction):
        print(f"    {explore.in_words(prediction)}")


def method_names(text: str) -> tuple[Method, ...]:
    """Return the methods of a list separated by commas; "table-1" and "all" stand for several.

    Raises
    ------
    UserError
        If one is unknown.
    """
    several = {"table-1": TABLE_1, "all": tuple(METHODS)}
    words = [word.strip() for word in text.split(",") if word.strip()]
    chosen = [name for word in words for name in several.get(word, (word,))]
    for name in chosen:
        if name not in METHODS:
            raise UserError(
                f"There is no method {name!r}; choose from {', '.join([*several, *METHODS])}."
            )
    return tuple(name for name in METHODS if name in chosen)
