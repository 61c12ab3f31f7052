from .encoder import CellEncoder as CellEncoder, EncoderLike as EncoderLike
from .encoders import encoder_names as encoder_names, load_encoder as load_encoder
from .network import (
    SIDE_PX as SIDE_PX,
    VECTOR_SIZE as VECTOR_SIZE,
    EncoderNetwork as EncoderNetwork,
)
from .pictures import pictures_of_cells as pictures_of_cells
