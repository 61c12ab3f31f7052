"""Simulated bright-field images of red cells whose boxes, types and patients are known.

`simulate_image` draws one field of view; `simulate_cohort` writes a whole study to disk. Shapes
come from `cell_shapes`, optics and camera from `bright_field`.

A box is the tight rectangle around the pixels that a cell's body covers in the image; cells that
overlap have a full box each. A cell of which less than a quarter would lie inside of the image is
not placed, so every cell in an image has a box.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import tifffile
from numpy.typing import NDArray

from napari_attmil.core import Progress, UserError, write_atomically, write_json
from napari_attmil.simulation.appearance import Appearance, draw_appearance
from napari_attmil.simulation.bright_field import expose
from napari_attmil.simulation.cell_shapes import (
    CELL_TYPES,
    NORMAL_DIAMETER_UM,
    RARE_TYPES,
    draw_cell,
)
from napari_attmil.simulation.field import FieldOfView, margin_px
from napari_attmil.simulation.settings import CLASSES, ClassName, SimulationSettings
from napari_attmil.simulation.structures import Structure, burn_in, draw_walls

ODD_TYPES: Final = ("echinocyte", "fragment")
"""Abnormal cells that every class has, the healthy one too, in the same share."""

MIXED_TYPES: Final[Mapping[str, float]] = {
    "discocyte": 0.40,
    **dict.fromkeys([name for name in CELL_TYPES if name != "discocyte"], 0.06),
}
"""Shares of a field that shows every type, to train a detector on."""

HEIGHTS: Final = 3
"""At how many heights the cells of one image lie where they do not lie at the same."""

_COHORT_COLUMNS: Final = ["image", "sample", "patient", "label"]
_SIDES: Final = ["x_min", "y_min", "x_max", "y_max"]
_FORMAT: Final = "napari-attmil simulation/1"
_MARKER: Final = "simulation.json"


@dataclass(frozen=True, eq=False)
class SimulatedImage:
    """One field of view and the truth about it.

    Attributes
    ----------
    image : (Y, X) uint8
    xyxy : (n, 4) float32
        x_min, y_min, x_max, y_max in pixels: the outer edges of the outermost pixels, never
        outside of the image.
    cell_type : (n,) str
        One of `CELL_TYPES` for each box.
    pixel_size_um : float
    """

    image: NDArray[np.uint8]
    xyxy: NDArray[np.float32]
    cell_type: NDArray[np.str_]
    pixel_size_um: float


def simulate_image(
    settings: SimulationSettings,
    rng: np.random.Generator,
    cell_types: Sequence[str] | None = None,
    appearance: Appearance | None = None,
    structure: Structure | None = None,
) -> SimulatedImage:
    """Draw one field of view.

    Parameters
    ----------
    settings
        Size, cells, look and variety.
    rng
        Everything random comes from it: the same state gives the same image.
    cell_types
        The type of every cell; None draws `settings.cells_per_image` of them from `MIXED_TYPES`.
    appearance
        Focus, light and noise; None draws them within `settings.variety`.
    structure
        What the field shows beside its cells, such as a channel, in which they then lie.

    Returns
    -------
    SimulatedImage
        Its cells are in the order of `cell_types`; fewer where the field was too full to hold more.

    Raises
    ------
    UserError
        If a cell type is unknown.
    """
    if cell_types is None:
        names, shares = list(MIXED_TYPES), np.array(list(MIXED_TYPES.values()))
        cell_types = rng.choice(names, settings.cells_per_image, p=shares / shares.sum()).tolist()
    types = (*CELL_TYPES, *RARE_TYPES)
    unknown = sorted(set(cell_types) - set(types))
    if unknown:
        raise UserError(f"There is no cell type {unknown[0]!r}; choose from {', '.join(types)}.")
    appearance = appearance or draw_appearance(settings.look, settings.variety, rng)
    layers = HEIGHTS if appearance.height_spread_um > 0 else 1
    edge = settings.image_size_px + 2 * margin_px(settings.cell_diameter_px)
    walls = (
        draw_walls(structure, (edge, edge), settings.cell_diameter_px, rng) if structure else None
    )
    room = walls.room if walls else None
    field = FieldOfView(settings.image_size_px, settings.cell_diameter_px, layers, room)
    placed = [
        name
        for name in cell_types
        if field.place(draw_cell(name, settings.cell_diameter_px, rng), rng)
    ]
    pixel_size_um = NORMAL_DIAMETER_UM / settings.cell_diameter_px
    if walls:
        field.thickness_um[0] += walls.thickness_um
    image = expose(field.thickness_um, pixel_size_um, field.margin_px, appearance, rng)
    if structure and not walls:
        burn_in(structure, image, rng)
    return SimulatedImage(
        image=image,
        xyxy=np.array(field.boxes, dtype=np.float32).reshape(-1, 4),
        cell_type=np.array(placed, dtype=np.str_),
        pixel_size_um=pixel_size_um,
    )


def simulate_cohort(folder: Path, settings: SimulationSettings) -> Generator[Progress, None, None]:
    """Write a cohort, image by image: class/patient/sample/image_01.tif, cohort.csv, truth.csv.

    A patient has a microscope of their own (focus, light, noise, magnification), drawn without
    regard to the class. Adding patients, samples, images or classes changes no other image.

    `cohort.csv` has the columns image, sample, patient, label; `truth.csv` one row a cell: image,
    x_min, y_min, x_max, y_max (pixels), cell_type, altered (1 for the types of the patient's own
    class, else 0). Paths are relative to the folder. The folder may be new, empty, or hold an
    earlier simulation, whose files are then replaced.

    Parameters
    ----------
    folder
        Where the cohort goes.
    settings
        What is simulated.

    Yields
    ------
    Progress
        After each image; `detail` is its path.

    Raises
    ------
    UserError
        If the folder holds something else or cannot be written.
    """
    folder = Path(folder)
    try:
        _make_room(folder, settings)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be emptied of its earlier simulation ({error.strerror or error}); "
            "close what uses its files, or choose a new or an empty folder."
        ) from error
    planned = _plan(settings)
    truth: list[pd.DataFrame] = []
    for done, plan in enumerate(planned, start=1):
        simulated = _simulate_planned(settings, plan)
        _write_image(folder / plan.path, simulated)
        cells = pd.DataFrame(simulated.xyxy.astype(int), columns=_SIDES)
        cells["cell_type"] = simulated.cell_type
        cells["altered"] = np.isin(simulated.cell_type, CLASSES[plan.label]).astype(int)
        cells.insert(0, "image", plan.path)
        truth.append(cells)
        text = f"Drawing image {done} of {len(planned)}"
        yield Progress(done, len(planned), text, folder / plan.path)
    images = [(plan.path, plan.sample, plan.patient, plan.label) for plan in planned]
    _write_csv(folder / "cohort.csv", pd.DataFrame(images, columns=_COHORT_COLUMNS))
    _write_csv(folder / "truth.csv", pd.concat(truth))


@dataclass(frozen=True)
class _PlannedImage:
    """An image of a cohort before it is drawn; `key` is unique among those of one seed."""

    label: ClassName
    patient: str
    sample: str
    path: str
    key: tuple[int, int, int, int]  # class, patient, sample, image


def _plan(settings: SimulationSettings) -> list[_PlannedImage]:
    """List the images of a cohort in the order in which they are written."""
    numbered = product(
        settings.classes,
        range(1, settings.patients_per_class + 1),
        range(1, settings.samples_per_patient + 1),
        range(1, settings.images_per_sample + 1),
    )
    planned = []
    for label, patient, sample, image in numbered:
        person = f"{label}-{patient:02d}"
        path = f"{label}/{person}/{person}-{sample}/image_{image:02d}.tif"
        key = (list(CLASSES).index(label), patient, sample, image)
        planned.append(_PlannedImage(label, person, f"{person}-{sample}", path, key))
    return planned


def _simulate_planned(settings: SimulationSettings, plan: _PlannedImage) -> SimulatedImage:
    """Draw one image of a cohort."""
    diameter_px, appearance = _microscope(settings, plan.key[:2])
    rng = _generator(settings.seed, plan.key)
    appearance = replace(
        appearance,
        defocus_um=appearance.defocus_um + settings.variety * rng.normal(0, 0.3),
        brightness=appearance.brightness * (1 + settings.variety * rng.normal(0, 0.03)),
    )
    count = round(settings.cells_per_image * rng.uniform(0.75, 1.25))
    cell_types = _draw_types(settings, plan.label, count, rng)
    # Not `replace`: the person's bounds hold for the mean, a patient may lie just outside.
    scaled = settings.model_copy(update={"cell_diameter_px": diameter_px})
    return simulate_image(scaled, rng, cell_types, appearance)


def _microscope(
    settings: SimulationSettings, patient_key: tuple[int, ...]
) -> tuple[float, Appearance]:
    """Cell diameter in pixels and appearance of one patient's images: the batch effect."""
    rng = _generator(settings.seed, patient_key)
    magnification = 1 + 0.08 * settings.variety * rng.uniform(-1, 1)
    return settings.cell_diameter_px * magnification, draw_appearance(
        settings.look, settings.variety, rng
    )


