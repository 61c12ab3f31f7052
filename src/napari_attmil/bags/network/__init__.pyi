from .attention_mil import (
    CHANNELS as CHANNELS,
    AttentionMIL as AttentionMIL,
    MILOutput as MILOutput,
)
from .batch_effects import batch_damping as batch_damping
from .components import MOST_CELLS as MOST_CELLS, Components as Components
from .convolution import maps_bytes as maps_bytes, tiles_bytes as tiles_bytes
from .embeddings import EMBEDDINGS as EMBEDDINGS, Embedding as Embedding
from .packing import Packing as Packing
from .pooling import judges_cells as judges_cells
from .prepared_features import (
    CELLS_AT_ONCE as CELLS_AT_ONCE,
    PROFILE_LENGTH as PROFILE_LENGTH,
    PreparedFeatures as PreparedFeatures,
    packed as packed,
    profile as profile,
)
from .together import judged_together as judged_together
