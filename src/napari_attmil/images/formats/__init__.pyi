from .by_content import (
    IMAGE_SUFFIXES as IMAGE_SUFFIXES,
    decode_page as decode_page,
    file_header as file_header,
)
from .header import PageHeader as PageHeader
