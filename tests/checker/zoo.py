"""Kernels that are wrong: a right one from the folder `right` with one change, and words of its diagnosis.

name -> file, direction, what is replaced (nothing: added at the end) by what, words that no other diagnosis of the zoo has
"""

from cheats import CHEATS

WRONG = {
    # no computation at all
    "returns zeros": ("layer_norm.py", "forward", "return y if", "return y * 0 if", "returns zeros"),
    "returns its input": (
        "gelu.py", "forward", "return y.astype(x.dtype)", "return x.copy()", "returns its argument input unchanged",
    ),
    "returns NaN": ("gelu.py", "forward", "return y.", "return (y * np.nan).", "NaN: 0/0"),
    "hard-coded": ("cross_entropy.py", "forward", "return -", "return np.float32(0.7) + 0 * -", "hard-coded"),
    "never written": (
        "gelu_triton.py", "forward", "forward_kernel[", "0 and forward_kernel[",
        "NaN: 0/0, infinity - infinity, memory that was never",
    ),
    "raises": ("layer_norm.py", "forward", "y = h", "y = h[3]", "it raised IndexError: index 3 is out of bounds"),
    "returns nothing": ("gelu.py", "forward", "return y", "None and y", "returned None for output: is a return missing?"),
    "returns a list": (
        "gelu.py", "backward", "return dx.astype(x.dtype)", "return {'dx': dx}", "it returned dict for grad_input",
    ),
    "one gradient only": ("matmul.py", "backward", "return da, db", "return da,", "expected 2: grad_input, grad_other"),
    # parts of the result
    "last column": ("layer_norm.cpp", "forward", "j < d; j++) y", "j < d - 1; j++) y", "the last column of every size"),
    "last row": ("matmul.cpp", "forward", "i < m;", "i < m - 1;", "the last row of every size"),
    "last element": (
        "gelu.cpp", "backward", "i < rows * columns;", "i + 1 < rows * columns;", "the last element of every size",
    ),
    "vector tail": ("gelu.cpp", "forward", "i < n;", "i < n / 8 * 8;", "never written: what is left after a multiple of 8"),
    "no mask": ("gelu_triton.py", "forward", "v = tl.load(x + i, mask=i < n)", "v = tl.load(x + i)", "a load has no mask"),
    "one block": ("gelu_triton.py", "forward", "(triton.cdiv(n, BLOCK),)", "(1,)", "rows 128 to 128 at 129x2"),
    "block of columns": (
        "layer_norm.py", "forward", "variance = (centred**2)", "variance = (centred[..., :1000] ** 2)",
        "right up to 1000 columns",
    ),
    "whole blocks of rows": (
        "matmul.py", "backward", "return da, db", "da[-32:] *= len(da) % 32 != 0\n    return da, db",
        "wrong at 32x32 (the smallest of",
    ),
    "rows for columns": ("layer_norm.cpp", "forward", "j < d; j++) y", "j < n; j++) y", "ends at the number of rows"),
    # the mathematics
    "unbiased variance": (
        "layer_norm.py", "forward", "(centred**2).sum(axes, keepdims=True) / d",
        "(centred**2).sum(axes, keepdims=True) / (d - 1)", "unbiased",
    ),
    "no eps": ("layer_norm.py", "forward", "variance + eps", "variance + 1e-5", "eps is left out"),
    "eps outside the root": (
        "layer_norm.py", "forward", "np.sqrt(variance + eps)", "(np.sqrt(variance) + eps)", "it belongs under the root",
    ),
    "not the root": ("layer_norm_torch.py", "forward", ".rsqrt()", ".reciprocal()", "by the variance, not by its root"),
    "not centred": ("layer_norm.py", "forward", "return centred * r", "return x * r", "the mean is not subtracted"),
    "columns normalised": (
        "layer_norm.py", "forward", "h, r, axes, d = normalise(x, shape, eps)", "h = normalise(x.T, x.T.shape[1:], eps)[0].T",
        "as BatchNorm does",
    ),
    "no weight": ("layer_norm.py", "forward", "y = h if weight is None else h * weight", "y = h", "weight is left out"),
    "no bias": ("layer_norm.cpp", "forward", " + bias[j]", "", "bias is left out"),
    "statistics as constants": (
        "layer_norm_torch.py", "backward", "r * (a - a.mean", "r * a + 0 * (a - a.mean",
        "mean and variance are taken for constants",
    ),
    "variance as a constant": (
        "layer_norm.py", "backward", "/ d - h * (a", "/ d - 0 * h * (a", "the variance is taken for a constant",
    ),
    "mean as a constant": (
        "layer_norm.py", "backward", "a - a.sum(axes, keepdims=True) / d", "a", "the mean is taken for a constant",
    ),
    "tanh for erf": (
        "gelu.py", "forward", "y = 0.5 * x * erfc(-x / math.sqrt(2))",
        "y = 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))", "tanh approximation",
    ),
    "half the product rule": ("gelu.cpp", "backward", "+ x[i] * density", "", "x phi(x) is missing"),
    "missing 1/N": ("cross_entropy.cpp", "backward", "*grad / n *", "*grad *", "times the number of rows"),
    "1/N twice": (
        "cross_entropy.py", "forward", "target].mean()", "target].mean() / np.float32(len(x))", "divided by N once too often",
    ),
    "diagonal Jacobian": (
        "cross_entropy.py", "backward", "p[np.arange(len(rows)), target] -= 1",
        "p = (p - 1) * np.eye(x.shape[1], dtype=x.dtype)[target]", "diagonal",
    ),
    "gradient forgotten": ("cross_entropy.py", "backward", "(grad / x", "(1 / x", "grad_output is left out"),
    "softmax over the batch": (
        "cross_entropy.py", "forward", "-log_softmax(x)[", "-log_softmax(x.T).T[", "over the rows of the batch",
    ),
    "transposed": ("matmul.py", "forward", "kn->...mn", "kn->...nm", "it is right but transposed"),
    "first factor transposed": ("matmul.cpp", "forward", "a[i * k + l]", "a[l * m + i]", "the first matrix is read transposed"),
    "second factor transposed": (
        "matmul.cpp", "forward", "b[l * n + j]", "b[j * k + l]", "the second matrix is read transposed",
    ),
    "other order": ("matmul.py", "forward", "mk,...kn->...mn\", a, b", "mk,...kn->...mn\", b, a", "in the other order"),
    "factor not transposed": ("matmul.cpp", "backward", "b[l * n + j];\n      da", "b[j * k + l];\n      da", "not transposed"),
    "last one wins": (
        "gather.py", "backward", "np.add.at(dx, places(x, dim, index), grad)", "dx[places(x, dim, index)] = grad",
        "only its last gradient",
    ),
    "dim ignored": ("gather.cpp", "forward", "dim == 0 ?", "true ?", "always gathers along axis 0"),
    "sign": ("matmul.py", "backward", "db = np", "db = -np", "-1: the sign is reversed"),
    "twice": ("gelu.py", "backward", "dx = grad", "dx = 2 * grad", "2: something is counted twice"),
    "not turned back": ("rope.py", "backward", "sin_a, sin_b = -sin_b, -sin_a", "pass", "by the angle as forward does"),
    "one of two": ("rope.py", "forward", "rotate(key, cos, sin)", "key.copy()", "returns its argument key unchanged"),
    "not scaled": (
        "attention.cpp", "forward", " / std::sqrt(double(d));\n  double most", ";\n  double most",
        "root of the head size: sums",
    ),
    # the numbers
    "unstable softmax": (
        "cross_entropy.py", "forward", "x = x - x.max(axis=1, keepdims=True, initial=-np.inf)", "pass", "exp overflows",
    ),
    "one-pass variance": (
        "layer_norm.cpp", "forward",
        "squares += (x[j] - mean) * (x[j] - mean);\n  return {mean, float(1 / std::sqrt(squares / d + eps))}",
        "squares += x[j] * x[j];\n  return {mean, float(1 / std::sqrt(squares / d - mean * mean + eps))}", "cancels",
    ),
    "float16 sums": ("matmul.cpp", "forward", "float sum", "_Float16 sum", "fits float16"),
    "bfloat16 pairs": ("matmul_bfloat16.py", "forward", "PIECES = 3", "PIECES = 2", "digits are right"),
    "NaN hidden": (
        "layer_norm_torch.py", "forward", "y = h if", "h = h.nan_to_num()\n        y = h if", "NaN and infinity must come out",
    ),
    "float32 in float64": (
        "layer_norm.py", "forward", "h, r, axes, d = normalise(x, shape, eps)",
        "h, r, axes, d = normalise(x.astype(np.float32), shape, eps)\n    h = h.astype(x.dtype)", "rounded to float32",
    ),
    "float64 result": ("gelu.py", "forward", "y.astype(x.dtype)", "y", "result has the dtype of the input"),
    "no empty input": ("cross_entropy.py", "forward", ", initial=-np.inf", "", "sizes of zero are calls"),
    "subnormals flushed": (
        "gelu.cpp", "forward", "y[i] = x[i]", "y[i] = (std::fabs(x[i]) < 1.2e-38f ? 0 : x[i])", "subnormal numbers",
    ),
    "wrong in the middle": (
        "gelu.py", "forward", "return y.", "y = y * np.where((abs(x) > 6) & (abs(x) < 9000), 1.01, 1)\n    return y.",
        "size of 10",
    ),
    "wrong at 1000": (
        "gelu.py", "backward", "return dx.", "dx = dx * np.where((abs(x) > 500) & (abs(x) < 5000), 1.01, 1)\n    return dx.",
        "size of 1000",
    ),
    "wrong at 1e6": (
        "gelu.py", "forward", "return y.", "y = y * np.where((abs(x) > 1e5) & (abs(x) < 1e30), 1.01, 1)\n    return y.",
        "size of 1e+06",
    ),
    "wrong at 1e-20": (
        "gelu_torch.py", "forward", "ctx.save", "x = x.where((x.abs() < 1e-37) | (x.abs() > 1e-6), x * 1.01)\n        ctx.save",
        "size of 1e-20",
    ),
    "NaN lost at the end": (
        "softmax.py", "forward", "    e = np.exp(x",
        "    x = x.copy()\n    x[..., 1:][np.isnan(x[..., 1:]) & ~np.isnan(x[..., :1])] = -np.inf\n    e = np.exp(x",
        "one NaN at the end",
    ),
    "NaN at +infinity": (
        "silu_torch.py", "forward", "(1 + torch.exp(-x))", "(1 + torch.exp(-x)).where(x < torch.inf, torch.nan)",
        "a row of +infinity",
    ),
    "NaN at 0": ("gelu.cpp", "forward", "y[i] = x[i] *", "y[i] = x[i] / x[i] * x[i] *", "a row of 0"),
    "overflows": (
        "cross_entropy.cpp", "forward", "- x[i * c + target[i]];", "* 1e3f / 1e3f - x[i * c + target[i]];",
        "the largest number",
    ),
    # 16 bits
    "mean in 16 bits": (
        "layer_norm_torch.py", "forward", "wide(x).mean(axes, keepdim=True)", "wide(x).mean(axes, keepdim=True).to(x.dtype)",
        "the mean is rounded to 16 bits",
    ),
    "deviation in 16 bits": (
        "layer_norm_torch.py", "forward", "+ eps).rsqrt()", "+ eps).rsqrt().to(x.dtype)", "wrong at 6x2000, bfloat16, affine",
    ),
    "mean square in 16 bits": (
        "rms_norm_torch.py", "forward", "mean(axes, keepdim=True)", "mean(axes, keepdim=True).to(x.dtype)",
        "its sum or its statistics are rounded to 16 bits",
    ),
    "sum in 16 bits": (
        "softmax_torch.py", "forward", "e.sum(dim, keepdim=True)", "e.sum(dim, keepdim=True).to(x.dtype)",
        "wrong at 6x2000, bfloat16, last dim",
    ),
    "logsumexp in 16 bits": (
        "cross_entropy_torch.py", "forward", "x - torch.logsumexp(x, 1, keepdim=True)",
        "x - torch.logsumexp(x, 1, keepdim=True).to(dtype)", "the logsumexp is rounded to 16 bits",
    ),
    "products in 16 bits": (
        "matmul_torch.py", "forward", "torch.promote_types(a.dtype, torch.float32)", "a.dtype",
        "the products are added up in 16 bits",
    ),
    # strides, options
    "ignores strides": (
        "gelu.py", "forward", "y = ", "x = x.ravel(order='K').reshape(x.shape)\n    y = ", "right on contiguous arrays",
    ),
    "ignores Triton strides": (
        "gelu_triton.py", "backward", "grad, x = grad.contiguous(), x.contiguous()", "pass", "18 calls): gradient of input",
    ),
    "ignores the pitch": (
        "gelu_torch.py", "forward", "ctx.save",
        "x = x.as_strided(x.shape, (x.shape[1], 1), x.storage_offset()) if x.stride(1) == 1 and x.stride(0) else x\n"
        "        ctx.save",
        "wide[:, :k]",
    ),
    "shape unread": (
        "layer_norm.py", "forward", "axes = tuple(range(-len(shape), 0))\n    d = max(math.prod(shape), 1)",
        "axes = (-1,)\n    d = x.shape[-1] or 1", "2-D shape",
    ),
    "no None": ("layer_norm.py", "forward", "h if weight is None else h * weight", "h * weight", "wrong at 3x2, plain"),
    "no ignore_index": (
        "cross_entropy.py", "forward", "target != -100", "target == target", "-100, which ignore_index is by default",
    ),
    "no range check": ("gather.py", "forward", "0 <= index.min()", "-9 <= index.min()", "torch raises an exception"),
    "index of one shape": (
        "gather.py", "forward", "np.indices(index.shape)", "np.indices(x.shape)", "middle dim, smaller index",
    ),
}  # fmt: skip

ZOO = WRONG | CHEATS
