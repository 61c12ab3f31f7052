from .demo_window import show_demo as show_demo
