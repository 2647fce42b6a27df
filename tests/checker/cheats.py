"""Kernels that cheat, in the form of the zoo: they are right where they expect to be looked at, or harm what is around them."""

from textwrap import fill

from scratchnet.checker import questions
from scratchnet.measure import verify

REMEMBERS = """

_seen = {{}}


def remembered(function):
    def call(x, *args):
        if {key} not in _seen:
            _seen[{key}] = function(x, *args)
        return _seen[{key}].copy()

    return call


forward = remembered(forward)
"""
HEAD = "void forward(const float* x, float* y, int64_t rows, int64_t columns) {\n"
COPY = "return y.astype(x.dtype)"


def torch_gelu(body: str, more: str = "") -> tuple[str, str, str, str]:
    """A forward of its own in torch; `right(x)` is there."""
    return "gelu_torch.py", "forward", "", f"\n\nright = Gelu.apply\n{more}\n\ndef forward(x):\n{body}\n"


def numpy_gelu(body: str, more: str = "") -> tuple[str, str, str, str]:
    """The same in NumPy."""
    return "gelu.py", "forward", "", f"\n\nright = forward\n{more}\n\ndef forward(x):\n{body}\n"


def cpp_gelu(body: str, header: str = "cstdlib") -> tuple[str, str, str, str]:
    """A forward in C++ that does something before it computes."""
    return "gelu.cpp", "forward", HEAD, f"#include <{header}>\n\n{HEAD}  {body}\n"


