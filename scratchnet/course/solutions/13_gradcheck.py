"""Exercise 13: central differences for every argument, the wrong pairs, softmax's backward, gradient before step."""

import numpy as np
import torch

from scratchnet.course import drawn, task


def tried_out(numeric_gradients):
    random = np.random.default_rng(torch.initial_seed())
    a, b, g = random.normal(size=(2, 3)), random.normal(size=(3, 2)), random.normal(size=(2, 2))
    before = a.copy()
    first, second = numeric_gradients(lambda a, b: (a**2) @ b, [a, b], g, 0.01)
    seen = {"the gradient of (a ** 2) @ b for a": first, "its gradient for b": second}
    return seen | {"a holds what it held before": bool(np.allclose(a, before, rtol=0, atol=1e-12))}


@task(
    facts=tried_out,
    hints=(
        "Write into argument[position], call f, write again, call f again, and put back what was there.",
        "up: before + step, down: before - step. The results are arrays; weighted with g they become one number.",
        "argument[position] = before + step; up = f(*arguments); and so on; then (g * (up - down)).sum() / (2 * step)",
    ),
)
def numeric_gradients(f, arguments, g, step):
    gradients = []
    for argument in arguments:
        gradient = np.zeros_like(argument)
        for position in np.ndindex(argument.shape):
            before = argument[position]
            argument[position] = before + step
            up = f(*arguments)
            argument[position] = before - step
            down = f(*arguments)
            argument[position] = before
            gradient[position] = (g * (up - down)).sum() / (2 * step)
        gradients.append(gradient)
    return gradients


def _differences(f, arguments, step, ratio, put_back=True):
    """The same with a different ratio of the results above, at and below, or without putting back what was there."""
    gradients = []
    for argument in arguments:
        gradient = np.zeros_like(argument)
        for position in np.ndindex(argument.shape):
            before, results = argument[position], []
            for side in (1, 0, -1):
                argument[position] = before + side * step
                results.append(f(*arguments))
            if put_back:
                argument[position] = before
            gradient[position] = ratio(*results)
        gradients.append(gradient)
    return gradients


@numeric_gradients.mistake
def one_side(f, arguments, g, step):
    """You stepped to one side only, and the curve bends on the way: the error grows with the step. Take both sides."""
    return _differences(f, arguments, step, lambda up, here, down: (g * (up - here)).sum() / step)


@numeric_gradients.mistake
def one_step_wide(f, arguments, g, step):
    """Twice too large: from before - step to before + step it is two steps. Divide by 2 * step."""
    return _differences(f, arguments, step, lambda up, here, down: (g * (up - down)).sum() / step)


@numeric_gradients.mistake
def g_forgotten(f, arguments, g, step):
    """g is not used: this is the gradient of the plain sum. Multiply the results by g before you add them up."""
    return _differences(f, arguments, step, lambda up, here, down: (up - down).sum() / (2 * step))


@numeric_gradients.mistake
def not_put_back(f, arguments, g, step):
    """The entries were not put back after their nudge, so each later one is measured at a different place: argument[position] =
    before."""
    return _differences(f, arguments, step, lambda up, here, down: (g * (up - down)).sum() / (2 * step), put_back=False)


@numeric_gradients.mistake
def downside_up(f, arguments, g, step):
    """All signs are turned: it is above minus below."""
    return _differences(f, arguments, step, lambda up, here, down: (g * (down - up)).sum() / (2 * step))


@numeric_gradients.mistake
def not_divided(f, arguments, g, step):
    """Those are differences. A derivative is a difference per step: divide by 2 * step."""
    return _differences(f, arguments, step, lambda up, here, down: (g * (up - down)).sum())


@numeric_gradients.mistake
def times_half_a_step(f, arguments, g, step):
    """Without brackets `/ 2 * step` divides by 2 and then multiplies by the step: / (2 * step)."""
    return _differences(f, arguments, step, lambda up, here, down: (g * (up - down)).sum() / 2 * step)


