from .axes import (
    Axes as Axes,
    PlanePosition as PlanePosition,
    transmitted_channel as transmitted_channel,
)
from .by_content import (
    IMAGE_SUFFIXES as IMAGE_SUFFIXES,
    decode_page as decode_page,
    file_header as file_header,
    header_of_page as header_of_page,
    open_in_parts as open_in_parts,
    open_page as open_page,
)
from .header import CONVERSION as CONVERSION, PageHeader as PageHeader
from .large import (
    LARGE_PX as LARGE_PX,
    LargeImage as LargeImage,
    Level as Level,
    LevelStack as LevelStack,
    grey_limits as grey_limits,
)
from .ome_zarr import files_of as files_of, is_image_folder as is_image_folder
from .projections import (
    PROJECTIONS as PROJECTIONS,
    page_in_file as page_in_file,
    page_in_words as page_in_words,
    page_of_projection as page_of_projection,
)
