"""Teaching rounds: cells marked by students, and their agreement with a model or an expert."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from napari_attmil.core import Remedy, UserError

FILE_NAME: Final = "teaching.jsonl"
"""Name of the file beside the cohort."""


@dataclass(frozen=True)
class Agreement:
    """The agreement of a student's choice of cells with a reference.

    Attributes
    ----------
    both, only_marked, only_reference, neither
        Numbers of cells chosen by both, by the student only, by the reference only, and by neither.
    """

    both: int
    only_marked: int
    only_reference: int
    neither: int

    @property
    def precision(self) -> float | None:
        """Share of the student's cells that the reference contains; None if none was marked."""
        marked = self.both + self.only_marked
        return self.both / marked if marked else None

    @property
    def recall(self) -> float | None:
        """Share of the reference's cells that the student found; None if it has none."""
        wanted = self.both + self.only_reference
        return self.both / wanted if wanted else None

    @property
    def kappa(self) -> float | None:
        """Agreement beyond chance (Cohen 1960): 1 is perfect, 0 is chance.

        None if both chose all cells or both none.
        """
        cells = self.both + self.only_marked + self.only_reference + self.neither
        marked, wanted = self.both + self.only_marked, self.both + self.only_reference
        # Counts instead of shares, so that perfect agreement by chance is recognised exactly.
        chance = marked * wanted + (cells - marked) * (cells - wanted)
        if chance == cells**2:
            return None
        return ((self.both + self.neither) * cells - chance) / (cells**2 - chance)


def agreement(shown: Iterable[int], marked: Iterable[int], reference: Iterable[int]) -> Agreement:
    """Return how a student's cells agree with the model's or an expert's.

    Parameters
    ----------
    shown
        cell_id of all cells that could be chosen.
    marked, reference
        cell_id of the chosen cells. Cells that were not shown are ignored.
    """
    cells = set(shown)
    chosen, wanted = cells & set(marked), cells & set(reference)
    both = len(chosen & wanted)
    only_marked, only_reference = len(chosen) - both, len(wanted) - both
    neither = len(cells) - both - only_marked - only_reference
    return Agreement(both, only_marked, only_reference, neither)


@dataclass(frozen=True)
class TeachingRound:
    """The cells that one person marked in one sample.

    Attributes
    ----------
    person, sample
        Names.
    shown, marked
        cell_id of the cells that could be chosen, and of those that were.
    model
        cell_id of the model's highest cells at that time.
    expert
        cell_id of an expert's choice at that time; None if there was none.
    time
        ISO 8601 in UTC; see `now`.
    is_expert
        Whether this round is the reference for later students.
    """

    person: str
    sample: str
    shown: tuple[int, ...]
    marked: tuple[int, ...]
    model: tuple[int, ...]
    expert: tuple[int, ...] | None
    time: str
    is_expert: bool = False

    @property
    def with_model(self) -> Agreement:
        """How the student agrees with the model."""
        return agreement(self.shown, self.marked, self.model)

    @property
    def with_expert(self) -> Agreement | None:
        """How the student agrees with the expert."""
        return None if self.expert is None else agreement(self.shown, self.marked, self.expert)


def now() -> str:
    """Return the current time in the format of a round."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def keep_round(path: Path, teaching_round: TeachingRound) -> None:
    """Append a round to a file of JSON lines.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    line = json.dumps(asdict(teaching_round), ensure_ascii=False).encode() + b"\n"
    try:
        with path.open("a+b") as file:
            # The last line may be incomplete, for instance after a power cut.
            if file.tell() and not _ends_a_line(file):
                line = b"\n" + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(
            f"The round cannot be saved in {path} ({error.strerror}); make room or permit writing "
            "there, and finish the round again."
        ) from error


def read_rounds(path: Path) -> tuple[list[TeachingRound], int]:
    """Return the rounds of a file, oldest first, and how many of its lines cannot be read.

    A missing file has none.

    Raises
    ------
    UserError
        If the file exists but cannot be read.
    """
    if not path.is_file():
        return [], 0
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"The rounds in {path} cannot be read ({error.strerror}); permit reading there, or "
            "close what uses the file.",
            Remedy.TRY_AGAIN,
        ) from error
    lines = [line for line in content.splitlines() if line.strip()]
    rounds = [parsed for parsed in map(_round, lines) if parsed is not None]
    return rounds, len(lines) - len(rounds)


def expert_of(rounds: Iterable[TeachingRound], sample: str) -> TeachingRound | None:
    """Return the latest round of an expert for a sample, or None."""
    experts = [each for each in rounds if each.is_expert and each.sample == sample]
    return experts[-1] if experts else None


def _ends_a_line(file: Any) -> bool:
    file.seek(-1, os.SEEK_END)
    return bool(file.read(1) == b"\n")


def _round(line: bytes) -> TeachingRound | None:
    """Return the round of a line; None if the line is incomplete or of another kind."""
    try:
        values = json.loads(line)
        for name in ("shown", "marked", "model", "expert"):
            if values[name] is not None or name != "expert":
                values[name] = tuple(int(cell) for cell in values[name])
        return TeachingRound(**values)
    except (ValueError, TypeError, KeyError):
        return None
