from .box_shapes import pixel_at as pixel_at, to_vertices as to_vertices
from .image_choice import ImageChoice as ImageChoice
from .image_layers import (
    AXIS_LABELS as AXIS_LABELS,
    PLACEMENT as PLACEMENT,
    SAMPLE_OF_FILES as SAMPLE_OF_FILES,
    LayerImages as LayerImages,
    describe_images as describe_images,
    sample_layer_data as sample_layer_data,
)
from .image_pictures import (
    HEIGHT_PX as HEIGHT_PX,
    WIDTH_PX as WIDTH_PX,
    ImagePictures as ImagePictures,
    Place as Place,
)
from .keeping import Keeping as Keeping, MemoryOnly as MemoryOnly
from .key_registry import (
    ACTIONS as ACTIONS,
    ActionButton as ActionButton,
    KeyBindings as KeyBindings,
    KeyRegistry as KeyRegistry,
    from_qt as from_qt,
    is_same_key as is_same_key,
    key_of_event as key_of_event,
    to_qt as to_qt,
)
from .layer_edits import TURNED as TURNED
from .layer_removal import make_canvas_current as make_canvas_current
from .layers import CellsLayer as CellsLayer
from .overlay_boxes import (
    FoundSoFar as FoundSoFar,
    OverlayBoxes as OverlayBoxes,
    show_labels_over as show_labels_over,
)
from .size_circle import SizeCircle as SizeCircle
