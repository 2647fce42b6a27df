"""Wrong calls of pooling."""

from wrong import I32, I64, Wrong, x

F_MAX, F_AVG = "nn.functional.max_pool2d", "nn.functional.avg_pool2d"
F_ADA, ADAPTIVE = "nn.functional.adaptive_avg_pool2d", "adaptive_avg_pool2d"
IMAGES = x(2, 3, 6, 7)
WRONG = [
    *(
        Wrong(function, (IMAGES, *args), argument, words)
        for function in (F_MAX, F_AVG)
        for args, argument, words in (
            ((-1,), "kernel_size", "kernel size should be greater than zero | (-1, -1)"),
            (((2, 2, 2),), "kernel_size", "single int, or a tuple of two ints | (2, 2, 2)"),
            ((2.5,), "kernel_size", "must be tuple of ints, not float"),
            (("2",), "kernel_size", "must be tuple of ints, not str"),
            ((2, 0), "stride", "should be greater than zero | (0, 0)"),
            ((2, (1, 2, 3)), "stride", "tuple of two ints | (1, 2, 3)"),
            ((2, 2, -1), "padding", "non-negative, but got pad: -1"),
            ((2, 2, 2), "padding", "at most half of effective kernel size | pad=2, kernel_size=2"),
            ((2, 2, 0.5), "padding", "must be tuple of ints, not float"),
            ((9,), "input", "(3x6x7) | Output size is too small | (9, 9) | earlier layers"),
        )
    ),
    Wrong(F_MAX, (IMAGES, 2), "dilation", "greater than zero | (0, 0)", {"dilation": 0}),
    Wrong(F_MAX, (x(6, 7), 2), "input", "3D or 4D | (C, H, W) | [6, 7]"),
    Wrong(F_AVG, (x(1, 2, 3, 6, 7), 2), "input", "3D or 4D | [1, 2, 3, 6, 7]"),
    Wrong(F_MAX, (x(2, 0, 6, 7), 2), "input", "optional 0 dim batch size | [2, 0, 6, 7]"),
    Wrong(F_AVG, (x(2, 3, 0, 7), 2), "input", "optional 0 dim batch size | [2, 3, 0, 7]"),
    Wrong(F_MAX, ([1.0], 2), "input", "must be Tensor, not list"),
    Wrong(F_AVG, ([1.0], 2), "input", "must be Tensor, not list"),
    Wrong(F_MAX, (IMAGES > 1, 2), "input", "Bool"),
    Wrong(F_AVG, (x(3, 6, 7, dtype=I32), 2), "input", "Int | .float()"),
    Wrong(F_AVG, (IMAGES, 2), "divisor_override", "not zero", {"divisor_override": 0}),
    Wrong(F_AVG, (IMAGES, 2), "divisor_override", "must be int, not float", {"divisor_override": 1.5}),
    Wrong(F_AVG, (IMAGES, 2, 2, 0, 1), "ceil_mode", "must be bool, not int"),
    Wrong(F_ADA, (IMAGES, -1), "output_size", "greater than or equal to 0 | (-1, -1)"),
    Wrong(F_ADA, (IMAGES, (1, 2, 3)), "output_size", "must be 2 | (1, 2, 3)"),
    Wrong(F_ADA, (IMAGES, 1.5), "output_size", "must be tuple of ints, not float"),
    Wrong(F_ADA, (IMAGES, (2, 2.5)), "output_size", "type float"),
    Wrong(F_ADA, (x(6, 7), (2, 2)), "input", "at least 3, got 2 | unsqueeze(0)"),
    Wrong(F_ADA, (x(1, 2, 3, 6, 7), 2), "input", "3D or 4D | [1, 2, 3, 6, 7]"),
    Wrong(F_ADA, (x(2, 3, 0, 7), 2), "input", "non-zero size | [2, 3, 0, 7]"),
    Wrong(F_ADA, (x(3, 6, 7, dtype=I64), 2), "input", "Long | .float()"),
    Wrong(F_ADA, ([1.0], 2), "input", "must be Tensor, not list", error=TypeError),
    Wrong("nn.MaxPool2d", (x(6, 7),), "input", "3D or 4D", made_with=(2,), blames="max_pool2d"),
    Wrong("nn.AvgPool2d", (IMAGES,), "padding", "at most half", made_with=(2, 2, 2), blames="avg_pool2d"),
    Wrong("nn.AdaptiveAvgPool2d", (IMAGES,), "output_size", "greater than or equal", made_with=(-1,), blames=ADAPTIVE),
]
