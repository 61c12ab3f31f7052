"""What is open: images, boxes, predictions, and what the panels show of them."""
