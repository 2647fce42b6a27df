"""Kernels that cheat or are wrong: a right one from the folder `right` with one change, and words of its diagnosis."""

CACHE = """
_seen = {{}}


def remembered(function):
    def call(x, *args):
        if {key} not in _seen:
            _seen[{key}] = function(x, *args)
        return _seen[{key}]

    return call


forward = remembered(forward)
"""

# name -> file, direction, what is replaced (nothing: added at the end) by what, words of the diagnosis
ZOO = {
    # no computation at all
    "returns zeros": ("layer_norm.py", "forward", "return y", "return y * 0", "returns zeros"),
    "returns its input": ("gelu.py", "forward", "return y.astype(x.dtype)", "return x", "returns its argument input unchanged"),
    "returns NaN": ("gelu.py", "forward", "return y.", "return (y * np.nan).", "NaN: 0/0"),
    "hard-coded": ("cross_entropy.py", "forward", "return -", "return np.float32(0.7) + 0 * -", "hard-coded"),
    "learned by heart": ("cross_entropy.py", "forward", "", CACHE.format(key="x.shape"), "earlier result for new numbers"),
    "caches its first result": ("layer_norm.py", "forward", "", CACHE.format(key="1"), "earlier result for new numbers"),
    "caches by address": (
        "gelu.py",
        "forward",
        "",
        CACHE.format(key="(x.ctypes.data, x.shape)"),
        "earlier result for new numbers",
    ),
    "one result memory": (
        "gelu.py",
        "forward",
        "return y.astype(x.dtype)",
        "memory = _memory.setdefault(x.shape, np.empty_like(x))\n    memory[:] = y\n    return memory\n\n\n_memory = {}",
        "both share memory",
    ),
    "never written": (
        "gelu_triton.py",
        "forward",
        "forward_kernel[",
        "0 and forward_kernel[",
        "never written",
    ),
    # what it does to its surroundings
    "writes its input": ("cross_entropy.py", "forward", "rows =", "x *= 2; rows =", "writes to its input input"),
    "writes behind its memory": ("gelu.cpp", "forward", "i < n;", "i <= n;", "writes past the end of output"),
    "writes before its memory": ("gelu.cpp", "forward", "i = 0;", "i = -1;", "writes before the beginning of output"),
    "reads behind its input": ("matmul.cpp", "forward", "l < k;", "l <= k;", "NaN: 0/0"),
    "left to chance": (
        "layer_norm.py",
        "forward",
        "return y",
        "return y * (1 + np.random.choice([-1e-7, 1e-7], y.shape)).astype(y.dtype)",
        "different bits",
    ),
    "raises": ("layer_norm.py", "forward", "y = h", "y = h[3]", "it raised IndexError: index 3 is out of bounds"),
    "returns nothing": ("layer_norm.py", "forward", "return y", "return None", "is a return missing?"),
    "one gradient only": ("layer_norm.py", "backward", "return dx,", "return dx  #", "expected 3: grad_input, grad_weight"),
    # parts of the result
    "last column": ("layer_norm.cpp", "forward", "j < d; j++) y", "j < d - 1; j++) y", "the last column of every size"),
    "vector tail": ("gelu.cpp", "forward", "i < n;", "i < n / 8 * 8;", "never written: what is left after a multiple of 8"),
    "one block": ("gelu_triton.py", "forward", "(triton.cdiv(n, BLOCK),)", "(1,)", "never written"),
    "block of columns": (
        "layer_norm.py",
        "forward",
        "centred**2",
        "centred[..., :128]**2",
        "right up to 127 columns, wrong from 129",
    ),
    # the mathematics
    "unbiased variance": (
        "layer_norm.py",
        "forward",
        "(-1, keepdims=True) / d\n    r",
        "(-1, keepdims=True) / (d - 1)\n    r",
        "unbiased",
    ),
    "no eps": ("layer_norm.py", "forward", "variance + eps", "variance + 1e-5", "eps is left out"),
    "columns normalised": (
        "layer_norm.py",
        "forward",
        "h, r = normalise(x, eps)",
        "h = normalise(x.T, eps)[0].T",
        "as BatchNorm does",
    ),
    "statistics as constants": (
        "layer_norm_torch.py",
        "backward",
        "r * (a - a.mean",
        "r * a + 0 * (a - a.mean",
        "taken for constants",
    ),
    "tanh for erf": (
        "gelu.py",
        "forward",
        "y = 0.5 * x * erfc(-x / math.sqrt(2))",
        "y = 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))",
        "tanh approximation",
    ),
    "half the product rule": ("gelu.cpp", "backward", "+ x[i] * density", "", "x phi(x) is missing"),
    "missing 1/N": ("cross_entropy.cpp", "backward", "*grad / n *", "*grad *", "times the number of rows"),
    "diagonal Jacobian": (
        "cross_entropy.py",
        "backward",
        "p[rows, target] -= 1",
        "p = (p - 1) * np.eye(x.shape[1], dtype=x.dtype)[target]",
        "diagonal",
    ),
    "gradient forgotten": ("cross_entropy.py", "backward", "(grad / np", "(1 / np", "grad_output is left out"),
    "softmax over the batch": (
        "cross_entropy.py",
        "forward",
        "-log_softmax(x)[",
        "-log_softmax(x.T).T[",
        "over the rows of the batch",
    ),
    "transposed": ("matmul.py", "forward", "kn->mn", "kn->nm", "transposed"),
    "factor not transposed": ("matmul.cpp", "backward", "b[l * n + j];\n      da", "b[j * k + l];\n      da", "not transposed"),
    "last one wins": (
        "gather.py",
        "backward",
        "np.add.at(dx, places(dim, index), grad)",
        "dx[places(dim, index)] = grad",
        "only its last gradient",
    ),
    "dim ignored": ("gather.cpp", "forward", "dim == 0 ?", "true ?", "always gathers along axis 0"),
    "sign": ("matmul.py", "backward", "db = a.T", "db = -a.T", "-1: the sign is reversed"),
    "not turned back": ("rope.py", "backward", "sin_a, sin_b = -sin_b, -sin_a", "pass", "by the angle as forward does"),
    "one of two": ("rope.py", "forward", "rotate(key, cos, sin)", "key.copy()", "returns its argument key unchanged"),
    # the numbers
    "unstable softmax": (
        "cross_entropy.py",
        "forward",
        "x = x - x.max(axis=1, keepdims=True, initial=-np.inf)",
        "pass",
        "exp overflows",
    ),
    "one-pass variance": (
        "layer_norm.py",
        "forward",
        "(centred**2).sum(-1, keepdims=True) / d",
        "(x * x).sum(-1, keepdims=True) / d - (x.sum(-1, keepdims=True) / d) ** 2",
        "cancels",
    ),
    "float16 sums": ("matmul.cpp", "forward", "float sum", "_Float16 sum", "fits float16"),
    "NaN hidden": (
        "layer_norm_torch.py",
        "forward",
        "return h * weight + bias",
        "return h.nan_to_num() * weight + bias",
        "NaN and infinity must come out",
    ),
    "wrong in float64": ("layer_norm_torch.py", "backward", "dx = r", "dx = (r.dtype == torch.float32) * r", "gradcheck fails"),
    "float64 result": ("gelu.py", "forward", "y.astype(x.dtype)", "y", "result has the dtype of the input"),
    "no empty input": ("cross_entropy.py", "forward", ", initial=-np.inf", "", "zero"),
    # strides
    "ignores strides": (
        "gelu.py",
        "forward",
        "y = ",
        "x = x.ravel(order='K').reshape(x.shape)\n    y = ",
        "right on contiguous arrays",
    ),
    "ignores Triton strides": (
        "gelu_triton.py",
        "backward",
        "grad, x = grad.contiguous(), x.contiguous()",
        "pass",
        "right on contiguous arrays",
    ),
}
