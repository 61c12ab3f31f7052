"""What changes the vector of a cell: turning, mirroring, light and focus, or being another cell.

    python benchmarks/encoder.py [--fields 12] [--out encoder.json]

Simulated unstained fields of fresh seeds, each photographed twice. A figure is the mean cosine of
two vectors, after the mean of all vectors is subtracted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from reporting import parser, report

from napari_attmil.cells.encoding import CellEncoder
from napari_attmil.core import choose_device
from napari_attmil.simulation import SimulationSettings, draw_appearance, simulate_image
from napari_attmil.simulation.cell_shapes import CELL_TYPES

if TYPE_CHECKING:
    import numpy.typing as npt

SIDE_PX = 480
SETTINGS = SimulationSettings(image_size_px=SIDE_PX, cell_diameter_px=44)
FIRST_SEED = 1_000_000
"""Beyond those of any training."""


def looks_at(encoder: CellEncoder, seed: int) -> dict[str, npt.NDArray[Any]]:
    """Return the vectors of one field's cells as they are and changed, and their types."""
    rng = np.random.default_rng(seed)
    types = rng.choice(CELL_TYPES, 30).tolist()
    appearances = [replace(draw_appearance("unstained", 1.0, rng), height_spread_um=0.0)] * 2
    appearances[1] = replace(
        appearances[0], defocus_um=appearances[0].defocus_um * float(rng.uniform(0.6, 1.6))
    )
    appearances.append(replace(draw_appearance("unstained", 1.0, rng), height_spread_um=0.0))
    fields = [
        simulate_image(SETTINGS, np.random.default_rng([seed, 1]), types, appearance)
        for appearance in appearances
    ]
    image, xyxy = fields[0].image, fields[0].xyxy
    x_min, y_min, x_max, y_max = xyxy.T
    turned = np.stack([y_min, SIDE_PX - x_max, y_max, SIDE_PX - x_min], axis=1)
    mirrored = np.stack([SIDE_PX - x_max, y_min, SIDE_PX - x_min, y_max], axis=1)
    vectors = {
        "as it is": encoder.encode(image, xyxy),
        "turned": encoder.encode(np.rot90(image), turned),
        "mirrored": encoder.encode(image[:, ::-1], mirrored),
        "refocused": encoder.encode(fields[1].image, xyxy),
        "under another microscope": encoder.encode(fields[2].image, xyxy),
    }
    exact = {name: value.astype(np.float64) for name, value in vectors.items()}
    return {**exact, "type": fields[0].cell_type}


def mean_cosine(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    """Return the mean cosine of the rows of two arrays."""
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return float(((first * second).sum(1) / lengths).mean())


def main() -> None:
    """Compare each cell with itself after each change, and with cells of its type and of others."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--fields", type=int, default=12)
    options = arguments.parse_args()
    encoder = CellEncoder.load(None, choose_device(options.device))
    fields = [looks_at(encoder, FIRST_SEED + number) for number in range(options.fields)]
    joined = {name: np.concatenate([field[name] for field in fields]) for name in fields[0]}
    types = joined.pop("type")
    middle = joined["as it is"].mean(0)
    plain = joined.pop("as it is") - middle
    rows = [
        {"compared with": f"the cell {name}", "cosine": mean_cosine(plain, vectors - middle)}
        for name, vectors in joined.items()
    ]
    first, second = np.triu_indices(len(plain), 1)
    alike = types[first] == types[second]
    for title, chosen in {
        "another cell of its type": alike,
        "a cell of another type": ~alike,
    }.items():
        cosine = mean_cosine(plain[first[chosen]], plain[second[chosen]])
        rows.append({"compared with": title, "cosine": cosine})
    report(f"Vectors of {len(plain)} simulated unstained cells", rows, options.out)


if __name__ == "__main__":
    main()
