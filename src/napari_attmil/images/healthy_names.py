"""Which of a cohort's classes is that of the healthy samples, by its name.

A wrong guess would reverse a comparison, so there is none if names leave a doubt: a name has to say
healthy, and must not say the opposite ("positive control", "not normal", "Rh negative").
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

REFERENCE_NAMES: Final = (
    *("healthy", "control", "controls", "normal", "reference", "negative", "uninfected"),
    *("unaffected", "untreated", "ctrl", "kontrolle", "gesund"),
)
"""Names for the class of healthy samples, in order of preference; case is ignored."""

_HEALTHY: Final = rf"(?:{'|'.join(REFERENCE_NAMES)})"
_NOTHING_ELSE: Final = re.compile(
    rf"(?:(?:{_HEALTHY}|donors?|samples?|groups?|class|subjects?|people|persons?|individuals?|"
    r"volunteers?|rbcs?|cells?|blood|[0-9]+) ?)+"
)
_UNHARMED: Final = re.compile(r"\b(?:non|not|un) ?(treated|infected|affected)\b")
_HEALTHY_PATIENT: Final = re.compile(
    r"\b(healthy|controls?|normal|uninfected|unaffected|gesund) patients?\b"
)
"""Whoever is examined is a patient, but one that is untreated or negative may have the disease."""
_OPPOSITE: Final = re.compile(
    rf"\b(?:non|no|un|ab|sub) ?{_HEALTHY}\b"
    rf"|\b(?:not|nicht|near|nearly|almost|pseudo)\b.*\b{_HEALTHY}\b"
    r"|\b(?:positive?|pos|diseased?|infected|affected|treated|patients?|sick|ill|krank|like)\b"
    r"|\b(?:rh|rhd|rhesus)\b"  # a blood group's "negative"
)


def healthy_name(classes: Sequence[str]) -> str | None:
    """Return the class whose name says that its samples are healthy; None if that is unclear.

    Of several such names, one that says nothing else is preferred ("healthy donors" to "normal,
    aged"); of several of these, the first in the order of `REFERENCE_NAMES`.
    """
    ranks = {name: _rank(text) for name, text in zip(classes, map(_plain, classes), strict=True)}
    fitting = [name for name, rank in ranks.items() if rank < len(REFERENCE_NAMES)]
    if len(fitting) > 1:
        fitting = [name for name in fitting if _NOTHING_ELSE.fullmatch(_plain(name))]
        first = min((ranks[name] for name in fitting), default=0)
        fitting = [name for name in fitting if ranks[name] == first]
    return fitting[0] if len(fitting) == 1 else None


def _plain(name: str) -> str:
    """Return a name's words in lower case, with one way to say untreated and healthy patients."""
    words = " ".join(re.findall(r"[^\W_]+", name.casefold()))
    return _HEALTHY_PATIENT.sub(r"\1", _UNHARMED.sub(r"un\1", words))


def _rank(text: str) -> int:
    """Return the place of its first word in `REFERENCE_NAMES`, their number if it has none."""
    words = [] if _OPPOSITE.search(text) else text.split()
    places = [place for place, name in enumerate(REFERENCE_NAMES) if name in words]
    return min(places, default=len(REFERENCE_NAMES))
