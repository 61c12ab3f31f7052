"""The blocks of a report, independent of the file format."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL import Image

    from napari_attmil.reports.cell_scale import GalleryScale

PictureFormat = Literal["PNG", "JPEG"]


@dataclass(frozen=True)
class Heading:
    """A title; level 1 is the report's own."""

    text: str
    level: Literal[1, 2, 3, 4]


@dataclass(frozen=True)
class Paragraph:
    """Plain text, optionally emphasised ("caution") or subdued ("note")."""

    text: str
    kind: Literal["plain", "caution", "note"] = "plain"


@dataclass(frozen=True)
class TextTable:
    """Texts below headings; `lines` are as long as `head`."""

    head: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class Picture:
    """An encoded picture, since decoded pictures of a large cohort would fill the memory.

    Attributes
    ----------
    data
        The file's content.
    file_format
        What kind of file that is.
    size_px
        Width and height.
    caption
        Plain text.
    """

    data: bytes
    file_format: PictureFormat
    size_px: tuple[int, int]
    caption: str

    @property
    def data_uri(self) -> str:
        """The picture as it stands within a page."""
        return f"data:image/{self.file_format.lower()};base64,{b64encode(self.data).decode()}"


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures as wide as the page, below each other."""

    pictures: tuple[Picture, ...]


@dataclass(frozen=True, eq=False)
class CellPictures:
    """Cells side by side, all at one scale."""

    pictures: tuple[Picture, ...]
    scale: GalleryScale


@dataclass(frozen=True)
class Listing:
    """Preformatted text; in HTML it is folded under its title."""

    title: str
    text: str


Block = Heading | Paragraph | TextTable | Pictures | CellPictures | Listing


def encoded(picture: Image.Image, file_format: PictureFormat, caption: str) -> Picture:
    """Return a picture as a file's content; JPEG for images, PNG where every pixel counts."""
    file = BytesIO()
    picture.save(file, file_format, quality=85)
    return Picture(file.getvalue(), file_format, picture.size, caption)
