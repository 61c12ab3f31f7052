"""The file `annotations.sqlite` itself: its tables, who may write it, and on which drives."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
