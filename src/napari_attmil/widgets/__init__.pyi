from .demo_window import show_demo as show_demo
from .screen import check_screen as check_screen
