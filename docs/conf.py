"""The book: Sphinx over this folder. What a module of `ext` makes goes into `_made`, which git ignores."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "ext"))

import scratchnet  # noqa: E402

project = "scratchnet"
author = copyright = "The scratchnet authors"
version = release = scratchnet.__version__

extensions = ["myst_nb", "sphinx_design", *sorted(path.stem for path in (HERE / "ext").glob("[!_]*.py"))]
myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_merge_streams = True  # one print after another is one output
exclude_patterns = ["_made/lessons/notebooks"]  # to download, not to read

html_theme = "pydata_sphinx_theme"
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system has it
html_title = "scratchnet"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"**": ["globaltoc.html"]}  # the whole table of contents, on every page
html_theme_options = {"show_prev_next": True, "navbar_center": [], "footer_start": ["copyright"], "footer_end": []}
