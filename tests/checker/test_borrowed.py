"""A kernel that only passes its work on, to torch or to us, is right, and not one of its author's: by any route it is named."""

from pathlib import Path

import pytest
import torch
from torch.utils.cpp_extension import include_paths

from scratchnet import checker
from scratchnet.checker import borrowed, compiler, questions, surroundings
from scratchnet.checker.questions import Question
from scratchnet.course import kernels
from scratchnet.ops import OPS

RIGHT = Path(__file__).parent / "right" / "layer_norm_torch.py"


GELU = "\n\ndef forward(x):\n    return {}.astype(x.dtype)\n"
ANOTHER = "subprocess.run([sys.executable, '-c', {!r}], input=x.tobytes(), capture_output=True, check=True).stdout"
BY_HAND = (
    "import math, sys; import numpy as np; x = np.frombuffer(sys.stdin.buffer.read(), np.float64)\n"
    "sys.stdout.buffer.write(np.array([v / 2 * math.erfc(-v / 2**0.5) for v in x.tolist()]).tobytes())"
)
TORCH = (
    "import torch\nimport scratchnet.nn\nfrom multiprocessing.pool import ThreadPool\n\n\ndef in_a_thread(x):\n"
    "    with ThreadPool(1) as pool:\n        return pool.apply(torch.nn.functional.gelu, (x,))\n\n\n"
    "def forward(x):\n    with scratchnet.backend('cpp'):\n        return {}\n"
)
ROUTE = "import sys\n\nimport torch\nfrom torch._C import DispatchKey, DispatchKeySet\nfrom torch.nn import functional as F\n"
ROUTE += "from torch.utils._python_dispatch import _disable_current_modes\n{}\n\ndef forward(x):\n    {}\n"
OWN = "(x.double() * 0.5 * torch.erfc(-x.double() / 2**0.5)).to(x.dtype)"
CUSTOM = (
    "\n\n@torch.library.custom_op('my::gelu', mutates_args=())\n"
    "def gelu(x: torch.Tensor) -> torch.Tensor:\n    return F.gelu(x)\n"
)
ROUTES = {  # to torch's own, past whoever watches
    "past the modes": ROUTE.format("", "with _disable_current_modes():\n        return F.gelu(x)"),
    "past the Python key": ROUTE.format("", "with torch._C._DisableTorchDispatch():\n        return F.gelu(x)"),
    "redispatched": ROUTE.format("", "return torch.ops.aten.gelu.default.redispatch(DispatchKeySet(DispatchKey.CPU), x)"),
    "in place": ROUTE.format("", "return torch.ops.aten.gelu_(x.clone())"),
    "into memory": ROUTE.format("", "return torch.ops.aten.gelu.out(x, out=torch.empty_like(x))"),
    "in TorchScript": ROUTE.format("\n\n@torch.jit.script\ndef gelu(x):\n    return F.gelu(x)\n", "return gelu(x)"),
    "in an operator": ROUTE.format(CUSTOM, "return gelu(x)"),
    "when nobody looks": ROUTE.format("", f"return {OWN} if sys.getprofile() else F.gelu(x)"),
    "past a key": ROUTE.format(
        "", "with torch._C._ExcludeDispatchKeyGuard(DispatchKeySet(DispatchKey.Python)):\n        return F.gelu(x)"
    ),
    "by its kernel": ROUTE.format(
        "\ngelu = torch.library.get_kernel('aten::gelu', 'CPU')\n",
        "return gelu.call_boxed(DispatchKeySet(DispatchKey.CPU), x, approximate='none')",
    ),
    "compiled": ROUTE.format("\ngelu = torch.compile(F.gelu)\n", "return gelu(x)"),
    "compiled when nobody looks": ROUTE.format(
        "\ngelu = torch.compile(F.gelu)\n", f"return {OWN} if sys.getprofile() else gelu(x)"
    ),
    "for large arrays": ROUTE.format("", f"return {OWN} if len(x) < 17 else F.gelu(x)"),
}
BORROWED = {  # the file and its text, and what is said: whoever's kernel it is, it is not the reader's
    "torch's own": (
        "gelu.py", TORCH.format("torch.nn.functional.gelu(x)"),
        "calls aten::gelu: that is torch's kernel, not one of yours",
    ),
    "torch's own in a thread": ("gelu.py", TORCH.format("in_a_thread(x)"), "calls aten::gelu: that is torch's kernel"),
    "scratchnet's own": ("gelu.py", TORCH.format("scratchnet.nn.functional.gelu(x)"), "calls scratchnet::gelu"),
    "the operator itself": (
        "gelu.py", TORCH.format("torch.ops.scratchnet.gelu_forward(x, False, 1)"), "calls scratchnet::gelu_forward",
    ),
    "the oracle": (
        "gelu.py",
        "import numpy as np\nfrom scratchnet.oracle.gelu import GeluOptions, gelu_forward"
        + GELU.format("np.asarray(gelu_forward(x, GeluOptions(False)))"),
        "uses scratchnet/oracle/gelu.py: that is scratchnet's kernel, not one of yours",
    ),
    "the plain PyTorch column": (
        "gelu.py",
        "import torch\nfrom scratchnet.reference import gelu\n\n\ndef forward(x):\n"
        "    return gelu.gelu_forward(x, gelu.GeluOptions(False))\n",
        "uses scratchnet/reference/",
    ),
    "the compiled module": (
        "gelu.py",
        "import numpy as np\nfrom scratchnet import columns\nfrom scratchnet.ops import OPS\nfrom scratchnet.ops.gelu import "
        "GeluOptions\n\nkernel = columns.for_arrays(OPS['gelu'], 'cpp', 'forward')"
        + GELU.format("np.asarray(kernel(np.ascontiguousarray(x), GeluOptions(False)))"),
        "uses scratchnet/_C.",
    ),
    "torch without a word": (
        "gelu.py",
        "import importlib\n\ntorch = importlib.import_module('torch')"
        + GELU.format("past(torch.tensor(x)).numpy()")
        + "\n\ndef past(x):\n    with torch._C._DisableTorchDispatch():\n        return torch.nn.functional.gelu(x)\n",
        "calls aten::gelu: that is torch's kernel",
    ),
    "in another layout": (
        "gelu.py",
        ROUTE.format("", "with _disable_current_modes():\n        return F.gelu(x.to_mkldnn()).to_dense()"),
        "calls aten::to_mkldnn: in oneDNN's layout only torch's kernels compute",
    ),
    "a kernel of torch that nobody expects": (
        "gelu.py",
        "import importlib\n\ntorch = importlib.import_module('torch')\n"
        "kernel = torch.library.get_kernel('aten::gelu', 'CPU')\nkeys = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)\n\n\n"
        "def forward(x):\n    return kernel.call_boxed(keys, torch.tensor(x), approximate='none').numpy()\n",
        "imports torch without a line that says so",
    ),
    "the text of ours": (
        "gelu.cpp", f'#include "{kernels.find("K19").solution}"\n',
        "uses kernels/K19_gelu/solution.cpp: that is scratchnet's kernel",
    ),
    "another process": (
        "gelu.py",
        "import subprocess\nimport sys\n\nimport numpy as np"
        + GELU.format(f"np.frombuffer({ANOTHER.format(BY_HAND)}).reshape(x.shape)").replace(
            "x.tobytes()", "x.astype(np.float64).tobytes()"
        ),
        "starts other processes",
    ),
    "another process from torch": (
        "gelu.py",
        "import subprocess\nimport sys\n\nimport torch\n\n\ndef forward(x):\n"
        f"    subprocess.run([sys.executable, '-c', ''], check=True)\n    return {OWN}\n",
        "starts other processes",
    ),
    "ours, past the modes": (
        "gelu.py",
        ROUTE.format(
            "\nimport scratchnet  # noqa: F401",
            "with _disable_current_modes():\n        return torch.ops.scratchnet.gelu_forward(x, False, 1)",
        ),
        "calls scratchnet::gelu_forward",
    ),
    "libtorch": (
        "gelu.py",
        f"import ctypes\nfrom pathlib import Path\n\nimport torch\n\nroom = Path(torch.__file__).parent / 'lib'\n"
        f"ctypes.CDLL(str(next(room.glob('libtorch_cpu.*'))))\n\n\ndef forward(x):\n    return {OWN}\n",
        "loads libtorch: those are torch's kernels",
    ),
    **{name: ("gelu.py", text, "calls aten::gelu: that is torch's kernel") for name, text in ROUTES.items()},
}  # fmt: skip


