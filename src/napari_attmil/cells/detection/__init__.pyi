from .cell_outlines import box_from_outline as box_from_outline, snap_to_outline as snap_to_outline
from .detector import Detector as Detector, DetectorLike as DetectorLike
from .found_cells import DetectionProgress as DetectionProgress, boxes_of_frames as boxes_of_frames
from .network import FEATURE_CHANNELS as FEATURE_CHANNELS, CellRCNN as CellRCNN
from .network_file import (
    SavedNetwork as SavedNetwork,
    load_network as load_network,
    save_network as save_network,
)
from .offered import BoxFinder as BoxFinder, OfferedDetector as OfferedDetector
from .offered_names import (
    check_can_be_fitted as check_can_be_fitted,
    check_is_there as check_is_there,
    detector_names as detector_names,
    is_offered as is_offered,
)
from .plan import DetectionPlan as DetectionPlan, plan_detection as plan_detection
from .read_ahead import ReadAhead as ReadAhead
from .rescaling import GreyLevels as GreyLevels, rescale as rescale, to_grey as to_grey
from .scoring import (
    DetectionScore as DetectionScore,
    ScoredImage as ScoredImage,
    average_precision as average_precision,
)
from .unsure_detections import (
    detection_around as detection_around,
    detection_at as detection_at,
    unsure_detection_settings as unsure_detection_settings,
)
from .winograd import (
    KERNEL_SIDE as KERNEL_SIDE,
    OUTPUT_SIDE as OUTPUT_SIDE,
    TILE_SIDE as TILE_SIDE,
    WinogradConv2d as WinogradConv2d,
    tiles_of as tiles_of,
)
from .working_scale import CellSize as CellSize, alike_in_size as alike_in_size
