"""What some work will take, said before it starts, and how many workers pay for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from napari_attmil.core import TRAINING, Workers, chosen_workers, counted, note_pace, seconds_for

if TYPE_CHECKING:
    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.settings import MILSettings

CELL_BYTES: Final = 1024
"""Memory of a training for each cell: 256 principal components in float32."""


@dataclass(frozen=True)
class Plan:
    """What trainings will take.

    Attributes
    ----------
    cells, bytes_of_features
        Of all samples.
    units
        Cells, times the passes of all trainings over them.
    kind, device_name
        Of what it is the pace that counts, and where.
    workers
        Who trains.
    jobs
        How many of the trainings' parts can be done at once.
    """

    cells: int
    bytes_of_features: int
    units: float
    kind: str
    device_name: str
    workers: Workers
    jobs: int

    @classmethod
    def of(
        cls,
        bags: Sequence[Bag],
        settings: MILSettings,
        passes: float,
        jobs: int,
        device_name: str,
        workers: Workers | None,
    ) -> Self:
        """Plan trainings.

        Parameters
        ----------
        bags
            All samples.
        settings
            Of the trainings.
        passes
            How often all of them together go through all samples, at most.
        jobs
            How many parts of them can be done at once.
        device_name
            Where they compute.
        workers
            Who does them; as many workers as pay if None.
        """
        cells = sum(len(bag) for bag in bags)
        kind = TRAINING.format("rows" if settings.takes_rows else "maps")
        units = cells * passes
        seconds = seconds_for(kind, units, device_name)
        chosen = chosen_workers(workers, seconds, device_name, cells * CELL_BYTES)
        size = sum(bag.features.nbytes for bag in bags)
        return cls(cells, size, units, kind, device_name, chosen, jobs)

    @property
    def at_once(self) -> int:
        """How many workers have something to do."""
        return max(1, min(self.workers.number, self.jobs))

    @property
    def seconds(self) -> float:
        """How long it will take, about: less where trainings stop before their last pass."""
        return seconds_for(self.kind, self.units, self.device_name) / self.at_once

    def in_words(self) -> str:
        """Return "84,000 cells, 0.52 GB of features, about 12 minutes on 2 workers."."""
        where = counted(self.at_once, "worker")
        size = f"{self.bytes_of_features / 1e9:.2g} GB of features"
        return f"{self.cells:,} cells, {size}, {_about(self.seconds)} on {where}."

    def note(self, seconds: float, share: float = 1) -> None:
        """Keep how long a share of the work has taken."""
        note_pace(self.kind, self.units * share, seconds, self.device_name, self.workers, self.jobs)


def _about(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 1:
        return "less than a minute"
    if minutes < 90:
        return f"about {counted(round(minutes), 'minute')}"
    return f"about {counted(round(minutes / 60), 'hour')}"