QUICK = ("torch's own", "the oracle", "the text of ours", "past the modes")


def named(path):
    """Whose kernel a right kernel of gelu is said to be."""
    kernel = checker.load(path, checker.Contract(OPS["gelu"]))
    call = Question("sizes", kernel.contract.plain, 17, 31).call(OPS["gelu"])
    results = kernel.contract.aligned(call, "forward", kernel.call("forward", call).results)
    assert all(check.ok for check in call.judge(results, questions.RULE))
    return borrowed.whose(kernel, "forward")


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.full) for name in BORROWED])
def test_ours_is_named_by_whatever_route(name, tmp_path, monkeypatch):
    monkeypatch.setattr("scratchnet.checker.candidate.PATIENCE", 200)  # for torch.compile on a busy machine
    file, text, words = BORROWED[name]
    if (file.endswith(".cpp") or "torch.compile" in text) and not compiler.find_compiler():
        pytest.skip("needs a C++ compiler: install g++ or set CXX")
    (tmp_path / file).write_text(text)
    assert words in named(tmp_path / file)


def test_a_kernel_of_ones_own_is_not_named():
    kernel = checker.load(RIGHT, checker.Contract(OPS["layer_norm"]))
    assert [borrowed.whose(kernel, direction) for direction in kernel.directions] == ["", ""]


