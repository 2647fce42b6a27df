"""What a reader's code raised, in words: Python's own, the line in the file, and what a beginner may have forgotten."""

from __future__ import annotations

import traceback
from pathlib import Path

from scratchnet.course.facts import text

FORGOTTEN = {  # words in Python's message -> what is probably meant
    "'NoneType' object": "Something is None: a function without `return` gives None, and so do some methods that work in place",
    "is not defined": "Is it spelled as where it was made, and is its import at the top of the file?",
    "maximum recursion depth": "The function calls itself without end; was one of the same name meant, from torch or math?",
    "cannot access local variable": "A name that is assigned in a function is the function's own: give it a value there first",
    "referenced before assignment": "A name that is assigned in a function is the function's own: give it a value there first",
    "builtin_function_or_method": "A method was named but not called: its parentheses are missing",
    "'method'": "A method was named but not called: its parentheses are missing",
    "torch.return_types": "It returns two tensors under one name; take .values or .indices of it",
    "could not infer output dtype": "Yes and no, and whole numbers, have no mean: make floats of them first, with .float()",
    "Boolean value of Tensor with more": "`if`, `and`, max() want one yes or no: torch.where, clamp, .any() or `is None`",
    "truth value of an array with more": "`if`, `and` and max() want one yes or no: take np.where, .any() or `is None`",
    "object is not callable": "Something that is no function has parentheses behind it: was `*` or `[` meant?",
    "'tuple'": "A tuple stands where one of its entries is meant: unpack it, (x,) = ..., or take its entry [0]",
    "positional argument but": "Is `self` missing in the def of a method, or an argument that the stub had?",
    "expected an indented block": "What belongs to a function, a loop or an `if` is moved to the right by four spaces",
    "was never closed": "A bracket was opened and not closed",
    "expected ':'": "A line with def, for, if, with or while ends with a colon",
    "Maybe you meant '=='": "`=` gives a name to a value; `==` compares",
}


class TimeUp(BaseException):
    """Raised in code that takes too long; not an Exception, so that a reader's `except Exception` lets it through."""


def explain(error: BaseException, path: Path | None) -> str:
    """An exception from the reader's file `path` in words."""
    where = line(error, path)
    if isinstance(error, TimeUp):
        return f"no end is in sight{where}: is there a loop whose condition never changes?"
    if isinstance(error, SystemExit):
        return f"SystemExit{where}: exit() and quit() end the program; a function hands its result back with `return`"
    meant = next((f". {meant}" for words, meant in FORGOTTEN.items() if words in f"{type(error).__name__}: {error}"), "")
    return text(error) + where + meant


def line(error: BaseException, path: Path | None) -> str:
    """Where in the reader's file an exception came from: " (line 3 of ...)", or nothing."""
    at = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        at.append(error.lineno)
    return f" (line {at[-1]} of {path})" if at else ""
