"""What the axes of an image layer hold: its images, a course over time, or planes of one image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

from napari_attmil.core import UserError, counted
from napari_attmil.images import letters_along

COURSES = ("t", "time", "times", "timepoint", "timepoints", "time point")
CHANNELS = ("c", "ch", "channel", "channels", "wavelength")
PLANES = ("z", "depth", "focus", "plane", "planes", "z-stack")

Place = tuple[int, ...]
"""Where something lies along the leading axes, in steps of the data."""

_NAMES_OF_LETTERS: Final = {"P": "position", "T": "t", "C": "c", "Z": "z"}
_LETTERS: Final[WeakKeyDictionary[Any, tuple[Place, str]]] = WeakKeyDictionary()
"""Of layers without labels: a layer stays what its file was when it was read."""


@dataclass(frozen=True)
class LayerAxes:
    """The leading axes of an image layer: all but rows, columns and colours.

    Time points of one place show the same cells, as planes and channels do, so that they are no
    further images. An axis is known by its label, or where there are none by the file that the
    layer was read from; without either the first one holds the images.

    Attributes
    ----------
    names
        Of each, as a person is told of it: "z", "axis 1".
    sizes
        Number of steps of each.
    images
        Which of them holds the images, from 0; None if the layer has one image.
    courses
        Those along which other images are shown, each with boxes of its own: time.
    planes
        Those along which the same cells are looked at: focal planes, channels, all others.
    channels
        Those of the planes that are channels.
    """

    names: tuple[str, ...] = ()
    sizes: Place = ()
    images: int | None = None
    courses: Place = ()
    planes: Place = ()
    channels: Place = ()

    @classmethod
    def of(cls, layer: Any) -> LayerAxes:
        """Return what the axes of a layer hold, by their labels, else by the layer's file."""
        count = layer.ndim - 2
        shape = (layer.data[0] if layer.multiscale else layer.data).shape
        names = [str(label) for label in layer.axis_labels[:count]]
        if not any(map(_is_name, names)):
            names = list(_names_by_file(layer, tuple(map(int, shape[:count])))) or names
        labels = [name.strip().lower() for name in names]
        has_name = list(map(_is_name, names))
        told = [name if has_name[axis] else f"axis {name}" for axis, name in enumerate(names)]
        courses = tuple(axis for axis in range(count) if labels[axis] in COURSES)
        channels = tuple(axis for axis in range(count) if labels[axis] in CHANNELS)
        others = [
            axis
            for axis in range(count)
            if axis not in (*courses, *channels) and labels[axis] not in PLANES
        ]
        # A label that says something else ("position") comes before none.
        images = next((axis for axis in others if has_name[axis]), next(iter(others), None))
        return cls(
            tuple(told),
            tuple(int(size) for size in shape[:count]),
            images,
            courses,
            tuple(axis for axis in range(count) if axis not in courses and axis != images),
            channels,
        )

    @property
    def ndim(self) -> int:
        """Number of axes without colours."""
        return len(self.sizes) + 2

    @property
    def count(self) -> int:
        """Number of images at one place."""
        return 1 if self.images is None else self.sizes[self.images]

    def at(self, image_index: int, place: Place) -> Place:
        """Return where an image lies, with the other axes where `place` says."""
        return tuple(
            image_index if axis == self.images else step for axis, step in enumerate(place)
        )

    def course(self, place: Place) -> Place:
        """Return at which steps of the courses a place lies."""
        return tuple(place[axis] for axis in self.courses)

    def page(self, image_index: int, place: Place) -> int:
        """Return the number of an image's first plane among all planes, channels not counted."""
        page = 0
        for axis, step in enumerate(self.at(image_index, place)):
            if axis not in self.channels:
                page = page * self.sizes[axis] + (0 if axis in self.planes else step)
        return page

    def course_in_words(self, place: Place) -> str:
        """Return which time point a place is: "t 3 of 10"; empty without a course."""
        steps = (
            f"{self.names[axis]} {place[axis] + 1} of {self.sizes[axis]}" for axis in self.courses
        )
        return ", ".join(steps)

    def in_words(self) -> str:
        """Return what is assumed of the axes; empty for an image or a plain stack."""
        sentences = [*self._of_images(), *self._of_courses(), *self._of_planes()]
        if len(self.sizes) < 2 and self.images is not None:
            return ""
        return " ".join(sentences)

    def _of_images(self) -> Iterator[str]:
        if self.images is not None:
            images = counted(self.count, "image")
            yield f"{_listed(self.names, [self.images])} holds the {images}."

    def _of_courses(self) -> Iterator[str]:
        if self.courses:
            yield (
                f"Along {_listed(self.names, self.courses)} each step has boxes of its own and is "
                "classified by itself."
            )

    def _of_planes(self) -> Iterator[str]:
        if self.planes:
            yield (
                f"Along {_listed(self.names, self.planes)} the same cells are shown; what the "
                "slider shows is searched."
            )


def check_axes(layer: Any) -> None:
    """Refuse a layer whose last axes are, by their labels, no rows and columns.

    Raises
    ------
    UserError
        If there are planes, channels or time points along them.
    """
    last = [str(label) for label in layer.axis_labels[-2:]]
    odd = [label for label in last if label.strip().lower() in (*COURSES, *CHANNELS, *PLANES)]
    if odd:
        raise UserError(
            f"The last axes of the layer '{layer.name}' are '{last[0]}' and '{last[1]}', but rows "
            f"and columns are needed there; add it again with the axis '{odd[0]}' before them."
        )


def _is_name(label: str) -> bool:
    """Return whether a label is one that somebody gave: napari's own are numbers."""
    return label.strip() != "" and not label.strip().lstrip("-").isdigit()


def _names_by_file(layer: Any, sizes: Place) -> Iterator[str]:
    """Yield names of the leading axes of a layer, as its file tells them; none if it does not."""
    known_sizes, letters = _LETTERS.get(layer, ((), ""))
    if known_sizes != sizes:
        path = _path_of(layer)
        letters = letters_along(Path(path), sizes) if path else ""
        _LETTERS[layer] = sizes, letters
    for axis, letter in enumerate(letters, start=-2 - len(sizes)):
        yield _NAMES_OF_LETTERS.get(letter, str(axis))


def _path_of(layer: Any) -> str | None:
    """Return the file that a layer was read from, or the layer that it is a copy of."""
    while layer is not None:
        if layer.source.path:
            return str(layer.source.path)
        layer = layer.source.parent() if layer.source.parent else None
    return None


def _listed(names: Sequence[str], axes: Sequence[int]) -> str:
    """Return the names of some axes: "z and c"."""
    return " and ".join(f"'{names[axis]}'" for axis in axes)
