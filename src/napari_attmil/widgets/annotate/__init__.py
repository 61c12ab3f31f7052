"""The panel Annotate: correct boxes, image by image."""
