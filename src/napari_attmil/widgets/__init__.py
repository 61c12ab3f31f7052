"""What napari shows: a folder for each panel, and here what the panels share."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