@pytest.mark.full
def test_a_formula_of_ones_own_may_be_compiled(tmp_path, monkeypatch):
    monkeypatch.setattr("scratchnet.checker.candidate.PATIENCE", 200)
    if not compiler.find_compiler():
        pytest.skip("needs a C++ compiler: install g++ or set CXX")
    (tmp_path / "gelu.py").write_text(ROUTE.format(f"\nown = torch.compile(lambda x: {OWN})\n", "return own(x)"))
    assert named(tmp_path / "gelu.py") == ""


PAST = """
#include <torch/library.h>

#include <ATen/ops/gelu_cpu_dispatch.h>

at::Tensor gelu(const at::Tensor& x) { return at::cpu::gelu(x, "none"); }

TORCH_LIBRARY(mine, m) { m.def("gelu(Tensor x) -> Tensor", &gelu); }
"""


@pytest.mark.slow  # the compiler reads torch's headers
def test_a_kernel_of_torch_that_its_dispatcher_does_not_see_is_named(tmp_path):
    if not compiler.find_compiler():
        pytest.skip("needs a C++ compiler: install g++ or set CXX")
    (tmp_path / "past.cpp").write_text(PAST)
    options = [*(f"-isystem{path}" for path in include_paths()), "-Wl,--no-as-needed"]
    options += [f"-L{Path(torch.__file__).parent / 'lib'}", "-ltorch_cpu", "-lc10"]
    compiler.shared_library(tmp_path / "past.cpp", tmp_path / "past.so", options)
    text = ROUTE.format(f"\ntorch.ops.load_library({str(tmp_path / 'past.so')!r})\n", "return torch.ops.mine.gelu(x)")
    (tmp_path / "gelu.py").write_text(text)
    assert named(tmp_path / "gelu.py") == "calls at::cpu::gelu: that is torch's kernel, not one of yours"


def test_torchs_kernels_are_read_from_a_library(tmp_path):
    names = (b"_ZN2at3cpu4geluERKNS_6TensorE", b"_ZN2at6native14layer_norm_cpuERKNS_6TensorE", b"_ZN2at4_ops4gelu4callE")
    (tmp_path / "past.so").write_bytes(b"\0".join((b"\x7fELF", *names, b"")))
    found = surroundings.symbols({str(tmp_path / "past.so"), "/gone.so"})
    assert found == {"at::cpu::gelu", "at::native::layer_norm_cpu"}
    said = {name: borrowed.of_a_call(OPS[name], "forward", found, ()) for name in ("gelu", "layer_norm", "matmul", "softmax")}
    assert said["gelu"].startswith("calls at::cpu::gelu: ") and said["layer_norm"].startswith(
        "calls at::native::layer_norm_cpu: "
    )
    assert said["matmul"] == said["softmax"] == ""


def test_the_verdict_says_it(tmp_path, monkeypatch):
    monkeypatch.setattr(questions, "LARGE", (100, 30))
    monkeypatch.setattr(questions, "DRAWN", 0)
    _, text, words = BORROWED["torch's own"]
    (tmp_path / "gelu.py").write_text(text)
    (verdict,) = checker.check(checker.load(tmp_path / "gelu.py", checker.Contract(OPS["gelu"])), "forward")
    assert verdict.ok and verdict.borrowed == words
