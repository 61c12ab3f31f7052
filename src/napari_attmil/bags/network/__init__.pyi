from .attention_mil import (
    CELLS_AT_ONCE as CELLS_AT_ONCE,
    CHANNELS as CHANNELS,
    AttentionMIL as AttentionMIL,
    MILOutput as MILOutput,
    bag_lengths as bag_lengths,
)
from .batch_effects import batch_damping as batch_damping
from .components import MOST_CELLS as MOST_CELLS, Components as Components
from .convolution import maps_bytes as maps_bytes, packed as packed, tiles_bytes as tiles_bytes
from .embeddings import (
    EMBEDDINGS as EMBEDDINGS,
    PROFILE_LENGTH as PROFILE_LENGTH,
    Embedding as Embedding,
    profile as profile,
)
from .pooling import judges_cells as judges_cells
