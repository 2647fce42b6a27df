"""Shapes of models that people train, for every operator: one line per call, with the model beside it.

Each entry takes `t`, which draws a differentiable tensor of a shape, and returns the arguments of the operator. The widths and
vocabularies are the models'; only a slice of the largest weights is taken along the other axis, so that a float64 judge fits in
3 GiB: it is the odd sizes and the long axes that find what small tests cannot.
"""

from importlib import import_module

from scratchnet.ops import FILES

SHAPES = {op: import_module(f"shapes.{file}").SHAPES[op] for op, file in FILES.items()}
