"""The command line `attmil`: the same stages as the panel's, without a screen.

Progress goes to stderr, results to stdout or into files. A mistake of the person's ends with exit
code 1 and one line that says what to do.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from napari_attmil.settings import (
    DetectionSettings,
    EvaluationSettings,
    FeatureSettings,
    Method,
    Preset,
    UserError,
    mil_preset,
)

if TYPE_CHECKING:
    from napari_attmil.bags.bag import Bag
    from napari_attmil.cells.boxes import Boxes
    from napari_attmil.cells.detector import Detector
    from napari_attmil.images.cohort import Cohort, Sample

app = typer.Typer(
    help="Find red blood cells in bright-field images, classify samples by attention-based "
    "multiple instance learning, and see which cells decided. "
    "Decision support for research, not a diagnosis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
stderr = Console(stderr=True, highlight=False)


class Countable(Protocol):
    """A progress value."""

    @property
    def done(self) -> int:
        """Units of work that are finished."""

    @property
    def total(self) -> int:
        """Units of work in all."""


Step = TypeVar("Step", bound=Countable)

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


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="Folder for the cohort.", show_default=False)],
    patients: Annotated[int, typer.Option(min=1, help="Patients of each class.")] = 6,
    seed: Seed = 0,
) -> None:
    """Write a simulated cohort of five classes, with the truth about every cell."""
    from napari_attmil.images.simulation import SimulationSettings, simulate_cohort

    settings = SimulationSettings.checked(patients_per_class=patients, seed=seed)
    for _ in follow("Simulating images", simulate_cohort(out, settings)):
        pass
    print(out / "cohort.csv")


@app.command()
def detect(
    inputs: Inputs,
    out: Annotated[Path, typer.Option(help="CSV file for the cells.", show_default=False)],
    weights: Weights = None,
    min_score: MinScore = 0.5,
    cell_diameter: CellDiameter = None,
    device: DeviceName = "auto",
) -> None:
    """Find the cells of images and write one row a cell."""
    from napari_attmil.explore.cell_table import cell_table, write_cells_csv
    from napari_attmil.images.reading import open_stacks

    settings = DetectionSettings.checked(min_score=min_score, cell_diameter_px=cell_diameter)
    stacks = open_stacks(inputs)
    detector = load_detector(weights, device)
    tables = [
        cell_table(stack, detect_cells(stack, detector, settings, label))
        for stack, label in labelled("Detecting cells", stacks)
    ]
    write_cells_csv(out, tables)
    cells, images = sum(map(len, tables)), sum(map(len, stacks))
    print(f"{cells} cells in {images} images written to {out}")


@app.command()
def train(
    cohort: CohortPath,
    out: Annotated[Path, typer.Option(help="Model file to write.", show_default=False)],
    preset: PresetName = "default",
    epochs: Epochs = None,
    seed: Seed = 0,
    weights: Weights = None,
    min_score: MinScore = 0.5,
    cell_diameter: CellDiameter = None,
    device: DeviceName = "auto",
) -> None:
    """Train a classifier on all samples of a cohort; Ctrl+C keeps the best one so far."""
    settings = preset_settings(preset, epochs, seed)
    detection = DetectionSettings.checked(min_score=min_score, cell_diameter_px=cell_diameter)
    opened = open_labelled_cohort(cohort)
    detector = load_detector(weights, device)
    bags = prepare(opened, detector, detection)
    from napari_attmil.bags.fitting import Trainer

    trainer = Trainer(bags, settings, detector.device)
    try:
        for _ in follow("Training the classifier", trainer.epochs()):
            pass
    except KeyboardInterrupt:
        stderr.print("Stopped; the best classifier so far is kept.")
    classifier = trainer.best
    classifier.save(out)
    print(f"Classifier of {', '.join(classifier.classes)} written to {out}")


@app.command()
def evaluate(
    cohort: CohortPath,
    out: Annotated[
        Path, typer.Option(help="Folder for report.json and report.md.", show_default=False)
    ],
    folds: Annotated[int, typer.Option(min=2, help="Parts the patients are split into.")] = 3,
    runs: Annotated[int, typer.Option(min=1, help="Repetitions with other splits.")] = 5,
    methods: Annotated[
        str, typer.Option(help="Rows of Table 1 to compare, separated by commas.")
    ] = "sic,mil-max,mil-max-sic,mil-att-sic",
    preset: PresetName = "default",
    epochs: Epochs = None,
    seed: Seed = 0,
    weights: Weights = None,
    min_score: MinScore = 0.5,
    cell_diameter: CellDiameter = None,
    device: DeviceName = "auto",
) -> None:
    """Cross-validate by patient and write a report."""
    settings = preset_settings(preset, epochs, seed)
    plan = EvaluationSettings.checked(
        folds=folds, runs=runs, seed=seed, methods=method_names(methods)
    )
    detection = DetectionSettings.checked(min_score=min_score, cell_diameter_px=cell_diameter)
    opened = open_labelled_cohort(cohort)
    from napari_attmil.images.cohort import patient_folds

    patient_folds(opened, folds, seed)  # Refuses before the long work, not after it.
    detector = load_detector(weights, device)
    notes = list(opened.notes)
    bags = prepare(opened, detector, detection, notes)
    from napari_attmil.bags.evaluation import cross_validate
    from napari_attmil.bags.evaluation_report import markdown, write_report

    result = None
    for step in follow("Cross-validating", cross_validate(bags, settings, plan, detector.device)):
        result = step.result
    assert result is not None  # the last progress value has it
    report, _ = write_report(result, out, notes)
    print(markdown(json.loads(report.read_text(encoding="utf-8"))))


@app.command()
def classify(
    model: Annotated[
        Path, typer.Argument(help="Model file that `attmil train` wrote.", show_default=False)
    ],
    inputs: Inputs,
    out: Annotated[Path, typer.Option(help="CSV file for the cells.", show_default=False)],
    report: Annotated[
        Path | None, typer.Option(help="JSON file for the result.", show_default=False)
    ] = None,
    weights: Weights = None,
    min_score: MinScore = 0.5,
    cell_diameter: CellDiameter = None,
    device: DeviceName = "auto",
) -> None:
    """Classify samples; each image file, stack or folder of images is one sample."""
    from napari_attmil.bags.classifier import Classifier
    from napari_attmil.explore.cell_table import cell_table, write_cells_csv
    from napari_attmil.explore.report import CAUTION, classification_report
    from napari_attmil.images.reading import open_samples

    detection = DetectionSettings.checked(min_score=min_score, cell_diameter_px=cell_diameter)
    samples = open_samples(inputs)
    detector = load_detector(weights, device)
    classifier = Classifier.load(model, detector.device)
    tables, predictions = [], []
    for sample, label in labelled("Detecting cells", samples):
        boxes = detect_cells(sample, detector, detection, label)
        bag = bag_of_sample(sample, boxes, detector, classifier.feature_settings)
        prediction = classifier.classify(bag)
        tables.append(cell_table(sample, boxes, prediction))
        predictions.append(prediction)
    write_cells_csv(out, tables)
    if report is not None:
        origin = {"file": str(model), "detector": detector.digest, **classifier.provenance}
        write_json(report, classification_report(predictions, origin))
    for prediction in predictions:
        shares = zip(prediction.classes, prediction.probabilities, strict=True)
        ranked = sorted(shares, key=lambda pair: -pair[1])
        print(f"{prediction.sample}: " + ", ".join(f"{name} {p:.0%}" for name, p in ranked))
    print(CAUTION)


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
    from napari_attmil.demo import run_demo

    result = run_demo(data, out, device, follow, stderr.print)
    from napari_attmil.widgets.demo_window import show_demo

    show_demo(result, out / "window.png" if headless else None)
    print(f"Results are in {out}")


def main() -> None:
    """Run the command line; the way in for the script `attmil`."""
    try:
        sys.exit(app(standalone_mode=False))
    except UserError as error:
        sentence = str(error)
    except (typer.Abort, KeyboardInterrupt):
        sentence = "Stopped; nothing was written."
    except Exception as error:
        # Typer and Click, whichever typer is built on, tell of a mistyped command line this way.
        if not hasattr(error, "format_message"):
            raise
        sentence = f"{error.format_message()} See `attmil --help`."
        if not error.format_message():
            sys.exit(1)  # `attmil` alone has printed its help
    stderr.print(f"attmil: {sentence}", soft_wrap=True, markup=False)
    sys.exit(1)


def follow(label: str, steps: Iterable[Step]) -> Iterator[Step]:
    """Yield the steps of a stage while a bar on stderr shows how far it has come."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr) as progress:
        task = progress.add_task(label, total=None)
        for step in steps:
            progress.update(task, completed=step.done, total=step.total)
            yield step