def _draw_types(
    settings: SimulationSettings, label: ClassName, count: int, rng: np.random.Generator
) -> list[str]:
    """Draw the types of `count` cells of a patient: normal, odd, or the class's own."""
    types = []
    for chance in rng.random(count):
        if chance < settings.odd_share:
            types.append(str(rng.choice(ODD_TYPES)))
        elif chance < settings.odd_share + settings.altered_share and CLASSES[label]:
            types.append(str(rng.choice(CLASSES[label])))
        else:
            types.append("discocyte")
    return types


def _generator(seed: int, key: tuple[int, ...]) -> np.random.Generator:
    """Return an independent stream of random numbers for every key of a seed."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _make_room(folder: Path, settings: SimulationSettings) -> None:
    """Remove an earlier simulation from the folder and mark it as one; nothing else is touched."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; give a folder to write the simulation to.")
    marker = folder / _MARKER
    if marker.is_file():
        for plan in _plan(_read_marker(marker)):
            image = folder / plan.path
            image.unlink(missing_ok=True)
            for emptied in list(image.relative_to(folder).parents)[:-1]:
                if (folder / emptied).is_dir() and not any((folder / emptied).iterdir()):
                    (folder / emptied).rmdir()
    elif folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise UserError(
            f"{folder} is not empty and holds no simulation; choose a new or an empty folder."
        )
    for name in ("cohort.csv", "truth.csv"):
        (folder / name).unlink(missing_ok=True)
    write_json(marker, {"format": _FORMAT, "settings": settings.model_dump()})


def _read_marker(marker: Path) -> SimulationSettings:
    """Read the settings of the simulation that a folder holds."""
    try:
        content = json.loads(marker.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise ValueError(content["format"])
        return SimulationSettings(**content["settings"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UserError(
            f"{marker} is damaged or of another version; choose a new or an empty folder."
        ) from error


def _write_image(path: Path, simulated: SimulatedImage) -> None:
    """Write a deflated TIFF that knows its pixel size."""
    pixels_per_cm = 1e4 / simulated.pixel_size_um
    with write_atomically(path) as temporary:
        tifffile.imwrite(
            temporary,
            simulated.image,
            photometric="minisblack",
            compression="zlib",
            resolution=(pixels_per_cm, pixels_per_cm),
            resolutionunit="CENTIMETER",
            metadata=None,
        )


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    with write_atomically(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
