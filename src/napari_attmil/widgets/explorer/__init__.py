"""The panel Explore cells: their colours, gallery, table, map, shapes and more."""