def labelled(label: str, samples: list[Sample]) -> Iterator[tuple[Sample, str]]:
    """Yield each sample with what its progress bar says."""
    for number, sample in enumerate(samples, start=1):
        yield sample, f"{label}: {sample.name} ({number} of {len(samples)})"


def load_detector(weights: Path | None, device: str) -> Detector:
    """Return the detector on the chosen device, and say which that is."""
    from napari_attmil.cells.detector import Detector
    from napari_attmil.device import choose_device

    chosen = choose_device(device)
    stderr.print(f"Computing on {chosen.name}: {chosen.description}", markup=False)
    return Detector.load(weights, chosen)


def detect_cells(
    sample: Sample, detector: Detector, settings: DetectionSettings, label: str
) -> Boxes:
    """Return the cells of a sample, showing progress."""
    from napari_attmil.cells.detector import boxes_of_frames
    from napari_attmil.images.reading import read_images

    return boxes_of_frames(
        list(follow(label, detector.detect_frames(read_images(sample), settings)))
    )


def bag_of_sample(
    sample: Sample, boxes: Boxes, detector: Detector, settings: FeatureSettings
) -> Bag:
    """Return the sample's cells with their features, showing progress."""
    from napari_attmil.bags.bag import bag_of

    bag = None
    for step in follow("Reading features", bag_of(sample, boxes, detector, settings)):
        bag = step.bag
    assert bag is not None  # the last progress value has it
    return bag