@numeric_gradients.mistake
def not_one_number(f, arguments, g, step):
    """The results are arrays, and a gradient is one number for each entry: weight them with g and add them up."""
    return _differences(f, arguments, step, lambda up, here, down: g * (up - down) / (2 * step))


def as_it_stands(wrong_ones):
    names = wrong_ones()
    return {"the wrong ones": [names] if isinstance(names, str) else list(names)}


@task(
    facts=as_it_stands,
    hints=(
        "Do not read the formulas, try them out: random x, random g, and more rows than columns or vice versa.",
        "For each pair: numeric_gradients(forward, [x], g, 1e-5)[0] against backward(g, x). g has the shape of forward(x).",
        "x = np.random.default_rng(0).normal(size=(3, 4)); g likewise with the shape of forward(x). Two of the five disagree.",
    ),
    reveal="that is not it: run numeric_gradients on each of the five pairs and compare with its backward",
)
def wrong_ones():
    return ["softmax", "mean"]


@wrong_ones.mistake
def only_softmax():
    """softmax is indeed wrong, and so is another one. Its gradient is too large by a factor: the number of rows."""
    return ["softmax"]


@wrong_ones.mistake
def only_the_mean():
    """The mean is indeed wrong, and so is another one, the famous diagonal. Run the check on all five."""
    return ["mean"]


@wrong_ones.mistake
def centred_suspected():
    """The pair "centred" is right, although it looks odd: subtracting the mean has that as its backward, too."""
    return ["softmax", "centred", "mean"]


@wrong_ones.mistake
def sigmoid_suspected():
    """The pair "sigmoid" is right: exp(-x) / (1 + exp(-x))^2 is s (1 - s), written differently. Try it out."""
    return ["sigmoid", "softmax", "mean"]


@wrong_ones.mistake
def single_column():
    """For the mean a single row hides the mistake: its missing factor is 1 / rows. Take an x with sizes that differ. And
    "centred" is right."""
    return ["softmax", "centred"]


@wrong_ones.mistake
def other_order():
    """The names are right. The task wants them in the order of PAIRS: softmax comes before mean."""
    return ["mean", "softmax"]


@wrong_ones.mistake
def all_five():
    """Not all of them: a pair whose backward agrees with the check is right. Three do."""
    return ["square", "sigmoid", "softmax", "centred", "mean"]


@wrong_ones.mistake
def square_suspected():
    """The pair "square" is right: the derivative of x ** 2 is 2 * x, times g. Try it out."""
    return ["square", "softmax", "mean"]


@wrong_ones.mistake
def the_right_ones():
    """Those three are the right ones: their backward agrees with the check. Name the other two."""
    return ["square", "sigmoid", "centred"]


@wrong_ones.mistake
def none_found():
    """Two of the five are wrong. Did the check compare with the g that backward got, and with more than one row?"""
    return []


def gradients_of_rows(softmax_backward):
    p = np.array([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]])
    g = drawn(np.array([[1.0, 0.0, -2.0], [3.0, 1.0, 0.5]]))
    return {"dx for two rows": softmax_backward(g, p), "dx for g = 1": softmax_backward(np.ones_like(p), p)}


@task(
    facts=gradients_of_rows,
    hints=(
        "Each score moves all probabilities of its row: besides p g there is what the others lose.",
        "The Jacobian is diag(p) - p p^T. Times g: p g, minus p times a sum. Over which axis?",
        "p * (g - (g * p).sum(axis=1, keepdims=True))",
    ),
)
def softmax_backward(g, p):
    return p * (g - (g * p).sum(axis=1, keepdims=True))


@softmax_backward.mistake
def diagonal(g, p):
    """p (1 - p) is only the diagonal of the Jacobian. Each score moves the other probabilities too: p (g - sum of g p)."""
    return g * p * (1 - p)


@softmax_backward.mistake
def sum_without_p(g, p):
    """The sum is over g times p, not over g alone. (That would nearly be the backward of log_softmax.)"""
    return p * (g - g.sum(axis=1, keepdims=True))


@softmax_backward.mistake
def all_rows_together(g, p):
    """The sum went over all rows. Each row is a softmax of its own: sum over axis 1, and keep the axis."""
    return p * (g - (g * p).sum())


