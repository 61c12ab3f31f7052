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
)
from .header import CONVERSION as CONVERSION, PageHeader as PageHeader
from .projections import (
    PROJECTIONS as PROJECTIONS,
    page_in_words as page_in_words,
    page_of_projection as page_of_projection,
)
