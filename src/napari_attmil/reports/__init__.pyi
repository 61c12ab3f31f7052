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
from .house_page import document as document
from .html import html_page as html_page
from .pdf import pdf_file as pdf_file
from .pictures import boxed_picture as boxed_picture, thumbnail as thumbnail
