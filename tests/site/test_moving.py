"""The figures that move: each is stepped to its end in chromium, and what it shows is what its Python module computes."""

import ctypes
import importlib.util
import json
import math
import platform
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from scratchnet import emulation
from scratchnet.measure import ladder

pytest.importorskip("docutils", reason="docutils is not installed: pip install 'scratchnet[test]'")
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install 'scratchnet[test]'")
ROOT = Path(__file__).parents[2]


def extension() -> ModuleType:
    spec = importlib.util.spec_from_file_location("moving", ROOT / "docs/ext/moving.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


moving = extension()


@pytest.mark.full
@pytest.mark.parametrize("name", moving.names())
def test_every_step_shows_the_numbers_of_its_module(name: str, browser: Any, tmp_path: Path) -> None:
    page = tmp_path / f"{name}.html"
    page.write_text(f'<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,">{moving.html(name)}')
    browser.get(page.as_uri())
    shown = browser.execute_script("""
        const root = document.querySelector(".moving"), shown = [];
        const next = [...root.querySelectorAll("button")].find((button) => button.textContent === "Step");
        for (let n = 0; n < Number(root.dataset.steps); n++) {
            shown.push([root.dataset.step, root.dataset.numbers, root.querySelector("[aria-live]").textContent]);
            next.click();
        }
        return shown.concat([[next.disabled]]);""")
    assert shown.pop() == [True], "Step is still offered at the end"
    assert [int(step) for step, _, _ in shown] == list(range(len(shown)))
    assert [json.loads(numbers) for _, numbers, _ in shown] == moving.numbers(name).expected()
    assert len({sentence for _, _, sentence in shown}) == len(shown), "a step says what another one says"
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("name", moving.names())
def test_without_scripts_there_is_a_picture(name: str) -> None:
    still = moving.numbers(name).still()
    assert still.startswith("<svg") and "aria-label=" in still
    assert still in moving.html(name)


def test_what_was_measured_is_the_ladder_of_the_page() -> None:
    tiles, roofline, page = moving.numbers("matmul_tiles"), moving.numbers("roofline"), (ROOT / "docs/matmul.md").read_text()
    assert f"- matmul [2-D], {tiles.measured_size().replace(' × ', 'x')}, float32. " in page
    paces = [rung["gflops"] for rung in tiles.measured()]
    assert len(paces) == 5 and all(f": {pace:g};" in page for pace in paces)
    assert [rung["name"] for rung in roofline.measured()[2]] == [rung.name for rung in ladder.rungs("matmul", ("cpp",))]


@pytest.mark.full
@pytest.mark.skipif(emulation.missing() is not None, reason=str(emulation.missing()))
def test_the_emulator_counts_the_sectors_of_a_warp_too(tmp_path: Path) -> None:
    warp = moving.numbers("warp_memory")
    loads = [pattern for pattern in warp.PATTERNS if pattern[0] == "global"]
    source = tmp_path / "loads.cu"
    cases = "".join(f"  if (load == {i}) y[lane] = {warp.code(*load)};\n" for i, load in enumerate(loads))
    source.write_text(
        "__global__ void loads(const float* x, float* y, int64_t load) {\n"
        f"  const int lane = threadIdx.x;\n{cases}}}\n"
        'extern "C" __attribute__((visibility("default"))) void run(const float* x, float* y, int64_t load) {\n'
        "  loads<<<1, 32>>>(x, y, load);\n}\n"
    )
    traced = emulation.Traced(emulation.compile(source, tmp_path / "loads.so"))
    for i, (_, stride, offset) in enumerate(loads):
        x, y = torch.arange(256.0), torch.empty(32)
        traced.begin(on_gpu=True, counting=True)
        traced.array("x", x, writable=False)
        traced.array("y", y, writable=True)
        traced.library.run(ctypes.c_void_p(x.data_ptr()), ctypes.c_void_p(y.data_ptr()), ctypes.c_int64(i))
        assert not traced.report()
        assert y.tolist() == warp.words(stride, offset)
        assert traced.counts()["sectors"] == warp.sectors(warp.words(stride, offset)) + 4  # y: 128 bytes in order


# Typed into the page; scalar.py has to agree. Some powers and functions are one rounding apart in two mathematics libraries.
TYPED = (
    ("x * x", {"x": 3.0}),
    ("2 ** 3 ** 2 * x - 4 / 2", {"x": 0.5}),
    ("-2 ** 2 + x", {"x": 1.0}),
    ("a - b - c / a / b", {"a": 2.0, "b": -3.0, "c": 0.25}),
    ("relu(x - 1) + relu(1 - x) * x", {"x": -2.0}),
    ("tanh(x) ** 3 + exp(-1 * x) * log(y)", {"x": 0.7, "y": 1.25}),
    ("1 / (1 + x ** -2) - (x + y) * (x + y)", {"x": 1.5, "y": 1e-3}),
)
TYPE = """
    const root = document.querySelector(".moving"), [text, values] = arguments;
    const fields = root.querySelectorAll("input[type=text]"), button = (label) =>
        [...root.querySelectorAll("button")].find((button) => button.textContent === label);
    [text, values].forEach((typed, i) => { fields[i].value = typed; });
    fields[0].dispatchEvent(new Event("change"));
    const shown = [root.dataset.numbers];
    while (!button("Step").disabled) { button("Step").click(); shown.push(root.dataset.numbers); }
    return [shown, root.querySelector("[role=alert]").textContent, root.querySelector("[aria-live]").textContent];"""


@pytest.fixture
def tape(browser: Any, tmp_path: Path) -> Any:
    """type(expression, values): the steps, the message and the last sentence."""
    page = tmp_path / "tape.html"
    page.write_text(f'<!doctype html><html lang="en"><meta charset="utf-8">{moving.html("autograd_tape")}')
    browser.get(page.as_uri())
    return lambda text, values: browser.execute_script(TYPE, text, values)


def written(values: dict[str, float]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())


@pytest.mark.full
def test_the_tape_of_a_typed_expression_is_that_of_the_package(tape: Any) -> None:
    module = moving.numbers("autograd_tape")
    for text, values in module.EXAMPLES + TYPED:
        shown, message, _ = tape(text, written(values))
        assert message == ""
        steps = module.steps(module.result(text, values))
        assert len(shown) == len(steps), text
        for now, right in zip(map(json.loads, shown), steps, strict=True):
            for key in ("data", "grad"):
                known = [i for i, number in enumerate(right[key]) if number is not None]
                assert [i for i, number in enumerate(now[key]) if number is not None] == known, (text, key)
                shows, should = ([numbers[i] for i in known] for numbers in (now[key], right[key]))
                assert shows == pytest.approx(should, rel=1e-14, abs=0), (text, key)


@pytest.mark.full
def test_what_cannot_be_computed_is_said_and_the_last_tape_stays(tape: Any) -> None:
    shown, _, _ = tape("x * y", "x = 2, y = 3")
    for text, values, words in (
        ("x * (y", "x = 2, y = 3", "Expected )"),
        ("x * z", "x = 2, y = 3", "z has no value"),
        ("x ** y", "x = 2, y = 3", "a plain number"),
        ("x y", "x = 2, y = 3", "after a complete expression"),
        ("x *", "x = 2, y = 3", "before the end"),
        ("x", "x is 2", "not a value"),
        ("log(x)", "x = -1", "no finite value"),
        ("x" + " * x + 1" * 12, "x = 1", "room for 24"),
    ):
        still, message, _ = tape(text, values)
        assert words in message, text
        assert still[-1] == shown[-1], text


@pytest.mark.full
def test_assigned_gradients_lose_a_value_that_is_used_twice(tape: Any, browser: Any) -> None:
    browser.execute_script("document.querySelector('input[type=checkbox]').click()")
    shown, _, said = tape("x * y + x", "x = 2, y = 3")
    assert json.loads(shown[-1])["grad"] == [3, 2, 1, 1]
    assert "x.grad is 3, but should be 4" in said


@pytest.fixture
def roofline(browser: Any, tmp_path: Path) -> Any:
    """set(label, value): a control's new value; the numbers that are shown then."""
    page = tmp_path / "roofline.html"
    page.write_text(f'<!doctype html><html lang="en"><meta charset="utf-8">{moving.html("roofline")}')
    browser.get(page.as_uri())
    return lambda label, value: json.loads(
        browser.execute_script(
            """const label = [...document.querySelectorAll("label")].find((it) => it.textContent.startsWith(arguments[0]));
            const control = label.querySelector("input, select");
            if (label.hidden) throw `${arguments[0]} is hidden`;
            if (control.type === "checkbox") control.checked = arguments[1]; else control.value = arguments[1];
            control.dispatchEvent(new Event(control.type === "range" ? "input" : "change"));
            return document.querySelector(".moving").dataset.numbers;""",
            label, value,
        )
    )  # fmt: skip


@pytest.mark.full
def test_a_layer_under_the_roof_costs_what_the_operators_say(roofline: Any) -> None:
    module = moving.numbers("roofline")
    roofline("Show", 1)
    for form, fused in ((0, False), (1, True)):
        roofline("Fused", fused)
        for w, width in enumerate(module.WIDTHS):
            roofline("Width", w)
            for b, batch in enumerate(module.BATCHES):
                shown = roofline("Batch", b)
                name = f"{module.FORMS[form]}, batch {batch}, width {width}"
                assert shown == module.point(name, module.layer(batch, width, fused))


@pytest.mark.full
def test_a_kernel_of_ones_own_follows_its_sliders_and_the_pointer(roofline: Any, browser: Any) -> None:
    module = moving.numbers("roofline")
    roofline("Show", 2)
    roofline("Bytes", 73)
    for tenths in range(30, 131, 20):
        shown = roofline("FLOPs", tenths)
        right = module.point("your kernel", {"bytes": 10**7.3, "flops": 10 ** (tenths / 10)})
        assert shown.pop("name") == right.pop("name")
        assert shown == pytest.approx(right, rel=1e-12)
    picture = browser.find_element("css selector", ".moving svg")
    for to in (-0.25, 0.25):  # of its width, from its middle: x = 91.5 and 274.5 of 366
        aside = round(to * picture.size["width"])
        webdriver.ActionChains(browser).move_to_element(picture).click_and_hold().move_by_offset(aside, 0).release().perform()
        shown = json.loads(browser.find_element("css selector", ".moving").get_attribute("data-numbers"))
        place = (183 + 366 * to - 46) / 310  # on the axis, which goes from 0.1 to 1000
        assert math.log10(shown["intensity"]) == pytest.approx(4 * place - 1, abs=0.02)
        assert shown["roof"] == pytest.approx(min(module.measured()[1], module.measured()[0] * shown["intensity"]))


def test_the_least_recently_used_line_leaves_the_cache() -> None:
    tiles = moving.numbers("matmul_tiles")
    for lines, misses in ((tiles.LINES, tiles.LINES), (tiles.LINES + 1, 3 * (tiles.LINES + 1))):
        core = tiles.Core()
        for _ in range(3):
            core.run([("a", line // 4, tiles.LINE * (line % 4), 1, False) for line in range(lines)])
        assert (core.reads, core.read_misses, core.fetches, core.writes) == (3 * lines, misses, misses, 0)


@pytest.mark.full
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the program has AVX's registers")
def test_cachegrind_counts_what_the_model_of_the_cache_counts(tmp_path: Path) -> None:
    for tool in ("g++", "valgrind"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed: apt-get install {tool}")
    tiles, program, written = moving.numbers("matmul_tiles"), tmp_path / "tiles", tmp_path / "counts"
    flags = ("-Os", "-g", "-mavx", "-fno-schedule-insns2")  # every load and store of the source, in its order, and no others
    subprocess.run(["g++", *flags, ROOT / "docs/moving/matmul_tiles.cpp", "-o", program], check=True)
    cache = f"--D1={4 * tiles.LINE * tiles.LINES},{tiles.LINES},{4 * tiles.LINE}"
    valgrind = ["valgrind", "--tool=cachegrind", "--cache-sim=yes", cache, f"--cachegrind-out-file={written}"]
    subprocess.run([*valgrind, program], check=True, capture_output=True)

    text = written.read_text()
    events = re.findall(r"^events: (.*)", text, re.MULTILINE)[0].split()
    counted = {}
    for function in text.split("\nfn=")[1:]:
        counts: Counter[str] = Counter()
        for line in re.findall(r"^\d+ ([\d ]+)$", function, re.MULTILINE):
            counts.update(dict(zip(events, map(int, line.split()), strict=True)))
        counted[function.splitlines()[0]] = counts
    half = tiles.N // 2
    for name, units in {
        "rung_1()": tiles.dot_products(),
        "rung_2()": tiles.rows_of_b(),
        "rung_3()": tiles.blocks(),
        f"void rung_4<0, {tiles.N}>()": tiles.tiles(0, tiles.N),
        f"void rung_4<0, {half}>()": tiles.tiles(0, half),
        f"void rung_4<{half}, {tiles.N}>()": tiles.tiles(half, tiles.N),
    }.items():
        core = tiles.Core()
        for _, accesses in units:
            core.run(accesses)
        model = {"Dr": core.reads, "D1mr": core.read_misses, "Dw": core.writes, "D1mw": core.write_misses}
        for event, count in model.items():  # cachegrind also sees the return address, and registers that a function saves
            assert 0 <= counted[name][event] - count <= 8, (name, event)
