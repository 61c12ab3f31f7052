"""Which planes are looked at: z-stacks, films and channels show the same cells again.

`fields_of` is the rule, a pure function; `with_planes` applies it to samples.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from napari_attmil.core import Progress, Remedy, StageRun, UserError, counted
from napari_attmil.images.cohort import Frame
from napari_attmil.images.formats import (
    PROJECTIONS,
    file_header,
    page_of_projection,
    transmitted_channel,
)
from napari_attmil.images.plane_choice import PlanesInUse
from napari_attmil.images.sharpness import bright_field_channel, sharpest_pages

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from pathlib import Path

    from napari_attmil.images.cohort import Cohort, Sample
    from napari_attmil.images.formats import Axes
    from napari_attmil.images.plane_choice import PlaneChoice

_HOW: Final = "Change it with --z, --time and --channel, or in the panel under Planes."


def fields_of(axes: Axes, choice: PlaneChoice, channel: int = 0) -> tuple[tuple[int, ...], ...]:
    """Return of which pages each field may be made: the planes in z of one place and time.

    Parameters
    ----------
    axes
        Of one file.
    choice
        A chosen number, the middle or all leave one page a field; the sharpest page has still to be
        found, and a projection to be made of all.
    channel
        The one that is looked at, from 0, where a place has several.

    Raises
    ------
    UserError
        If there are fewer planes or time points than the number that was chosen, or a place has
        several channels, but not this one.
    """
    stacks: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
    channels: dict[int, set[int]] = defaultdict(set)
    for one in filter(None, axes.positions):
        channels[one.place].add(one.channel)
    for place, own in channels.items():
        if len(own) > 1 and channel not in own:
            raise UserError(
                f"Place {place + 1} of a file has several channels, but not channel {channel + 1}; "
                "choose one that all places have.",
                Remedy.OPEN_IMAGES,
            )
    for page, position in enumerate(axes.positions):
        if position is not None and position.channel in (channel, *_only(channels[position.place])):
            stacks[position.place, position.time].setdefault(position.z, page)
    times: dict[int, list[int]] = defaultdict(list)
    for place, time in stacks:
        times[place].append(time)
    chosen = [
        [page for _, page in sorted(stacks[place, time].items())]
        for place, of_place in times.items()
        for time in _chosen(sorted(of_place), choice.time, "time point")
    ]
    if choice.z == "all":
        return tuple((page,) for stack in chosen for page in stack)
    return tuple(tuple(_chosen(stack, choice.z, "plane in z")) for stack in chosen)


def _only(values: set[int]) -> set[int]:
    """Return the value of a set that has one; else nothing."""
    return values if len(values) == 1 else set()


def _chosen(values: Sequence[int], choice: str, thing: str) -> Sequence[int]:
    """Return the values that a choice leaves; the only one stays whatever is chosen."""
    if len(values) == 1 or choice in ("all", "sharpest", *PROJECTIONS):
        return values
    number = {"first": 1, "middle": (len(values) + 1) // 2}.get(choice) or int(choice)
    if number > len(values):
        raise UserError(
            f"{thing.capitalize()} {number} was chosen, but an image has only {len(values)}; "
            f"choose 1 to {len(values)}.",
            Remedy.OPEN_IMAGES,
        )
    return values[number - 1 : number]


def cohort_with_planes(cohort: Cohort, choice: PlaneChoice) -> Generator[Progress, None, Cohort]:
    """Return a cohort with its samples' fields by a choice; its notes say what is looked at."""
    samples, planes = yield from with_planes(cohort.samples, choice)
    before = () if cohort.planes is None else (cohort.planes.text,)
    notes = tuple(note for note in cohort.notes if note not in before)
    told = ("" if planes is None else planes.text, left_out_in_words(samples))
    notes = tuple(dict.fromkeys((*notes, *filter(None, told))))
    return replace(cohort, samples=samples, planes=planes, notes=notes)


