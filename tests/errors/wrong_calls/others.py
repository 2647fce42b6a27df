"""Wrong calls of what belongs to no primitive."""

import torch
from wrong import C64, I64, Wrong, meta, x

F_DROP, F_MSE, F_RELU = "nn.functional.dropout", "nn.functional.mse_loss", "nn.functional.relu"
parameter = torch.nn.Parameter(x(2))
WRONG = [
    Wrong("accelerate", (torch.nn.Linear,), "model", "torch.nn.Module, not Linear | call it first", error=TypeError),
    Wrong("accelerate", ([],), "model", "torch.nn.Module, not list", error=TypeError),
    Wrong("decelerate", (torch.nn.Linear,), "model", "torch.nn.Module, not Linear | call it first", error=TypeError),
    Wrong("decelerate", ([],), "model", "torch.nn.Module, not list", error=TypeError),
    Wrong(F_DROP, (x(3), 1.5), "p", "between 0 and 1, but got 1.5"),
    Wrong(F_DROP, (x(3), -0.1), "p", "between 0 and 1, but got -0.1"),
    Wrong(F_DROP, ([1.0, 2.0],), "input", "must be Tensor, not list"),
    Wrong(F_DROP, (x(3, dtype=I64),), "input", "Long | .float()"),
    Wrong(F_RELU, ([1.0, -1.0],), "input", "must be Tensor, not list"),
    Wrong(F_RELU, (None,), "input", "must be Tensor, not NoneType"),
    Wrong(
        "nn.Transformer",
        (x(2, 1, 4), x(2, 3, 4)),
        "tgt",
        "batch number of src and tgt must be equal | 1 and 3",
        made_with=(4, 1),
    ),
    Wrong("nn.Transformer", (x(2, 1, 4), x(2, 1, 6)), "tgt", "equal to d_model | 4 | 6", made_with=(4, 1)),
    Wrong("nn.Dropout", (2,), "p", "between 0 and 1, but got 2"),
    Wrong(F_MSE, (x(3), x(4)), "target", "(4,) | (3,)"),
    Wrong(F_MSE, (x(2, 3, 1), x(2, 3)), "target", "(2, 3) | (2, 3, 1) | squeeze(2)"),
    Wrong(F_MSE, (x(3, dtype=I64), x(3, dtype=I64)), "input", "torch.int64 | .float()"),
    Wrong(F_MSE, (x(3, dtype=C64), x(3)), "input", "torch.complex64"),
    Wrong(F_MSE, (x(3), x(3)), "reduction", "avg | 'none', 'mean' or 'sum'", {"reduction": "avg"}),
    Wrong(F_MSE, (x(3), x(3)), "weight", "(2,) | (3,)", {"weight": x(2)}),
    Wrong(F_MSE, (x(3), [1.0, 2.0, 3.0]), "target", "must be Tensor, not list", error=TypeError),
    Wrong(F_MSE, (None, x(3)), "input", "must be Tensor, not NoneType", error=TypeError),
    Wrong(F_MSE, (x(3), meta(3)), "target", "meta | cpu"),
    Wrong("optim.SGD", ([parameter], -0.1), "lr", "Invalid learning rate: -0.1"),
    Wrong("optim.SGD", ([parameter],), "momentum", "Invalid momentum value: -1", {"momentum": -1}),
    Wrong("optim.SGD", ([parameter],), "nesterov", "momentum=0.9, dampening=0", {"nesterov": True}),
    Wrong("optim.SGD", ([],), "params", "empty parameter list | model.parameters()"),
    Wrong("optim.Adam", ([parameter],), "betas", "index 0: 1.0 | 0 <= beta < 1", {"betas": (1.0, 0.9)}),
    Wrong("optim.Adam", ([parameter],), "eps", "Invalid epsilon value: -1", {"eps": -1}),
    Wrong("optim.Adam", ([],), "params", "empty parameter list | model.parameters()"),
    Wrong("optim.AdamW", ([parameter],), "betas", "index 1: 1.5 | 0 <= beta < 1", {"betas": (0.9, 1.5)}),
    Wrong("optim.AdamW", ([parameter],), "fused", "`differentiable`", {"fused": True, "differentiable": True}),
    Wrong("optim.RMSprop", ([parameter],), "alpha", "Invalid alpha value: -1", {"alpha": -1}),
    Wrong("optim.RMSprop", ([],), "params", "empty parameter list | model.parameters()"),
    Wrong("optim.Adagrad", ([parameter],), "lr_decay", "Invalid lr_decay value: -1", {"lr_decay": -1}),
    Wrong("optim.Adagrad", ([],), "params", "empty parameter list | model.parameters()"),
    Wrong("backend", ("cuba",), "name", "no backend 'cuba' | numpy, reference, cpp", error=ValueError),
    Wrong("backend", ("cpp:9",), "name", "no rung '9' | 1 to ", error=ValueError),
    Wrong("backend", ("cpp:fast",), "name", "no rung 'fast' | 1 to ", error=ValueError),
    Wrong("backend", (1,), "name", "must be str or None, not int", error=TypeError),
]