@softmax_backward.mistake
def not_weighted(g, p):
    """The difference g - sum of g p is right, but one factor is missing: p in front of it."""
    return g - (g * p).sum(axis=1, keepdims=True)


@softmax_backward.mistake
def columns_together(g, p):
    """The sum went down the columns. Each row is a softmax of its own: axis 1."""
    return p * (g - (g * p).sum(axis=0, keepdims=True))


@softmax_backward.mistake
def axis_lost(g, p):
    """The sum of each row is (R,) and does not stand beside its row: keepdims=True makes it (R, 1)."""
    return p * (g - (g * p).sum(axis=1))


@softmax_backward.mistake
def plus(g, p):
    """The signs: what the others lose is subtracted, p * (g - sum of g p)."""
    return p * (g + (g * p).sum(axis=1, keepdims=True))


@softmax_backward.mistake
def first_part_only(g, p):
    """That is p g alone, as if every probability moved by itself. They add up to 1: what one gains the others lose."""
    return p * g


def a_layer(dense_backward_and_step):
    W = drawn(np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 3.0]]))
    a_prev = drawn(np.array([[1.0, 0.0], [2.0, 1.0], [0.0, -1.0]]))
    dz = drawn(np.array([[1.0, 0.5], [-1.0, 2.0]]))
    return {"da_prev": dense_backward_and_step(W, a_prev, dz, 0.1), "W after the step": W}


@task(
    facts=a_layer,
    hints=(
        "Two things: pass the gradient on, and change W. Which of them needs the old W?",
        "da_prev = W^T dz has the shape of a_prev. `-=` changes W in place.",
        "da_prev = W.T @ dz; W -= lr * dz @ a_prev.T; return da_prev",
    ),
)
def dense_backward_and_step(W, a_prev, dz, lr):
    da_prev = W.T @ dz
    W -= lr * dz @ a_prev.T
    return da_prev


@dense_backward_and_step.mistake
def step_first(W, a_prev, dz, lr):
    """da_prev was computed with the new W. The forward used the old one: compute da_prev before the step."""
    W -= lr * dz @ a_prev.T
    return W.T @ dz


@dense_backward_and_step.mistake
def not_in_place(W, a_prev, dz, lr):
    """`W = W - ...` makes a new array, and the layer's own W stays as it was. `W -= ...` writes into it."""
    da_prev = W.T @ dz
    W = W - lr * dz @ a_prev.T
    return da_prev


@dense_backward_and_step.mistake
def uphill(W, a_prev, dz, lr):
    """The step went uphill: against the gradient means minus."""
    da_prev = W.T @ dz
    W += lr * dz @ a_prev.T
    return da_prev


@dense_backward_and_step.mistake
def w_not_transposed(W, a_prev, dz, lr):
    """W is (out, in) and dz (out, m): the axis `out` has to meet `out`, so W must be transposed."""
    da_prev = W @ dz
    W -= lr * dz @ a_prev.T
    return da_prev


@dense_backward_and_step.mistake
def mean_over_samples(W, a_prev, dz, lr):
    """The gradient was divided by the number of samples. Here it is dz a_prev^T as it is: a mean is the loss's business."""
    da_prev = W.T @ dz
    W -= lr * dz @ a_prev.T / dz.shape[1]
    return da_prev


@dense_backward_and_step.mistake
def without_lr(W, a_prev, dz, lr):
    """lr is not used: the step is lr times the gradient."""
    da_prev = W.T @ dz
    W -= dz @ a_prev.T
    return da_prev


@dense_backward_and_step.mistake
def gradient_of_w_transposed(W, a_prev, dz, lr):
    """a_prev dz^T is (in, out), and W is (out, in): dz @ a_prev.T."""
    da_prev = W.T @ dz
    W -= lr * a_prev @ dz.T
    return da_prev


@dense_backward_and_step.mistake
def the_gradient_of_w(W, a_prev, dz, lr):
    """That is the gradient of W. What goes to the layer below is da_prev, W.T @ dz."""
    dW = dz @ a_prev.T
    W -= lr * dW
    return dW