def open_labelled_cohort(path: Path) -> Cohort:
    """Return the cohort, having said what was assumed about it."""
    from napari_attmil.images.reading import open_cohort

    cohort = open_cohort(path)
    for note in cohort.notes:
        stderr.print(note, markup=False)
    return cohort


def prepare(
    cohort: Cohort,
    detector: Detector,
    detection: DetectionSettings,
    notes: list[str] | None = None,
) -> list[Bag]:
    """Return the bags of a cohort; what was left out is said, and added to `notes`."""
    from napari_attmil.bags.bag import prepare_bags
    from napari_attmil.bags.feature_store import FeatureStore, default_store_folder
    from napari_attmil.cells.project import AnnotationFile

    store = FeatureStore(default_store_folder(cohort))
    kept = AnnotationFile.beside(cohort.folder).read_all(cohort.samples)
    if kept:
        stderr.print(f"Boxes that a person saw are used in {len(kept)} samples.")
    steps = prepare_bags(cohort, detector, detection, FeatureSettings(), store, kept)
    bags = []
    for step in follow("Finding cells and reading their features", steps):
        if step.bag is not None:
            bags.append(step.bag)
        if step.note:
            stderr.print(step.note, markup=False)
            if notes is not None:
                notes.append(step.note)
    if not bags:
        raise UserError(
            f"No cell was found in any sample of {cohort.folder}; look at the images, lower the "
            "minimum score, or give the cell diameter."
        )
    return bags


def preset_settings(preset: Preset, epochs: int | None, seed: int) -> Any:
    """Return the settings of a preset with what the command line changes."""
    changes: dict[str, Any] = {"seed": seed}
    return mil_preset(preset, **(changes if epochs is None else changes | {"epochs": epochs}))


def method_names(text: str) -> tuple[Method, ...]:
    """Return the methods of a list separated by commas.

    Raises
    ------
    UserError
        If one is unknown.
    """
    known: tuple[Method, ...] = EvaluationSettings().methods
    chosen = [name.strip() for name in text.split(",") if name.strip()]
    for name in chosen:
        if name not in known:
            raise UserError(f"There is no method {name!r}; choose from {', '.join(known)}.")
    return tuple(name for name in known if name in chosen)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    from napari_attmil.checkpoints import write_atomically

    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
