"""Images of a study found by what other programs call them."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

from napari_attmil.images.formats import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_attmil.images import Sample

    Place = tuple[Sample, int]

_SUFFIXES: Final = frozenset((*IMAGE_SUFFIXES, ".gif", ".jp2", ".webp"))
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # Label Studio's prefix of an uploaded file's name
_ROBOFLOW = re.compile(r"^(.+)_(jpe?g|png|bmp|tiff?)\.rf\.[^.]+$", re.IGNORECASE)
_GENERIC: Final = frozenset(
    ("images", "labels", "masks", "annotations", "train", "val", "valid", "validation", "test")
)
"""Folders that programs put around images, which say nothing about which image it is."""
_MOST_FOLDERS: Final = 6
"""A name is compared by so many of its folders."""


class Match(NamedTuple):
    """What was found for a name.

    Attributes
    ----------
    places
        Every sample and position that fits equally well; ideally one.
    looseness
        0 if the name is the image's own, more the less alike they are.
    shared
        How many folders the two paths share, counted from the image.
    """

    places: Sequence[Place] = ()
    looseness: int = 0
    shared: int = 0

    @property
    def rank(self) -> tuple[int, int]:
        """Sorts the best match first."""
        return (self.looseness, -self.shared)


class ImageNames:
    """Finds images by name: exactly, else in looser ways, each only where one image fits.

    The ways are, in turn: as written; Unicode's composed form; percent-encoding undone; upper and
    lower case alike; letters and digits only.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._paths = [
            (frame.path.as_posix(), frame.page, (sample, index))
            for sample in samples
            for index, frame in enumerate(sample.frames)
        ]
        self._by_way: dict[int, dict[tuple[int, str], list[Place]]] = {}

    def find(self, name: str, page: int = 0) -> Match:
        """Return the images that a name fits best; several if it fits them equally well."""
        best = Match()
        variants = list(_variants(name.replace("\\", "/")))
        for number, variant in enumerate(variants):
            for way in range(len(_WAYS)):
                match = self._search(variant, page, way)
                if len(match.places) == 1:
                    return match._replace(looseness=number * len(_WAYS) + way)
                best = best if best.places else match
        return best

    def _search(self, name: str, page: int, way: int) -> Match:
        """Return the images whose path shares most folders with a name, the suffix if it can be."""
        parts = _parts(name, _WAYS[way])
        index = self._index(way)
        found = [Match()]
        for file in dict.fromkeys((parts[-1], _stem(parts[-1]))):
            for shared in range(min(len(parts) - 1, _MOST_FOLDERS), -1, -1):
                key = "/".join([*parts[len(parts) - 1 - shared : -1], file])
                if places := index.get((page, key)):
                    found.append(Match(places, 0, shared))
                    break
        return max(found, key=lambda match: (bool(match.places), match.shared))

    def _index(self, way: int) -> dict[tuple[int, str], list[Place]]:
        """Return the images by page and by each end of their path, with and without suffix."""
        if way not in self._by_way:
            index: dict[tuple[int, str], list[Place]] = defaultdict(list)
            for path, page, place in self._paths:
                *folders, file = _parts(path, _WAYS[way])
                folders = folders[max(0, len(folders) - _MOST_FOLDERS) :]
                for name in dict.fromkeys((file, _stem(file))):
                    for first in range(len(folders), -1, -1):
                        index[page, "/".join([*folders[first:], name])].append(place)
            self._by_way[way] = dict(index)
        return self._by_way[way]


def same_image(name: str, other: str) -> bool:
    """Tell whether two names are of one image; one may lack the suffix, or the first folders."""
    parts = [_parts(_stem(each.replace("\\", "/")), _composed) for each in (name, other)]
    shared = min(map(len, parts))
    return parts[0][-shared:] == parts[1][-shared:]


def _parts(path: str, way: Callable[[str], str]) -> list[str]:
    """Return a path's parts in one way of writing; generic folders are left out."""
    *folders, file = [part for part in path.split("/") if part] or [""]
    stem = _stem(file)
    # The suffix stays apart: letters and digits alone would join it to the name.
    written = way(file) if stem == file else f"{way(stem)}.{file.rpartition('.')[2].casefold()}"
    return [*(way(each) for each in folders if each.casefold() not in _GENERIC), written]


def _stem(file: str) -> str:
    """Return a name without a picture's suffix; other dots belong to the name."""
    stem, _, suffix = file.rpartition(".")
    return stem if stem and f".{suffix.casefold()}" in _SUFFIXES else file


def _variants(name: str) -> Iterator[str]:
    """Yield a name, and what it was if Label Studio or Roboflow renamed the image."""
    yield name
    folder, slash, file = name.rpartition("/")
    if _UPLOADED.match(file):
        yield folder + slash + _UPLOADED.sub("", file)
    if found := _ROBOFLOW.match(_stem(file)) or _ROBOFLOW.match(file):
        yield f"{found[1]}.{found[2]}"


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _unquoted(text: str) -> str:
    return _composed(unquote(text))


def _folded(text: str) -> str:
    return _composed(_unquoted(text).casefold())


def _letters_and_digits(text: str) -> str:
    """Return letters and digits only; numbers stay apart, as 1_2 is not 12."""
    words = re.findall(r"\d+|[^\W\d_]+", _folded(text))
    pairs = zip(["", *words], words, strict=False)
    return "".join(" " * (a[-1:].isdigit() and b.isdigit()) + b for a, b in pairs) or text


_WAYS: Final[tuple[Callable[[str], str], ...]] = (
    str,
    _composed,
    _unquoted,
    _folded,
    _letters_and_digits,
)