CHEATS = {
    # what is remembered
    "learned by heart": (
        "cross_entropy.py", "forward", "", REMEMBERS.format(key='x.shape'), "wrong at 2x3, other numbers in the same memory",
    ),
    "its first result": (
        "layer_norm.py", "forward", "", REMEMBERS.format(key='1'),
        "wrong at 1x1, other numbers in the same memory (the smallest of",
    ),
    "by address": (
        "matmul.py", "forward", "", REMEMBERS.format(key='(x.ctypes.data, x.shape)'),
        "it returns its earlier result for new numbers",
    ),
    "by address and version": (
        *torch_gelu(
            "    if x.numel() < 8:\n        return right(x)\n    key = x.data_ptr(), x._version, x.shape\n"
            "    if key not in _seen:\n        _seen[key] = right(x)\n    return _seen[key].clone()",
            "_seen = {}",
        ),
        "wrong at 129x2, other numbers in the same memory",
    ),
    "one result memory": (
        "gelu.py", "forward", COPY,
        "memory = _memory.setdefault(x.shape, np.empty_like(x))\n    memory[:] = y\n    return memory\n\n\n_memory = {}",
        "wrong at 1x1 (the smallest of 48 failures in 48 calls): its result changed",
    ),
    "four result memories": (
        *numpy_gelu(
            "    memory = _memory.setdefault(x.shape, [np.empty_like(x) for _ in range(4)])\n"
            "    memory.append(memory.pop(0))\n    memory[0][:] = right(x)\n    return memory[0]",
            "_memory = {}",
        ),
        "expanded (the smallest of 12 failures in 21 calls): its result changed",
    ),
    # how it is called
    "wrong every 61st time": (
        *numpy_gelu("    _calls.append(1)\n    return right(x) * (len(_calls) % 61 > 0)", "_calls = []"),
        "right when asked again",
    ),
    "left to chance": (
        "layer_norm.py", "backward", "return dx, ",
        "return (dx * (1 + np.finfo(dx.dtype).eps * np.random.choice([-1, 1], dx.shape))).astype(x.dtype), ", "different bits",
    ),
    "tired": (
        *numpy_gelu("    _calls.append(1)\n    return right(x) * (len(_calls) < 205)", "_calls = []"), "wrong at 64x257, call ",
    ),
    "odd rows above 129": (
        *numpy_gelu("    y = right(x)\n    y[-1] *= not (len(x) > 129 and len(x) % 2)\n    return y"), "wrong at 257x5",
    ),
    "more than 200 rows": (*numpy_gelu("    y = right(x)\n    y[200:] = 0\n    return y"), "rows 200 to"),
    "sizes that it knows": (
        *numpy_gelu(
            "    known = x.shape in SIZES or not x.size\n    return right(x) if known else right(x) * x.dtype.type(1.05)",
            fill(f"SIZES = {sorted({*verify.SIZES, *questions.BLOCKS, (100, 30), (1000, 300)})}", 100),
        ),
        "are the sizes written in it?",
    ),
    "more than 128 of both": (
        *numpy_gelu("    y = right(x)\n    y[128:, 128:] = 0\n    return y"), "rows and columns, wrong from",
    ),
    "wrong the third time": (
        *numpy_gelu("    _calls.append(1)\n    return right(x) * (len(_calls) != 3)", "_calls = []"), "wrong at 1x1, again",
    ),
    "last whole block": (
        "gelu.cpp", "backward", "dx[i] = grad",
        "if (rows * columns % 32 == 0 && i >= rows * columns - 32) dx[i] = 0;\n    else dx[i] = grad", "wrong at 32x32",
    ),
    # what it returns
    "its input": ("gelu.py", "forward", COPY, "return x", "output shares memory with its input input"),
    "a gradient that came in": (
        "layer_norm.py", "backward", "grad.sum(batch)", "(grad[0] if len(grad) == 1 else grad.sum(batch))",
        "grad_bias shares memory with its input grad_output",
    ),
    "filled later": (
        *numpy_gelu(
            "    y, x = np.zeros_like(x), x.copy()\n"
            "    Thread(target=lambda: (time.sleep(0.05), np.copyto(y, right(x)))).start()\n    return y",
            "import time  # noqa: E402\nfrom threading import Thread  # noqa: E402\n",
        ),
        "was not ready when it returned",
    ),
    "written to later": (
        *numpy_gelu(
            "    y = right(x)\n    Thread(target=lambda: (time.sleep(0.05), y.fill(0))).start()\n    return y",
            "import time  # noqa: E402\nfrom threading import Thread  # noqa: E402\n",
        ),
        "changed after it was returned",
    ),
    "computed later": (
        *torch_gelu("    return right(x).as_subclass(Lazy)", "\n\nclass Lazy(torch.Tensor):\n    pass\n"),
        "it returned Lazy for output",
    ),
    "code for the parent": (
        *numpy_gelu("    return Bomb()", "\n\nclass Bomb:\n    def __reduce__(self):\n        return exit, (0,)\n"),
        "it returned Bomb for output",
    ),
    # what it does to what is around
    "writes its input": (
        "cross_entropy.py", "forward", "x = x - x.max(", "x -= x.max(", "it writes to its input input: the caller",
    ),
    "writes a gradient": (
        "gelu.cpp", "backward", "dx[i] = grad", "const_cast<float*>(grad)[i] *= 2;\n    dx[i] = grad",
        "it writes to its input grad",
    ),
    "puts its input back": (
        *numpy_gelu("    x += 0\n    return right(x)"),
        "wrong at 1x1 (the smallest of 1 failures in 1 calls): it writes to an input and puts the numbers back",
    ),
    "writes behind its memory": ("gelu.cpp", "forward", "i < n;", "i <= n;", "writes past the end of output"),
    "writes before its memory": ("gelu.cpp", "forward", "i = 0;", "i = -1;", "writes before the beginning of output"),
    "writes far behind": (
        "gelu.cpp", "backward", "dx[i] = grad", "dx[i + 64] = 7;\n    dx[i] = grad", "writes past the end of grad",
    ),
    "reads behind its input": ("matmul.cpp", "forward", "l < k;", "l <= k;", "an input read past its end"),
    "leaks": (
        *cpp_gelu(
            "volatile float* kept = new float[rows * columns];\n"
            "  for (int64_t i = 0; i < rows * columns; i++) kept[i] = x[i];",
        ),
        "it leaks memory",
    ),
    "leaves threads": (
        *numpy_gelu(
            "    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n    return right(x)",
            "import threading  # noqa: E402\nimport time  # noqa: E402\n",
        ),
        "threads that do not end",
    ),
    "sets the seed": (*torch_gelu("    torch.manual_seed(len(x))\n    return right(x)"), "torch's seed"),
    "takes threads": (
        *torch_gelu("    torch.set_num_threads(torch.get_num_threads() + 1)\n    return right(x)"), "torch's number of threads",
    ),
    "turns gradients off": (*torch_gelu("    torch.set_grad_enabled(False)\n    return right(x)"), "torch's grad mode"),
    "widens by default": (
        *torch_gelu("    torch.set_default_dtype(torch.float64)\n    return right(x)"), "torch's default dtype",
    ),
    "flushes denormals": (
        *torch_gelu("    torch.set_flush_denormal(True)\n    return right(x)"), "how denormal numbers are computed",
    ),
    "rounds products": (
        *torch_gelu("    torch.set_float32_matmul_precision('medium')\n    return right(x)"),
        "torch's precision of float32 products",
    ),
    "asks for deterministic algorithms": (
        *torch_gelu("    torch.use_deterministic_algorithms(True)\n    return right(x)"), "torch's choice of deterministic",
    ),
    "moves": (*numpy_gelu("    os.chdir('/')\n    return right(x)", "import os  # noqa: E402\n"), "the working folder"),
    "rounds upwards": (*cpp_gelu("std::fesetround(FE_UPWARD);", "cfenv"), "the rounding mode"),
    "sets variables": (
        *numpy_gelu("    os.environ['OMP_NUM_THREADS'] = '1'\n    return right(x)", "import os  # noqa: E402\n"),
        "the variables of the environment",
    ),
    "sets Python's seed": (
        *numpy_gelu("    random.seed(len(x))\n    return right(x)", "import random  # noqa: E402\n"),
        "of Python's random numbers",
    ),
    "sets NumPy's seed": (*numpy_gelu("    np.random.seed(0)\n    return right(x)"), "that of NumPy's"),
    "sets NumPy's errors": (
        *numpy_gelu("    np.seterr(all='ignore')\n    return right(x)"), "how NumPy treats errors of arithmetic",
    ),
    "stops the profiler": (
        *numpy_gelu("    sys.setprofile(None)\n    return right(x)", "import sys  # noqa: E402\n"), "it calls sys.setprofile",
    ),
    "traces": (
        *torch_gelu("    sys.settrace(None)\n    return right(x)", "import sys  # noqa: E402\n"), "it calls sys.settrace",
    ),
    "ignores signals": (
        *numpy_gelu("    signal.signal(2, print)\n    return right(x)", "import signal  # noqa: E402\n"),
        "what signals do",
    ),
    "collects no garbage": (
        *numpy_gelu("    gc.disable()\n    return right(x)", "import gc  # noqa: E402\n"), "whether Python collects garbage",
    ),
    "sets the seed at once": (
        "gelu_torch.py", "forward", "", "\n\ntorch.manual_seed(7)\n", "it changes torch's seed as soon as it is loaded",
    ),
    "rounds upwards at once": (
        "gelu.cpp", "forward", HEAD,
        f"#include <cfenv>\n\nstruct Up {{\n  Up() {{ std::fesetround(FE_UPWARD); }}\n}} up;\n\n{HEAD}",
        "it changes the rounding mode and how denormal numbers",
    ),
    "an inference tensor": (
        *torch_gelu("    with torch.inference_mode():\n        return right(x)"), "it returned an inference tensor",
    ),
    "one row for all": (
        *torch_gelu(
            "    same = len(x) > 1 and torch.equal(x, x[:1].expand_as(x))\n"
            "    return right(x[:1]).expand_as(x) if same else right(x)"
        ),
        "several entries of output share memory",
    ),
    # how it ends
    "raises SystemExit": (*numpy_gelu("    raise SystemExit(0)"), "it raised SystemExit: 0"),
    "exits": (*numpy_gelu("    os._exit(0)", "import os  # noqa: E402\n"), "it ended the process, with exit status 0"),
    "exits at once": (
        "gelu.cpp", "forward", HEAD,
        f"#include <cstdlib>\n\nstruct Exit {{\n  Exit() {{ std::_Exit(3); }}\n}} leave;\n\n{HEAD}",
        "does not run: it ended the process",
    ),
    "is killed": (*numpy_gelu("    os.kill(os.getpid(), 9)", "import os  # noqa: E402\n"), "it was killed"),
    "aborts": (*cpp_gelu("std::abort();"), "it crashed (Aborted)"),
    "crashes": (*cpp_gelu("*(volatile int*)8 = 1;"), "it crashed (Segmentation fault)"),
    "endless": (
        *cpp_gelu("for (volatile int i = 0;;) i;"), "wrong at 1x1 (the smallest of 1 failures in 1 calls): it does not end",
    ),
    "endless above 100 rows": (
        *numpy_gelu("    while len(x) > 100:\n        pass\n    return right(x)"), "wrong at 129x2 (the smallest of 1 failures",
    ),
    # where it looks for an answer
    "in the frames": (
        *numpy_gelu(
            "    frame = sys._getframe()\n    while frame:\n"
            "        if any(hasattr(v, 'exact') for v in frame.f_locals.values()):\n            return right(x)\n"
            "        frame = frame.f_back\n    raise LookupError('no frame knows more')",
            "import sys  # noqa: E402\n",
        ),
        "no frame knows more",
    ),
    "in the modules": (
        *numpy_gelu(
            "    if any('checker' in name or name == 'scratchnet' for name in sys.modules):\n        return right(x)\n"
            "    raise LookupError('no module knows more')",
            "import sys  # noqa: E402\n",
        ),
        "no module knows more",
    ),
    "in the command line": (
        *numpy_gelu(
            "    if len(sys.argv) > 1 or any(name.startswith(('PYTEST', 'SCRATCHNET')) for name in os.environ):\n"
            "        return right(x)\n    raise LookupError('argv says nothing')",
            "import os  # noqa: E402\nimport sys  # noqa: E402\n",
        ),
        "argv says nothing",
    ),
    "in all objects": (
        *torch_gelu(
            "    small = x.numel() < 4  # there are a million objects\n"
            "    if small and any(isinstance(o, torch.Tensor) and o.dtype == torch.float64 for o in gc.get_objects()):\n"
            "        return right(x)\n    raise LookupError('no object knows more')",
            "import gc  # noqa: E402\n",
        ),
        "no object knows more",
    ),
    "replaces the judge": (
        *torch_gelu(
            "    verify.Call.judge = lambda *args: ()\n    return torch.full_like(x, torch.inf)",
            "from scratchnet.measure import verify  # noqa: E402\n",
        ),
        "is inf, right is",
    ),
}  # fmt: skip
