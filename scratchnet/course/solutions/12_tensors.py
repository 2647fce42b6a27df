"""Exercise 12: what is in .grad, a descent that empties it, gradient accumulation with a smaller last piece, a Function."""

import torch

from scratchnet.course import drawn, task
from scratchnet.course.calls import Products


def as_they_stand(grads):
    return {line: value.item() if isinstance(value, torch.Tensor) else value for line, value in grads().items()}


@task(
    facts=as_they_stand,
    hints=(
        "Before any backward there is nothing. Every backward adds to what is there.",
        "The derivative of w * w is 2 w; of c * w with a constant c it is c. A detached tensor is a constant.",
        "None first; then 2 * 3, then the same added once more, then 5, then the 3 that was detached. zero_ leaves zeros.",
    ),
    reveal="that is not it: run the lines one after another and look",
)
def grads():
    w = torch.tensor(3.0, requires_grad=True)
    seen = {"w is made": w.grad}
    lines = ("(w * w).backward()", "once more: (w * w).backward()", "w.grad = None; (5 * w).backward()")
    for line in (*lines, "w.grad = None; (w.detach() * w).backward()", "w.grad.zero_()"):
        exec(line.removeprefix("once more: "))
        seen[line] = w.grad.item()
    return seen


@grads.mistake
def zero_at_first():
    """Before the first backward there is no gradient at all: None, not 0. Code that reads it too early fails, as it should."""
    return grads() | {"w is made": 0.0}


@grads.mistake
def the_value():
    """9 is the value of w * w. Its derivative is 2 w: how fast it moves with w."""
    return grads() | {"(w * w).backward()": 9.0}


@grads.mistake
def replaced():
    """backward does not replace what is in .grad, it adds to it: 6 from before and 6 more."""
    return grads() | {"once more: (w * w).backward()": 6.0}


@grads.mistake
def added_to_nothing():
    """`w.grad = None` emptied it. What came before is gone: only the 5 is left."""
    return grads() | {"w.grad = None; (5 * w).backward()": 17.0}


@grads.mistake
def detached_counts():
    """A detached tensor is a constant, here 3. So this is 3 * w, and its derivative is 3; only one factor moves."""
    return grads() | {"w.grad = None; (w.detach() * w).backward()": 6.0}


@grads.mistake
def zeroed_is_none():
    """zero_() fills the gradient with zeros, in place, as its name says. It is zero_grad() that leaves nothing at all, None."""
    return grads() | {"w.grad.zero_()": None}


@grads.mistake
def second_derivative():
    """The derivative of w * w is 2 w, and w is 3. A factor of 2 alone would be the derivative of 2 w."""
    return grads() | {"(w * w).backward()": 2.0}


@grads.mistake
def value_of_the_product():
    """15 is the value of 5 * w. Its derivative is 5, wherever w is."""
    return grads() | {"w.grad = None; (5 * w).backward()": 15.0}


@grads.mistake
def all_of_it_detached():
    """Only the first factor is detached. Through the second one the gradient comes, 3 times 1."""
    return grads() | {"w.grad = None; (w.detach() * w).backward()": 0.0}


@grads.mistake
def zeroed_and_kept():
    """zero_() writes zeros over what was there: the gradient is 0 now."""
    return grads() | {"w.grad.zero_()": 3.0}


def a_descent(descend):
    w = drawn(torch.tensor([0.0, 0.0], requires_grad=True))
    x, y = drawn(torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])), drawn(torch.tensor([1.0, -2.0, 0.5]))
    with torch.enable_grad():
        losses = descend(w, x, y, 4, 0.25)
    seen = {"the losses of 4 steps": losses, "w after them": w.detach().clone()}
    seen["w is a leaf that requires a gradient"] = w.is_leaf and w.requires_grad
    w = drawn(torch.tensor([1.0], requires_grad=True))
    descend(w, drawn(torch.tensor([[1.0]])), drawn(torch.tensor([0.0])), 1, 0.125)
    return seen | {"w after one step of lr 0.125 from w = 1 for x = 1, y = 0": w.detach().clone()}


@task(
    facts=a_descent,
    hints=(
        "Three things are missing: the way back, the step, and emptying the gradient for the next round.",
        "The step changes a leaf in place. Under which `with` is that allowed?",
        "loss.backward(); with torch.no_grad(): w -= lr * w.grad; w.grad = None",
    ),
)
def descend(w, x, y, steps, lr):
    losses = []
    for _ in range(steps):
        loss = ((x @ w - y) ** 2).mean()
        losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            w -= lr * w.grad
        w.grad = None
    return losses


