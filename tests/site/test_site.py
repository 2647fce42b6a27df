"""The book as a web site, built once and read in chromium from its files: errors, links, search, accessibility, sizes."""

import contextlib
import fcntl
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

pytest.importorskip("sphinx", reason="sphinx is not installed: make site")
pytest.importorskip("myst_nb", reason="myst-nb is not installed: make site")
exceptions = pytest.importorskip("selenium.common.exceptions", reason="pip install 'scratchnet[test]'")
wait = pytest.importorskip("selenium.webdriver.support.wait")
pytestmark = pytest.mark.full

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "site_checked"
SOURCES = (
    "docs",
    "scratchnet",
    "csrc",
    "kernels",
    "benchmarks",
    "tests/checker",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
)
# What a reader might look for, and the page that has to be among the first ten.
SOUGHT = {
    "broadcasting": "moving/strides",
    "logsumexp": "cross_entropy",
    "register tile": "glossary",  # which names the line that makes one
    "gradcheck": "lessons/13_gradcheck",
    "roofline": "moving/roofline",
    "scatter-add": "moving/scatter_add",
    "flash attention": "lessons/31_flash_attention",
    "CrossEntropyLoss": "reference/scratchnet.nn",
    "LoRA": "lora",
    "tanh": "lessons/21_activations",
}


def digest() -> str:
    """Of everything that the site is made from."""
    made = hashlib.sha256()
    for source in SOURCES:
        for path in sorted([ROOT / source, *(ROOT / source).rglob("*")]):
            if path.is_file() and not {"_made", "__pycache__"} & set(path.parts) and path.suffix != ".so":
                made.update(str(path).encode() + path.read_bytes())
    return made.hexdigest()


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the pages. Lessons that have not run here are shown without what they print: tests/lessons runs them."""
    BUILD.mkdir(parents=True, exist_ok=True)
    pages, of = BUILD / "html", BUILD / "digest"
    with open(BUILD / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may be building
        now = digest()
        if not of.exists() or of.read_text() != now:
            shutil.rmtree(pages, ignore_errors=True)  # pages that no longer exist; what was read stays, in `trees`
            sphinx = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "-D", "lessons_run=0"]
            folders = ["-d", BUILD / "trees", ROOT / "docs", pages]
            done = subprocess.run([*sphinx, *folders], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[-5000:]
            of.write_text(now)
    return pages


def html_pages(site: Path) -> list[Path]:
    """All pages; the theme keeps a template of its own in _static."""
    return [page for page in sorted(site.rglob("*.html")) if "_static" not in page.parts]


def addresses(html: str) -> list[str]:
    """What a page leads to or loads."""
    return [unescape(address) for address in re.findall(r'\s(?:href|src)="([^"]*)"', html)]


def errors(browser: Any) -> list[str]:
    """What a page says in the console that it should not."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")]


def test_every_page_opens_on_a_phone_without_an_error_and_is_no_wider(site: Path, browser: Any) -> None:
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    said = {}
    for page in html_pages(site):
        browser.get(page.as_uri())
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        if found := errors(browser) + [f"{wide} pixels wide"] * (wide > phone["width"]):
            said[str(page.relative_to(site))] = found
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert not said


def test_every_link_leads_somewhere(site: Path) -> None:
    pages = {page: page.read_text(encoding="utf-8") for page in html_pages(site)}
    assert len(pages) > 150
    ids = {page: {unescape(name) for name in re.findall(r'\s(?:id|name)="([^"]*)"', html)} for page, html in pages.items()}
    dead = []
    for page, html in pages.items():
        for address in {*addresses(html)} - {"", "#"}:
            path, _, anchor = unquote(address).partition("#")
            target = Path(os.path.normpath(page.parent / path.partition("?")[0])) if path else page
            leads = target in ids and (not anchor or anchor in ids[target]) or target not in ids and target.is_file()
            if not leads and not re.match(r"https?:|mailto:|data:", address):
                dead.append(f"{page.relative_to(site)}: {address}")
    assert not dead


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in html_pages(site):
        html = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe|source)\b[^>]*\ssrc="([^"]*)"', html)
        loaded += re.findall(r'<link\b[^>]*\brel="stylesheet"[^>]*\shref="([^"]*)"', html)
        assert not [address for address in loaded if re.match(r"(https?:)?//", address)], page


@pytest.mark.parametrize("words", SOUGHT)
def test_search_finds(words: str, site: Path, browser: Any) -> None:
    browser.get(f"{(site / 'search.html').as_uri()}?q={words.replace(' ', '+')}")
    links = "return [...document.querySelectorAll('#search-results li a')].map((link) => link.getAttribute('href'))"
    shown = []

    def found(browser: Any) -> bool:  # results come one after the other
        shown[:] = [address.partition(".html")[0] for address in browser.execute_script(links)[:10]]
        return any(address.endswith(SOUGHT[words]) for address in shown)

    with contextlib.suppress(exceptions.TimeoutException):
        wait.WebDriverWait(browser, 10).until(found)
    assert found(browser), shown
    excerpts = "return [...document.querySelectorAll('#search-results .context')].map((it) => it.textContent).join(' ')"
    wait.WebDriverWait(browser, 10).until(lambda browser: words.split()[0].lower() in browser.execute_script(excerpts).lower())
    assert not errors(browser)


def test_pages_of_every_kind_are_accessible(site: Path, browser: Any) -> None:
    """Front page, search, tables to sort, every figure, the smallest page of each folder: no serious fault, in both themes."""
    axe = pytest.importorskip("axe_core_python.selenium", reason="pip install 'scratchnet[test]'").Axe()
    folders = defaultdict(list)
    for page in html_pages(site):
        if page.name != "index.html":
            folders[page.relative_to(site).parts[:-1][:2]].append(page)
    smallest = [min(pages, key=lambda page: page.stat().st_size) for pages in folders.values()]
    faults = []
    named = [site / f"{name}.html" for name in ("index", "search", "_made/benchmarks")]
    for page in {*named, *(site / "moving").glob("*.html"), *smallest}:
        browser.get(page.as_uri())
        browser.execute_script(  # without colours that are half-way from one theme to the other
            "document.head.appendChild(document.createElement('style')).textContent = '* { transition: none !important }'"
        )
        for theme, rules in ("light", {}), ("dark", {"runOnly": ["color-contrast"]}):
            browser.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
            for fault in axe.run(browser, options={"resultTypes": ["violations"], **rules})["violations"]:
                if fault["impact"] in ("serious", "critical"):
                    places = [node["html"][:200] for node in fault["nodes"]]
                    faults.append((str(page.relative_to(site)), theme, fault["id"], fault["help"], places))
    assert not faults


def test_the_front_page_is_light_and_the_whole_fits(site: Path) -> None:
    """In bytes as a server sends them, compressed: the front page with everything that it loads."""
    front = site / "index.html"
    html = front.read_text(encoding="utf-8")
    files = {address.partition("?")[0] for address in addresses(html)} - {""}
    loaded = [front, *(site / name for name in files if Path(name).suffix in {".css", ".js", ".svg", ".png"})]
    assert len(loaded) > 10
    assert sum(len(gzip.compress(path.read_bytes())) for path in loaded) < 300e3
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) < 25e6
