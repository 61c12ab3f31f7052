from .account import Account as Account, LeftOut as LeftOut, in_sentences as in_sentences
from .annotation_set import (
    AnnotatedImage as AnnotatedImage,
    AnnotationSet as AnnotationSet,
    source_of as source_of,
)
from .coco import CROWD as CROWD, read_coco as read_coco
from .files import READ as READ, read_boxes as read_boxes
from .importing import (
    ImportOutcome as ImportOutcome,
    ImportPlan as ImportPlan,
    PlacedImage as PlacedImage,
    import_boxes as import_boxes,
    plan_import as plan_import,
)
from .label_images import labels_of as labels_of
from .study_boxes import (
    MergeCounts as MergeCounts,
    annotated_image as annotated_image,
    annotated_images as annotated_images,
    class_counts as class_counts,
    likely_cells as likely_cells,
    only_cells as only_cells,
    size_of as size_of,
)
from .writing import (
    FORMATS as FORMATS,
    ExportFormat as ExportFormat,
    ExportPlan as ExportPlan,
    plan_export as plan_export,
    write_boxes as write_boxes,
    write_by_suffix as write_by_suffix,
)
