from .boxes import (
    MIN_SIDE_PX as MIN_SIDE_PX,
    SOURCE_NAMES as SOURCE_NAMES,
    Boxes as Boxes,
    Source as Source,
    has_moved as has_moved,
    match_boxes as match_boxes,
    median_diameter_px as median_diameter_px,
    positions_of as positions_of,
)
from .settings import (
    DetectionSettings as DetectionSettings,
    FeatureSettings as FeatureSettings,
    FinetuneSettings as FinetuneSettings,
)
