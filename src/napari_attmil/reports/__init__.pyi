from .blocks import (
    Block as Block,
    CellPictures as CellPictures,
    Heading as Heading,
    Listing as Listing,
    Paragraph as Paragraph,
    Picture as Picture,
    Pictures as Pictures,
    TextTable as TextTable,
    encoded as encoded,
)
from .cell_scale import GalleryScale as GalleryScale, gallery_scale as gallery_scale
from .figures import (
    Drawing as Drawing,
    figure_picture as figure_picture,
    hint_id as hint_id,
    inline_svg as inline_svg,
    plain_axes as plain_axes,
    rendered as rendered,
    save_figure as save_figure,
)
from .html import from_template as from_template, html_page as html_page
from .palette import LIGHT as LIGHT, LINE_COLOURS as LINE_COLOURS
from .pdf import pdf_file as pdf_file
from .pictures import boxed_picture as boxed_picture, thumbnail as thumbnail
