"""Where the extensions of this folder put the pages that they make."""

from pathlib import Path

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
MADE = DOCS / "_made"
# Suffix of a source -> Pygments' name for it.
LANGUAGES = {".py": "python", ".cpp": "cpp", ".h": "cpp", ".cu": "cuda", ".cuh": "cuda", ".md": "text"}


def write(path: Path, text: str) -> None:
    """Write a page, unless it is there already: Sphinx reads anew what is newer than its last build."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
