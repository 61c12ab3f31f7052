from .cell_menu import CellMenu as CellMenu, offer_menu as offer_menu
from .host import CardHost as CardHost
