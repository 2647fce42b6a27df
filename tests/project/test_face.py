"""README, CONTRIBUTING and the other pages agree with the tree."""

import importlib.metadata
import re
import subprocess
from pathlib import Path

import pytest

import scratchnet
from scratchnet.ops import PRIMITIVES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
STEPS = (ROOT / "CONTRIBUTING.md").read_text().partition("\n## Add a primitive\n")[2].partition("\n## ")[0]
NEW, EDITED = (
    re.findall(r"^\| `([^`]+)` \|", part, re.MULTILINE) for part in STEPS.partition("\n| file | what to add |\n")[::2]
)
LINK = re.compile(r"\]\(([^)#:]+)(?:#([^)]*))?\)")
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


def anchors(page: Path) -> set[str]:
    """What a link to a heading of the page may say after the #."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_the_files_that_a_new_primitive_needs_are_those_that_each_one_has(primitive):
    assert len(NEW) > 10
    assert not [name for name in NEW if not (ROOT / name.replace("<p>", primitive)).is_file()]


MORE = ("triton", "torch", "approximate", "by_columns", "numpy_memory")


def test_no_file_of_a_primitive_is_missing_from_the_list():
    """Of GELU, which has more right kernels: in Triton, in torch, with its option, and two whose results lie otherwise."""
    made = {".venv", "build", ".git", "_made"}
    named = {path.relative_to(ROOT) for path in ROOT.rglob("*gelu*.*") if not made & set(path.parts)}
    named = {path for path in named if path.suffix in (".py", ".h", ".cpp", ".cu", ".md")}
    listed = {Path(name.replace("<p>", "gelu")) for name in NEW}
    more = {Path("tests/checker/right", f"gelu_{name}.py") for name in MORE}
    assert named - listed == more


@pytest.mark.parametrize("name", EDITED)
def test_a_file_that_gets_a_line_for_a_new_primitive_names_the_others(name):
    text = (ROOT / name).read_text().lower()
    assert all(primitive in text for primitive in PRIMITIVES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target, anchor in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target
        assert not anchor or anchor in anchors(page.parent / target), (target, anchor)


def test_the_readme_is_a_page_with_two_pictures():
    assert len(README.splitlines()) <= 100
    pictures = re.findall(r'<img src="([^"]*)" [^>]*alt="[^"]{20,}"', README)
    assert len(pictures) == 2 and all((ROOT / picture).is_file() for picture in pictures)


def test_the_version_and_the_licence_are_said_once_more_where_they_are_looked_for():
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {scratchnet.__version__}\n" in citation and "\nlicense: BSD-3-Clause\n" in citation
    assert f"\n## {scratchnet.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert (ROOT / "LICENSE").read_text().startswith("BSD 3-Clause License\n\nCopyright (c) 2026, The scratchnet authors\n")
    about = importlib.metadata.metadata("scratchnet")
    assert about["License-Expression"] == "BSD-3-Clause" and about["License-File"] == "LICENSE"


def test_ci_is_the_command_that_anyone_can_run():
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text()
    assert re.findall(r"run: (.*)", workflow) == [".ci/run"]
    plan = subprocess.run(["make", "--dry-run", "test-full"], cwd=ROOT, capture_output=True, text=True).stdout
    assert (ROOT / ".ci" / "run").read_text().endswith("\nmake test-full\n")
    assert all(tool in plan for tool in ("ruff check", "ruff format --check", "mypy", "pytest")) and "--quick" not in plan


def test_the_site_that_is_published_is_the_one_that_make_builds():
    workflow = (ROOT / ".github" / "workflows" / "pages.yml").read_text()
    assert re.findall(r"run: (.*)", workflow) == ["make site"]
    command = ["make", "--dry-run", "--always-make", "site"]
    plan = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    (folder,) = re.findall(r"path: (.*)", workflow)
    assert re.search(rf"sphinx-build --fail-on-warning .*docs {folder}\n", plan)
    assert '["optional-dependencies"]["docs"]' in plan
    assert "pull_request:" in workflow and "if: github.event_name == 'push'\n    needs: build\n" in workflow
    assert re.findall(r"uses: actions/([\w-]+)@", workflow)[-2:] == ["upload-pages-artifact", "deploy-pages"]


def test_every_page_of_the_site_is_in_its_table_of_contents():
    listed = (ROOT / "docs" / "index.md").read_text().splitlines()
    listed += ["index", *PRIMITIVES]  # docs/ext/primitives.py lists these
    assert not [page.stem for page in (ROOT / "docs").glob("*.md") if page.stem not in listed]


def test_a_bug_report_asks_for_what_the_command_says():
    forms = [*(ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"), ROOT / ".github" / "PULL_REQUEST_TEMPLATE.md"]
    assert len(forms) == 4 and all("scratchnet info --json" in form.read_text() for form in forms)
