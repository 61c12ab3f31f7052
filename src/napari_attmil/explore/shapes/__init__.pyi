from .morphology import (
    feature_title as feature_title,
    measure_shapes as measure_shapes,
    shape_columns as shape_columns,
)
from .outlines import outlines_of_image as outlines_of_image
from .statistics import (
    compare_high_cells as compare_high_cells,
    findings_in_short as findings_in_short,
    findings_in_words as findings_in_words,
    healthy_cells as healthy_cells,
    healthy_class_of as healthy_class_of,
    severity_by_sample as severity_by_sample,
    severity_threshold as severity_threshold,
)
