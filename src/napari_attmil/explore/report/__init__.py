"""The report about samples, with pictures of the cells that decided."""
