"""Wrong calls as tables, one file per primitive or family; each file found here has its rows in WRONG."""

from importlib import import_module
from pkgutil import iter_modules

FILES = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
WRONG = [row for file in FILES for row in file.WRONG]
