"""Small OME-Zarr images, written after the specification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zarr

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_KINDS = {"T": "time", "C": "channel"}


def write_zarr(
    path: Path,
    image: NDArray[Any],
    axes: str,
    version: str = "0.5",
    channels: Sequence[str] = (),
    pixel_um: float | None = None,
    levels: int = 2,
) -> Path:
    """Write an image of some axes before Y and X, and smaller copies of it."""
    group = zarr.open_group(str(path), mode="w", zarr_format=3 if version == "0.5" else 2)
    letters = f"{axes}YX"
    about = _multiscale(letters, levels, pixel_um)
    for number, dataset in enumerate(about["datasets"]):
        reduced = image[(..., slice(None, None, 2**number), slice(None, None, 2**number))]
        chunks = (*[1] * len(axes), *(min(side, 32) for side in reduced.shape[-2:]))
        array = group.create_array(
            dataset["path"], shape=reduced.shape, chunks=chunks, dtype=reduced.dtype
        )
        array[:] = reduced
    content: dict[str, Any] = {"multiscales": [about]}
    if channels:
        content["omero"] = {"channels": [{"label": name} for name in channels]}
    if version == "0.5":
        group.attrs["ome"] = {"version": version, **content}
    else:
        group.attrs.update({**content, "multiscales": [{**about, "version": version}]})
    return path


def _multiscale(letters: str, levels: int, pixel_um: float | None) -> dict[str, Any]:
    axes: list[dict[str, str]] = []
    for letter in letters:
        axis = {"name": letter.lower(), "type": _KINDS.get(letter, "space")}
        if pixel_um is not None and letter in "ZYX":
            axis["unit"] = "micrometer"
        axes.append(axis)
    datasets = []
    for number in range(levels):
        side = (pixel_um or 1.0) * 2**number
        scale = [side if letter in "YX" else 1.0 for letter in letters]
        transforms = [{"type": "scale", "scale": scale}]
        datasets.append({"path": str(number), "coordinateTransformations": transforms})
    return {"axes": axes, "datasets": datasets}


def write_plate(path: Path, fields: Sequence[NDArray[Any]]) -> Path:
    """Write a plate of one row, two fields of view a well."""
    root = zarr.open_group(str(path), mode="w", zarr_format=3)
    wells = [list(fields[at : at + 2]) for at in range(0, len(fields), 2)]
    names = [f"A/{number + 1}" for number in range(len(wells))]
    root.attrs["ome"] = {"version": "0.5", "plate": {"wells": [{"path": name} for name in names]}}
    for name, own in zip(names, wells, strict=True):
        images = [{"path": str(number)} for number in range(len(own))]
        root.create_group(name).attrs["ome"] = {"well": {"images": images}}
        for number, field in enumerate(own):
            write_zarr(path / name / str(number), field, "")
    return path
