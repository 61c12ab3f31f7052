from .candidates import (
    candidate_around as candidate_around,
    candidate_at as candidate_at,
    candidate_settings as candidate_settings,
)
from .detector import (
    DetectionProgress as DetectionProgress,
    Detector as Detector,
    DetectorLike as DetectorLike,
    boxes_of_frames as boxes_of_frames,
)
from .network import FEATURE_CHANNELS as FEATURE_CHANNELS, CellRCNN as CellRCNN
from .network_file import (
    SavedNetwork as SavedNetwork,
    load_network as load_network,
    save_network as save_network,
)
from .proposals import propose_box as propose_box, snap_box as snap_box
from .read_ahead import ReadAhead as ReadAhead
from .rescaling import to_grey as to_grey
from .scoring import (
    DetectionScore as DetectionScore,
    ScoredImage as ScoredImage,
    average_precision as average_precision,
)
from .winograd import (
    KERNEL_SIDE as KERNEL_SIDE,
    OUTPUT_SIDE as OUTPUT_SIDE,
    TILE_SIDE as TILE_SIDE,
    WinogradConv2d as WinogradConv2d,
    tiles_of as tiles_of,
)
