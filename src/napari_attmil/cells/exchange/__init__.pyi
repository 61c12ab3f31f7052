from .annotation_set import AnnotatedImage as AnnotatedImage, source_of as source_of
from .coco import read_coco as read_coco
from .files import write_boxes as write_boxes, write_by_suffix as write_by_suffix
from .importing import (
    ImportOutcome as ImportOutcome,
    import_boxes as import_boxes,
    read_annotations as read_annotations,
)
from .study_boxes import (
    annotated_image as annotated_image,
    annotated_images as annotated_images,
    only_cells as only_cells,
    size_of as size_of,
)
