from .coco import read_coco as read_coco
from .files import write_boxes as write_boxes, write_by_suffix as write_by_suffix
from .importing import (
    ImportOutcome as ImportOutcome,
    import_boxes as import_boxes,
    read_annotations as read_annotations,
)
from .listing import ListedImage as ListedImage, source_of as source_of
from .project_boxes import (
    listed_image as listed_image,
    listed_images as listed_images,
    only_cells as only_cells,
    size_of as size_of,
)
