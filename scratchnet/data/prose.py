"""English prose with code: Python's language reference, which every CPython ships for `help("while")`."""

from __future__ import annotations

import re

HELD_OUT = 0.1  # the fraction, from the end


def prose() -> tuple[str, str]:
    """A text to train on and the tenth that follows it, about 370,000 characters in all; they vary with the version of Python.

    ImportError if this Python was installed without its help texts.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise ImportError(
            "scratchnet.data.prose() needs pydoc_data, a part of CPython: install Python's whole standard library"
        ) from error
    # A fifth of the paragraphs appear under several topics; each is kept once, so that what is held out was never trained on.
    paragraphs = (paragraph for topic in topics.values() for paragraph in re.split(r"\n{2,}", topic.strip("\n")))
    text = "\n\n".join(dict.fromkeys(paragraphs))
    cut = round(len(text) * (1 - HELD_OUT))
    return text[:cut], text[cut:]
