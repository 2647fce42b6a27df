"""Listings whose names, brackets and spaces have no elements of their own: these have the colour of plain text in both themes,
and would take a third of the site's bytes."""

from pygments.formatters import HtmlFormatter
from pygments.token import Name, Punctuation, Text, Whitespace
from sphinx.highlighting import PygmentsBridge

PLAIN = (Name, Punctuation, Whitespace)  # and none of their kinds: a function's name has a colour


class Formatter(HtmlFormatter):
    def format_unencoded(self, tokensource, outfile):
        super().format_unencoded(((Text if kind in PLAIN else kind, text) for kind, text in tokensource), outfile)


def setup(app):
    PygmentsBridge.html_formatter = Formatter
    return {"parallel_read_safe": True, "parallel_write_safe": True}
