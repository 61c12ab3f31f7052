"""One file a kind of image file."""
