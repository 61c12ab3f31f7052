"""One function for each command, to be called in Python: it runs the command's stage to its end."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
