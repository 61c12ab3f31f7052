"""Labels as people write them: which mean a class, and which that none is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from napari_attmil.core import counted

NO_CLASS = frozenset({"", "-", "?", "??", "na", "n/a", "#n/a", "nan", "none", "null", "unknown"})
"""Labels that mean no class, in any case."""


def known_label(text: str) -> str | None:
    """Return a class, None where the text says that it is not known: NA, n/a, unknown, ?."""
    stripped = text.strip()
    return None if stripped.casefold() in NO_CLASS else stripped


def notes_on_labels(labels: Sequence[str]) -> Iterator[str]:
    """Yield sentences on samples' labels that mean no class, or differ in case only."""
    unknown = Counter(label for label in labels if label and known_label(label) is None)
    for label, count in unknown.items():
        samples = counted(count, "sample")
        yield f"{label!r} was taken to mean that the class is not known: {samples}."
    by_lower_case: dict[str, str] = {}
    for label in dict.fromkeys(filter(known_label, labels)):
        other = by_lower_case.setdefault(label.casefold(), label)
        if other != label:
            yield f"Labels {other!r} and {label!r} differ in case only; they are two classes."