def left_out_in_words(samples: Iterable[Sample]) -> str:
    """Say what in the files of samples is no field of view, or no new one; mostly empty."""
    files = dict.fromkeys(frame.path for sample in samples for frame in sample.frames)
    axes = {path: file_header(path).axes for path in files}
    parts = [own.left_out for own in axes.values() if own.left_out]
    listed = ", ".join(dict.fromkeys(part for own in parts for part in own))
    later = [path.name for path, own in axes.items() if own.begins_later]
    told = [f"No fields of view in {counted(len(parts), 'file')}: {listed}."] * bool(parts)
    if later:
        told.append(
            "Later planes or time points of what other files begin in "
            f"{counted(len(later), 'file')} ({later[0]}): each counts as a field; join such files "
            "into one, or leave them out."
        )
    return " ".join(told)


def with_planes(
    samples: Sequence[Sample], choice: PlaneChoice
) -> Generator[Progress, None, tuple[tuple[Sample, ...], PlanesInUse | None]]:
    """Return samples with their fields by a choice, and what is in use where there is one to make.

    Pixels are read only to find the sharpest plane, or the channel that looks like bright field.

    Raises
    ------
    UserError
        If a file cannot be read or does not have what was chosen.
    """
    files = list(dict.fromkeys(frame.path for sample in samples for frame in sample.frames))
    frames: dict[Path, tuple[Frame, ...]] = {}
    for number, path in enumerate(files):
        text = f"Looking for the sharpest planes: {path.name}"
        steps = StageRun(frames_by_choice(path, choice))
        for _ in steps:
            yield Progress(number, len(files), text)
        frames[path] = steps.result
    chosen = tuple(
        replace(
            sample,
            frames=tuple(
                own
                for path in dict.fromkeys(frame.path for frame in sample.frames)
                for own in frames[path]
            ),
        )
        for sample in samples
    )
    return chosen, _in_use(files, choice)


def frames_by_choice(path: Path, choice: PlaneChoice) -> Generator[int, None, tuple[Frame, ...]]:
    """Return the fields of a file; see `with_planes`."""
    axes = file_header(path).axes
    stacks = fields_of(axes, choice, _channel(path, choice))
    several = [stack for stack in stacks if len(stack) > 1]
    if choice.z == "sharpest" and several:
        found = iter((yield from sharpest_pages(path, several)))
        pages = [stack[0] if len(stack) == 1 else next(found) for stack in stacks]
    else:
        pages = [
            stack[0] if len(stack) == 1 else page_of_projection(stack[0], choice.z)
            for stack in stacks
        ]
    return tuple(Frame(path, page) for page in pages)


def page_between_channels(path: Path, place: int, time: int) -> int | None:
    """Return the first page of a place and time, from 0, in a file whose pages are channels too.

    None where a file has one channel, cannot be read here, or has no such place or time.
    """
    with suppress(UserError):
        axes = file_header(path).axes
        if axes.sizes["C"] > 1:
            places = enumerate(axes.positions)
            return next(
                (n for n, at in places if at and (at.place, at.time) == (place, time)), None
            )
    return None


def letters_along(path: Path, sizes: Sequence[int]) -> str:
    """Return what lies along each leading axis of an array that was read from a file.

    Parameters
    ----------
    path
        An image file, or a folder that is one image.
    sizes
        Of all axes of the array but rows, columns and colours.

    Returns
    -------
    str
        A letter each: P (places), T, C, Z; "-" for an axis of one step. Empty where the file has
        no axes, cannot be read here, or has others.
    """
    with suppress(UserError):
        axes = file_header(path).stated_axes
        return axes.letters_along(sizes) if axes else ""
    return ""


