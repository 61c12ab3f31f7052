"""The shapes of cells, and how they are compared."""
