"""The figures that move: each is stepped to its end in chromium, and what it shows is what its Python module computes."""

import ctypes
import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from scratchnet import emulation

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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("chromium and chromedriver are not installed: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


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
