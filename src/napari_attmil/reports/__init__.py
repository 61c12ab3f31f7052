"""How a report is built."""