def _channel(path: Path, choice: PlaneChoice) -> int:
    """Return the channel of a file that is looked at, from 0."""
    axes = file_header(path).axes
    count = axes.sizes["C"]
    if count < 2:
        return 0
    if choice.channel == "auto":
        named = transmitted_channel(axes.channels[:count])
        return bright_field_channel(path) if named is None else named
    is_number = choice.channel.isascii() and choice.channel.isdigit()
    number = int(choice.channel) - 1 if is_number else count
    if number >= count:  # "488" may be the name of a channel
        wanted = choice.channel.casefold()
        names = [name.casefold() for name in axes.channels[:count]]
        number = next((n for n, name in enumerate(names) if wanted in name), count)
    if number >= count:
        raise UserError(
            f"Channel {choice.channel!r} was chosen, but '{path.name}' has {_listed(path)}; "
            "choose one of these by its number or name.",
            Remedy.OPEN_IMAGES,
        )
    return number


def _listed(path: Path) -> str:
    return ", ".join(f"{number} ({name})" if name else str(number) for number, name in _names(path))


def _names(path: Path) -> list[tuple[int, str]]:
    axes = file_header(path).axes
    names = (*axes.channels, *("",) * axes.sizes["C"])
    return list(enumerate(names[: axes.sizes["C"]], start=1))


def _in_use(files: Iterable[Path], choice: PlaneChoice) -> PlanesInUse | None:
    """Say what is looked at; None where no file leaves a choice."""
    several = [path for path in files if _leaves_choice(path)]
    if not several:
        return None
    sizes = [file_header(path).axes.sizes for path in several]
    many = max(several, key=lambda path: file_header(path).axes.sizes["C"])
    channels = tuple(name or str(number) for number, name in _names(many))
    parts = [
        _z_in_words(choice.z, [size["Z"] for size in sizes]),
        _time_in_words(choice.time, [size["T"] for size in sizes]),
        _channel_in_words(several, choice),
    ]
    return PlanesInUse(
        choice,
        max(size["Z"] for size in sizes),
        max(size["T"] for size in sizes),
        channels if len(channels) > 1 else (),
        f"Looked at in {counted(len(several), 'file')}: {', '.join(filter(None, parts))}. {_HOW}",
    )


def _leaves_choice(path: Path) -> bool:
    sizes = file_header(path).axes.sizes
    return max(sizes["T"], sizes["C"], sizes["Z"]) > 1


def _span(sizes: Sequence[int]) -> str:
    several = [size for size in sizes if size > 1]
    low, high = min(several, default=1), max(several, default=1)
    return str(high) if low == high else f"{low} to {high}"


def _z_in_words(z: str, sizes: Sequence[int]) -> str:
    if max(sizes) == 1:
        return ""
    of = f"{_span(sizes)} planes in z"
    words = {
        "sharpest": f"the sharpest of {of}",
        "middle": f"the middle one of {of}",
        "max": f"the largest value of {of}",
        "mean": f"the mean of {of}",
        "all": f"all of {of}, each as a field of its own",
    }
    return words.get(z, f"plane {z} of {of}")


def _time_in_words(time: str, sizes: Sequence[int]) -> str:
    if max(sizes) == 1:
        return ""
    of = f"{_span(sizes)} time points"
    words = {"first": f"the first of {of}", "all": f"all {of}, each as a field of its own"}
    return words.get(time, f"time point {time} of {of}")


def _channel_in_words(files: Sequence[Path], choice: PlaneChoice) -> str:
    """Say which channels are looked at, and why where nobody has chosen."""
    found: dict[str, None] = {}
    for path in files:
        names = _names(path)
        if len(names) < 2:
            continue
        number, name = names[_channel(path, choice)]
        called = f"channel {number} of {len(names)}" + (f" ({name})" if name else "")
        if choice.channel == "auto":
            by_name = transmitted_channel(file_header(path).axes.channels[: len(names)]) is not None
            called += " by its name" if by_name else ", which looks most like bright field"
        found.setdefault(called)
    listed = list(found)
    return " or ".join(listed[:3]) + (f" and {len(listed) - 3} others" if len(listed) > 3 else "")
