"""The stages of a study, each a generator that command line and panels loop over."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