def _descent(w, x, y, steps, step):
    losses = []
    for _ in range(steps):
        loss = ((x @ w - y) ** 2).mean()
        losses.append(loss.item())
        loss.backward()
        w = step(w)
    return losses


def _emptied(step):
    """The step without memory, and the gradient emptied after it."""

    def both(w):
        with torch.no_grad():
            step(w)
        w.grad = None
        return w

    return both


@descend.mistake
def never_emptied(w, x, y, steps, lr):
    """The first two losses are right, then it goes wrong: each backward added to the gradients of earlier steps. Empty
    w.grad in every round."""
    return _descent(w, x, y, steps, torch.no_grad()(lambda w: w.sub_(lr * w.grad)))


@descend.mistake
def emptied_too_early(w, x, y, steps, lr):
    """The loss never moves, and neither does w. Either the gradient was emptied between backward and the step, so that the step
    had length 0, or no step was written into w: `w -= lr * w.grad` under torch.no_grad(), and empty the gradient after it."""
    return _descent(w, x, y, steps, torch.no_grad()(lambda w: w.sub_(lr * w.grad.zero_())))


@descend.mistake
def remembered_step(w, x, y, steps, lr):
    """torch refuses to change a leaf in place while it remembers: the step is not part of the model. Put it under
    `with torch.no_grad():`."""
    return _descent(w, x, y, steps, lambda w: w.sub_(lr * w.grad))


@descend.mistake
def a_new_tensor(w, x, y, steps, lr):
    """`w = w - ...` makes a new tensor each time. The losses may be right, but the caller's w has not moved: `-=` writes
    into it."""
    return _descent(w, x, y, steps, lambda w: (w - lr * w.grad).detach().requires_grad_())


@descend.mistake
def uphill(w, x, y, steps, lr):
    """The loss grows: the step went along the gradient, uphill. Subtract lr * w.grad."""
    return _descent(w, x, y, steps, _emptied(lambda w: w.add_(lr * w.grad)))


@descend.mistake
def without_lr(w, x, y, steps, lr):
    """lr is not used: the step has the size of the whole gradient. Subtract lr * w.grad."""
    return _descent(w, x, y, steps, _emptied(lambda w: w.sub_(w.grad)))


@descend.mistake
def new_and_without_memory(w, x, y, steps, lr):
    """`w = w - ...` under torch.no_grad() makes a new tensor that requires no gradient, so the next backward has nowhere to go.
    `w -= ...` writes into the leaf."""
    return _descent(w, x, y, steps, torch.no_grad()(lambda w: w - lr * w.grad))


@descend.mistake
def zero_grad_of_a_tensor(w, x, y, steps, lr):
    """zero_grad() belongs to modules and optimizers. For one tensor: w.grad = None, or w.grad.zero_()."""
    return _descent(w, x, y, steps, lambda w: w.zero_grad())


@descend.mistake
def step_before_backward(w, x, y, steps, lr):
    """The step came before the first backward, and w.grad is still None: backward first, then the step."""
    with torch.no_grad():
        w -= lr * w.grad
    return []


def gradients_of_pieces(gradient_in_pieces):
    x, y = drawn(torch.arange(10.0).reshape(5, 2)) / 5, drawn(torch.tensor([1.0, -1.0, 2.0, 0.0, 3.0]))
    seen = {}
    for size in (5, 2):
        w = drawn(torch.tensor([1.0, -2.0], requires_grad=True))
        with Products() as products:
            seen[f"the gradient of 5 samples in pieces of {size}"] = gradient_in_pieces(w, x, y, size)
        most = max((shapes[0][0] for shapes in products.factors), default=0)
        seen[f"a product with more than {size} samples"] = most > size
    return seen


@task(
    facts=gradients_of_pieces,
    hints=(
        "Backward adds. But the loss of a piece is a mean over few samples, and you need the mean over all.",
        "Weight each piece by its share of the samples, len(piece_x) / len(x), before its backward.",
        "(loss * len(piece_x) / len(x)).backward()",
    ),
)
def gradient_in_pieces(w, x, y, size):
    for start in range(0, len(x), size):
        piece_x, piece_y = x[start : start + size], y[start : start + size]
        loss = ((piece_x @ w - piece_y) ** 2).mean()
        (loss * len(piece_x) / len(x)).backward()
    return w.grad


def _pieces(w, x, y, size, share):
    for start in range(0, len(x), size):
        piece_x, piece_y = x[start : start + size], y[start : start + size]
        (((piece_x @ w - piece_y) ** 2).mean() * share(len(piece_x))).backward()
    return w.grad


@gradient_in_pieces.mistake
def means_added(w, x, y, size):
    """Three means were added up, so the gradient is about three times too large. Each piece counts in proportion to its share
    of the samples."""
    return _pieces(w, x, y, size, lambda count: 1)


