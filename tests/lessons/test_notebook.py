"""A lesson as a notebook: the same cells, the exercise, the way on, and it runs."""

import importlib.util
import json
import sys
from types import SimpleNamespace

import pytest

from scratchnet import course
from scratchnet.cli import main
from scratchnet.course.notebook import SETUP

LESSON = course.find("1")
LAST = course.all_lessons()[-1]


def source(cell):
    return "".join(cell["source"])


def test_every_lesson_in_one_command(desk, capsys):
    assert main(["learn", "--notebook", "notebooks"]) == 0
    lessons = course.all_lessons()
    assert sorted(path.name for path in (desk / "notebooks").iterdir()) == [f"{lesson.name}.ipynb" for lesson in lessons]
    assert capsys.readouterr().out.count("written: notebooks/") == len(lessons)
    for lesson, following in zip(lessons, [*lessons[1:], None], strict=True):
        notebook = json.loads((desk / "notebooks" / f"{lesson.name}.ipynb").read_text())
        assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 4)
        title, setup, *cells, heading, stub, grade, after = notebook["cells"]
        assert source(title).startswith(f"# Lesson {lesson.number}: {lesson.title}")
        assert f"Reading time: {lesson.minutes} minutes." in source(title) and "%pip install" in source(setup)
        kinds = {"markdown": True, "code": False}
        copied = [(kinds[cell["cell_type"]], source(cell), "hide-input" in cell["metadata"].get("tags", [])) for cell in cells]
        assert copied == [(cell.prose, cell.text, cell.hidden) for cell in lesson.cells()[1:]]
        assert source(heading).startswith("## Exercise") and f"exercises/{lesson.name}.py" in source(heading)
        assert source(stub) == f"%%writefile exercises/{lesson.name}.py\n{lesson.stub.read_text().rstrip()}"
        assert f"-m scratchnet check {int(lesson.number)}" in source(grade)
        assert f"({following.name}.ipynb)" in source(after) if following else source(after) == "The last lesson."


def test_where_scratchnet_is_missing_the_wheel_beside_the_notebook_is_installed(desk, monkeypatch):
    transformer = pytest.importorskip("IPython.core.inputtransformer2", reason="pip install 'scratchnet[test]'")
    code, ran = transformer.TransformerManager().transform_cell(SETUP), []
    names = {"get_ipython": lambda: SimpleNamespace(run_line_magic=lambda *magic: ran.append(magic))}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    wheel = desk / "scratchnet-0.1.0-cp39-cp39-linux_x86_64.whl"
    wheel.touch()
    with pytest.raises(AssertionError, match="there is no wheel of scratchnet for cp3"):
        exec(code, names)
    wheel = desk / wheel.name.replace("39", f"3{sys.version_info.minor}")
    wheel.touch()
    exec(code, names)
    assert ran == [("pip", "install --quiet $wheel")] and names["wheel"] == f"{wheel}[data]"
    assert (desk / "exercises").is_dir()


def test_answers_that_are_there_are_kept(desk):
    (desk / "exercises").mkdir()
    (desk / "exercises" / f"{LESSON.name}.py").write_text("mine = 1\n")
    assert main(["learn", "1", "--notebook", "."]) == 0
    stub = json.loads((desk / f"{LESSON.name}.ipynb").read_text())["cells"][-3]
    assert source(stub) == f"%%writefile exercises/{LESSON.name}.py\nmine = 1"


@pytest.mark.full
def test_it_runs_and_shows_its_picture(desk, monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="pip install 'scratchnet[test]'")
    nbclient = pytest.importorskip("nbclient", reason="pip install 'scratchnet[test]'")
    pytest.importorskip("ipykernel", reason="pip install 'scratchnet[test]'")
    pytest.importorskip("matplotlib", reason="pip install 'scratchnet[data]'")
    lesson = course.find("11")
    assert main(["learn", "11", "--notebook", "."]) == 0
    notebook = nbformat.read(desk / f"{lesson.name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    monkeypatch.undo()  # the client talks to the kernel through sockets
    monkeypatch.setenv("XDG_DATA_HOME", str(desk / "data"))
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(desk)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    (picture,) = [output.data["image/svg+xml"] for output in outputs if "image/svg+xml" in output.get("data", {})]
    assert "<title>The computation graph of z</title>" in picture and "checks passed" in printed
    tasks = len(course.tasks(lesson))
    assert f"Writing exercises/{lesson.name}.py" in printed and f"0 of {tasks} tasks right" in printed
