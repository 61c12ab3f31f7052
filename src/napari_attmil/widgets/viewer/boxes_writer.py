"""What napari calls to save a layer of boxes: as a table, or as other programs read boxes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_attmil.cells import SOURCE_NAMES, Boxes, Source
from napari_attmil.cells.annotations import Annotations, Notes
from napari_attmil.cells.exchange import (
    AnnotatedImage,
    annotated_image,
    annotated_images,
    source_of,
    write_by_suffix,
)
from napari_attmil.explore import cell_table, write_cells
from napari_attmil.images import Frame, Sample
from napari_attmil.widgets.viewer.box_shapes import (
    BOXES_OF_LAYER,
    IMAGE_AXIS_OF_LAYER,
    NOTES_OF_LAYER,
    SAMPLE_OF_LAYER,
    Portion,
    from_vertices,
)


def write_boxes(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write the boxes of a Shapes layer, in pixels of the image's data, as the suffix says.

    Boxes of the plugin's own layer are written for all images, also where it shows one only, and
    with the images' names.

    Parameters
    ----------
    path
        A file: CSV has one row a box, JSON is COCO; XML is Pascal VOC and TXT YOLO, of one image.
    data
        The vertices of each shape.
    meta
        The layer's attributes.

    Raises
    ------
    UserError
        If the format cannot hold the boxes, or nothing can be written.
    """
    boxes, target = _all_boxes(data, meta), Path(path)
    sample = _sample(meta, int(boxes.image_index.max(initial=-1)) + 1)
    notes: Notes = meta.get("metadata", {}).get(NOTES_OF_LAYER, {})
    if target.suffix.lower() == ".csv":
        write_cells(target, [cell_table(sample, boxes, notes=notes)])
    else:
        annotations = Annotations(boxes, notes=notes)
        write_by_suffix(target, _listed(sample, annotations, target.absolute().parent))
    return [path]


def _listed(sample: Sample, kept: Annotations, folder: Path) -> list[AnnotatedImage]:
    """Return the images that have boxes, named from the folder where they are files."""
    if all(frame.path.exists() for frame in sample.frames):
        return annotated_images([sample], {sample.name: kept}, folder)
    indices = np.unique(kept.cells.image_index).tolist()
    return [
        annotated_image(sample.name, kept.cells.of_image(index), index, notes=kept.notes)
        for index in indices
    ]


def _sample(meta: Mapping[str, Any], image_count: int) -> Sample:
    """Return the images that the boxes are of; without any known, pages named like the layer."""
    known = meta.get("metadata", {}).get(SAMPLE_OF_LAYER)
    if known is not None and len(known) >= image_count:
        return known
    name = str(meta.get("name", "boxes"))
    frames = tuple(Frame(Path(name), page) for page in range(image_count))
    return Sample(name, name, None, frames)


def _all_boxes(data: Any, meta: Mapping[str, Any]) -> Boxes:
    """Return what a layer holds, and what of its sample it does not hold at present."""
    own = meta.get("metadata", {}).get(BOXES_OF_LAYER, (Boxes.empty(), Portion()))
    not_held = own[1].others(own[0])
    return Boxes.concatenate([not_held, _boxes_of_layer(data, meta, not_held.next_id)])


def _boxes_of_layer(data: Any, meta: Mapping[str, Any], first_id: int) -> Boxes:
    """Return what a Shapes layer holds; ids count from `first_id` where it has none."""
    shapes = list(data)
    of_stack = 0 if shapes and shapes[0].shape[1] == 3 else None
    axis = meta.get("metadata", {}).get(IMAGE_AXIS_OF_LAYER, of_stack)
    images, xyxy = from_vertices(shapes, axis)
    features, count = meta.get("features", {}), len(images)
    sources = _column(features, "source", count, np.full(count, SOURCE_NAMES[Source.PERSON]))
    return Boxes(
        cell_id=_column(features, "cell_id", count, np.arange(first_id, first_id + count)),
        image_index=images.astype(np.int32),
        xyxy=xyxy,
        score=_column(features, "score", count, np.ones(count)),
        source=np.array([source_of(str(name)) for name in sources], dtype=np.uint8),
    )


def _column(features: Any, name: str, count: int, default: Any) -> Any:
    """Return a feature column if it fits and numbers every box once, else the default."""
    if name not in features or len(features[name]) != count:
        return default
    values = np.asarray(features[name])
    if name == "cell_id" and (len(np.unique(values)) != count or np.any(values < 1)):
        return default
    return values
