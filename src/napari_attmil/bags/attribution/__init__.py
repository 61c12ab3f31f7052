"""Which cells decided: measures of attributions, and what changes without some cells."""
