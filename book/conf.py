"""Sphinx configuration of the book: executed notebooks in, pages that need no network out."""

from importlib.util import find_spec
from pathlib import Path

project = "From tokens to a sentence"
author = "the pooling-course authors"
copyright = author  # no year: the pages are the same whenever they are built
html_title = project
language = "en"

extensions = ["myst_nb", "sphinxcontrib.bibtex"]
exclude_patterns = ["_build", "**.ipynb_checkpoints", "made/finding.md"]

# The chapters come with their outputs. Nothing is run here, and no widget script is fetched.
nb_execution_mode = "off"
nb_ipywidgets_js = {}
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"

html_theme = "sphinx_book_theme"
html_theme_options = {
    "show_toc_level": 2,
    "navbar_persistent": [],  # the search field stands in the side bar already
    "use_download_button": False,
    "use_fullscreen_button": False,
}
html_static_path = ["_static"]
html_css_files = ["course.css"]
html_js_files = ["course.js"]
html_copy_source = False
html_show_sphinx = False

# One file of MathJax that draws formulas as SVG: no font to fetch, and it works from file:// too.
_mathjax = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
html_static_path.append(str(_mathjax / "tex-svg.js"))
mathjax_path = "tex-svg.js"


def setup(app):
    # The references are called a list, and their entries are no list items: a screen reader would stumble on that.
    def mend(app, page, template, context, doctree):
        if "body" in context:
            context["body"] = context["body"].replace('role="list" class="citation-list"', 'class="citation-list"')

    app.connect("html-page-context", mend)