@gradient_in_pieces.mistake
def mean_of_means(w, x, y, size):
    """You divided by the number of pieces, so the last one, which is smaller, counts too much. Its share is its samples over
    all."""
    return _pieces(w, x, y, size, lambda count: 1 / -(-len(x) // size))


@gradient_in_pieces.mistake
def last_piece_only(w, x, y, size):
    """Only the last piece is left: the gradient was emptied between the pieces. Here adding up is what you want."""
    start = (len(x) - 1) // size * size
    (((x[start:] @ w - y[start:]) ** 2).mean() * len(x[start:]) / len(x)).backward()
    return w.grad


@gradient_in_pieces.mistake
def all_at_once(w, x, y, size):
    """The gradient is right, but all samples went through at once. The task is to build it from pieces, as if they did not fit
    into memory together."""
    ((x @ w - y) ** 2).mean().backward()
    return w.grad


@gradient_in_pieces.mistake
def size_over_all(w, x, y, size):
    """The last piece has fewer than `size` samples, so it counts too much. Its share is len(piece_x) / len(x)."""
    return _pieces(w, x, y, size, lambda count: size / len(x))


@gradient_in_pieces.mistake
def divided_by_all(w, x, y, size):
    """Each mean was divided by the number of all samples. A mean of many counts more than a mean of few: multiply by
    len(piece_x) too."""
    return _pieces(w, x, y, size, lambda count: 1 / len(x))


@gradient_in_pieces.mistake
def share_upside_down(w, x, y, size):
    """The share is upside down: the samples of the piece over all samples."""
    return _pieces(w, x, y, size, lambda count: len(x) / count)


@gradient_in_pieces.mistake
def sums_added(w, x, y, size):
    """Sums were added, but never divided by the number of samples: the mean over all needs / len(x)."""
    return _pieces(w, x, y, size, lambda count: count)


def through_a_function(cube_backward):
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, grad):
            return cube_backward(ctx, grad)

    x = drawn(torch.tensor([2.0, -1.0, 3.0], requires_grad=True))
    (once,) = torch.autograd.grad(Cube.apply(x).sum(), x)
    (weighted,) = torch.autograd.grad(Cube.apply(x), x, drawn(torch.tensor([10.0, 0.0, 20.0])))
    return {"the gradient of the sum of 2, -1, 3 cubed": once, "of 10 * first cube + 20 * third cube": weighted}


@task(
    facts=through_a_function,
    hints=(
        "backward multiplies the gradient that comes in by the derivative at the x that was saved.",
        "saved_tensors is a tuple, here of one tensor: unpack it.",
        "(x,) = ctx.saved_tensors; return grad * 3 * x * x",
    ),
)
def cube_backward(ctx, grad):
    (x,) = ctx.saved_tensors
    return grad * 3 * x * x


@cube_backward.mistake
def upstream_forgotten(ctx, grad):
    """The derivative is right, but the incoming gradient was dropped. The computation goes on after the cube: multiply by
    grad."""
    (x,) = ctx.saved_tensors
    return 3 * x * x


@cube_backward.mistake
def incoming_cubed(ctx, grad):
    """The derivative was taken at grad. It must be taken where the forward was, at the saved x; grad only multiplies it."""
    return 3 * grad * grad


@cube_backward.mistake
def passed_through(ctx, grad):
    """The gradient went through unchanged. The cube moves 3 * x * x times as fast as x: multiply by that."""
    return grad


@cube_backward.mistake
def the_tuple(ctx, grad):
    """ctx.saved_tensors is a tuple, of one tensor here. Unpack it: (x,) = ctx.saved_tensors."""
    x = ctx.saved_tensors
    return grad * 3 * x * x


@cube_backward.mistake
def x_without_its_square(ctx, grad):
    """The derivative of x ** 3 is 3 * x * x: one power less, and the 3 in front."""
    (x,) = ctx.saved_tensors
    return grad * 3 * x


@cube_backward.mistake
def three_forgotten(ctx, grad):
    """The 3 is missing: the derivative of x ** 3 is 3 * x * x."""
    (x,) = ctx.saved_tensors
    return grad * x * x


@cube_backward.mistake
def cube_itself(ctx, grad):
    """That multiplies by the cube, the value. The way back multiplies by the derivative, 3 * x * x."""
    (x,) = ctx.saved_tensors
    return grad * x**3


@cube_backward.mistake
def added(ctx, grad):
    """The two were added. The incoming gradient and the derivative are multiplied."""
    (x,) = ctx.saved_tensors
    return grad + 3 * x * x
