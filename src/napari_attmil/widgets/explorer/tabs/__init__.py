"""One file a tab of the explorer."""
