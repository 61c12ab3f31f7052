"""What napari shows: a folder for each panel, and here what the panels share."""
