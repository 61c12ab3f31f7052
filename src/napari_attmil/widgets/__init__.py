"""What napari shows: the panel, its parts, and the layers they work on."""
