"""What the classifier saw: colours, thumbnails and tables of cells."""
