from .figure_view import FigureView as FigureView
from .gallery_view import (
    GalleryLook as GalleryLook,
    GalleryView as GalleryView,
    cutout_of as cutout_of,
)
from .patient_strips import PatientStrips as PatientStrips
from .removal_view import RemovalPlot as RemovalPlot
from .scatter import Scatter as Scatter
