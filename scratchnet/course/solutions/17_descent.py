"""Exercise 17: descent by hand, its limit, divergence, the choice of a learning rate."""

import math

import torch

from scratchnet.course import drawn, task

GRADIENT = lambda w: torch.tensor([2.0, 10.0]) * (w - torch.tensor([3.0, -1.0]))


def places(descend):
    start = drawn(torch.tensor([0.0, 1.0]))
    w = [start.clone() for _ in range(3)]
    return {
        "after 1 step of 0.1 from (0, 1)": descend(GRADIENT, w[0], 0.1, 1),
        "after 4 steps of 0.05": descend(GRADIENT, w[1], 0.05, 4),
        "after 0 steps": descend(GRADIENT, w[2], 0.05, 0),
        "the w that was given": w[1],
    }


@task(
    facts=places,
    hints=(
        "A step goes against the gradient, and the gradient is a different one after every step.",
        "w = w - lr * gradient(w) makes a new tensor; w -= ... would write into the one that was given.",
        "for _ in range(steps): w = w - lr * gradient(w), then return w",
    ),
)
def descend(gradient, w, lr, steps):
    for _ in range(steps):
        w = w - lr * gradient(w)
    return w


@descend.mistake
def uphill(gradient, w, lr, steps):
    """The gradient points uphill. The step goes against it: w - lr * gradient(w)."""
    return descend(lambda w: -gradient(w), w, lr, steps)


@descend.mistake
def in_place(gradient, w, lr, steps):
    """The tensor that was given was changed: `-=` writes into it. `w = w - ...` makes a new one."""
    for _ in range(steps):
        w -= lr * gradient(w)
    return w


@descend.mistake
def one_gradient(gradient, w, lr, steps):
    """The gradient was taken once, at the start. It changes with w: ask for it in every step."""
    return w - steps * lr * gradient(w)


@descend.mistake
def one_step_less(gradient, w, lr, steps):
    """One step is missing: range(1, steps) runs steps - 1 times, range(steps) runs all of them."""
    return descend(gradient, w, lr, steps - 1)


@descend.mistake
def one_step_more(gradient, w, lr, steps):
    """You took one step too many: range(steps + 1) runs steps + 1 times, range(steps) runs steps times."""
    return descend(gradient, w, lr, steps + 1)


@descend.mistake
def without_the_rate(gradient, w, lr, steps):
    """The gradient says how steep it is here, not how far to go: a step is lr * gradient(w)."""
    return descend(gradient, w, 1.0, steps)


@descend.mistake
def returned_in_the_loop(gradient, w, lr, steps):
    """You stop after the first step: `return` inside the loop ends the function. Move it to the left, behind the loop."""
    for _ in range(steps):
        return w - lr * gradient(w)


def as_they_stand(predict):
    return predict()


@task(
    facts=as_they_stand,
    hints=(
        "One step takes w to w - lr * 10 w: a factor times w.",
        "The factor is 1 - 10 lr. Positive: the same side. Negative: the other side. Which size makes it grow?",
        "The factors are 0.5, -0.5, -1 and -4.",
    ),
    reveal="that is not it: take two steps with a pencil, w - lr * 10 w, and look at the factor",
)
def what_happens():
    return {"lr 0.05": "arrives", "lr 0.15": "jumps across", "lr 0.2": "for ever", "lr 0.5": "diverges"}


@what_happens.mistake
def small_steps_diverge():
    """1 - 10 * 0.05 = 0.5: half of the distance is left after each step, on the same side."""
    return what_happens() | {"lr 0.05": "jumps across"}


@what_happens.mistake
def no_crossing():
    """1 - 10 * 0.15 = -0.5: the sign changes in every step, and the distance halves."""
    return what_happens() | {"lr 0.15": "arrives"}


@what_happens.mistake
def at_the_limit():
    """1 - 10 * 0.2 = -1: as far away as before, on the other side, again and again."""
    return what_happens() | {"lr 0.2": "diverges"}


@what_happens.mistake
def the_limit_of_the_lesson():
    """The lesson's loss had curvature 2, and there 0.5 landed in one step. Here it is 10: 1 - 10 * 0.5 = -4."""
    return what_happens() | {"lr 0.5": "arrives"}


def two_limits(limit):
    x = drawn(torch.tensor([[3.0, 0.0], [0.0, 1.0], [4.0, 0.0], [0.0, 2.0], [0.0, 0.0]], dtype=torch.float64))
    turned = x @ torch.tensor([[0.6, 0.8], [-0.8, 0.6]], dtype=torch.float64)
    other = torch.randn(7, 3, dtype=torch.float64)
    return {
        "of columns with the squares 25 and 5 in 5 samples": float(limit(x)),
        "of the same data, turned": float(limit(turned)),
        "of 7 random samples of 3 numbers": float(limit(other)),
    }


@task(
    facts=two_limits,
    hints=(
        "The limit is 2 over the largest curvature.",
        "The curvatures are the eigenvalues of 2 / N * x.T @ x; torch.linalg.eigvalsh gives them from small to large.",
        "2 / torch.linalg.eigvalsh(2 / len(x) * x.T @ x)[-1]",
    ),
)
def limit(x):
    return 2 / torch.linalg.eigvalsh(2 / len(x) * x.T @ x)[-1]


@limit.mistake
def flattest(x):
    """That is the smallest curvature. The steepest direction sets the limit: the last eigenvalue, the largest."""
    return 2 / torch.linalg.eigvalsh(2 / len(x) * x.T @ x)[0]


@limit.mistake
def the_best_rate(x):
    """1 / curvature is the best rate for that direction. The limit is twice as large."""
    return 1 / torch.linalg.eigvalsh(2 / len(x) * x.T @ x)[-1]


@limit.mistake
def sum_of_squares(x):
    """That is the limit for a sum of squared errors. The MSE divides by N, and so do its curvatures."""
    return 2 / torch.linalg.eigvalsh(2 * x.T @ x)[-1]


@limit.mistake
def without_the_two(x):
    """The square of the error brings a factor of 2 into the curvature: 2 / N * x.T @ x."""
    return 2 / torch.linalg.eigvalsh(x.T @ x / len(x))[-1]


@limit.mistake
def diagonal(x):
    """The diagonal holds the curvatures along w[0] and w[1]. The valley may lie at an angle: take the eigenvalues."""
    return 2 / (2 / len(x) * x.T @ x).diagonal().max()


@limit.mistake
def not_squared(x):
    """Those are singular values of x. The curvature is their square: eigenvalues of x.T @ x, or svdvals(x) squared."""
    return 2 / (2 / len(x) * torch.linalg.svdvals(x)[0])


@limit.mistake
def divided_by_features(x):
    """You divided by the number of features. The mean of the MSE runs over the N samples, len(x)."""
    return 2 / torch.linalg.eigvalsh(2 / x.shape[1] * x.T @ x)[-1]


def verdicts(diverged):
    runs = {
        "1, 2, NaN": [1.0, 2.0, math.nan],
        "1, infinite, 0.5": [1.0, math.inf, 0.5],
        "1, 4, 30": [1.0, 4.0, 30.0],
        "1, 30, 0.5": [1.0, 30.0, 0.5],
        "1, 1.2, 1.1": [1.0, 1.2, 1.1],
        "1, NaN, 0.5": [1.0, math.nan, 0.5],
        "1, minus infinite, 0.5": [1.0, -math.inf, 0.5],
        "2, 30, 20": [2.0, 30.0, 20.0],
        "2, 30, 21": [2.0, 30.0, 21.0],
    }
    return {f"the losses {name} are a lost run": bool(diverged(losses)) for name, losses in runs.items()}


@task(
    facts=verdicts,
    hints=(
        "Two questions joined by `or`: is any loss not finite, and is the last one too large?",
        "math.isfinite(loss) is False for NaN and for both infinities. any(...) asks all of them.",
        "any(not math.isfinite(loss) for loss in losses) or losses[-1] > 10 * losses[0]",
    ),
)
def diverged(losses):
    return any(not math.isfinite(loss) for loss in losses) or losses[-1] > 10 * losses[0]


@diverged.mistake
def equal_to_nan(losses):
    """A run with NaN passed. NaN is not equal to anything, not even to itself: `loss == math.nan` is never True. Ask
    math.isfinite."""
    return any(loss == math.nan or math.isinf(loss) for loss in losses) or losses[-1] > 10 * losses[0]


@diverged.mistake
def only_the_last(losses):
    """Only the last loss was looked at. An infinite one in between has spoilt the weights."""
    return not losses[-1] <= 10 * losses[0]


@diverged.mistake
def only_not_finite(losses):
    """A run may be lost long before its loss is infinite: 30 times the start is no progress."""
    return any(not math.isfinite(loss) for loss in losses)


@diverged.mistake
def any_rise(losses):
    """A loss may rise for a while and fall again: compare the last one with ten times the first."""
    return any(not loss <= losses[0] for loss in losses)


@diverged.mistake
def any_large(losses):
    """1, 30, 0.5 has come down again: only the last loss must not be larger than ten times the first."""
    return any(not loss <= 10 * losses[0] for loss in losses)


@diverged.mistake
def ten_times_is_enough(losses):
    """2, 30, 20 ended at exactly ten times its start, and the task says more than ten times: > and not >=."""
    return any(not math.isfinite(loss) for loss in losses) or losses[-1] >= 10 * losses[0]


@diverged.mistake
def only_plus_infinity(losses):
    """Infinity has two signs, and a loss of minus infinity is lost too. math.isfinite is False for both and for NaN."""
    return any(math.isnan(loss) or loss == math.inf for loss in losses) or losses[-1] > 10 * losses[0]


def choices(choose):
    runs = {
        0.01: [1.0, 0.9, 0.8],
        0.1: [1.0, 0.5, 0.3],
        0.3: [1.0, 0.4, 0.35],
        1.0: [1.0, 5.0, 0.1],
        3.0: [1.0, 0.9, math.nan],
    }
    backwards = dict(reversed(runs.items()))
    broken = {0.1: [1.0, 0.5, 0.3], 1.0: [1.0, math.nan, 0.2]}
    return {
        "the choice among 0.01, 0.1, 0.3, 1 and 3": choose(runs),
        "the same, the largest rate first": choose(backwards),
        "the choice where 1 was NaN on the way": choose(broken),
    }


@task(
    facts=choices,
    hints=(
        "First leave out the rates that are not allowed, then take the best of the rest.",
        "A run is allowed if all its losses are <= the first one; that is False for NaN, as it should be.",
        "allowed = [lr for lr, losses in histories.items() if all(loss <= losses[0] for loss in losses)]; "
        "min(allowed, key=lambda lr: histories[lr][-1])",
    ),
)
def choose(histories):
    allowed = [lr for lr, losses in histories.items() if all(loss <= losses[0] for loss in losses)]
    return min(allowed, key=lambda lr: histories[lr][-1])


@choose.mistake
def lowest_end(histories):
    """The rate 1 ended lowest, but it leapt to five times its starting loss on the way: such a run is not allowed."""
    return min((lr for lr in histories if math.isfinite(histories[lr][-1])), key=lambda lr: histories[lr][-1])


@choose.mistake
def largest_allowed(histories):
    """0.3 is the largest rate that never rises, but 0.1 ended lower: among the allowed ones the last loss decides."""
    return max(lr for lr, losses in histories.items() if all(loss <= losses[0] for loss in losses))


@choose.mistake
def nan_slips_through(histories):
    """`loss > first` is False for NaN, so the run that ended in NaN looked allowed. Ask the other way round: loss <= first."""
    allowed = [lr for lr, losses in histories.items() if not any(loss > losses[0] for loss in losses)]
    return min(allowed, key=lambda lr: histories[lr][-1])


@choose.mistake
def its_loss_in_place_of_the_rate(histories):
    """You returned the lowest last loss. The task asks for the learning rate that it belongs to."""
    return histories[choose(histories)][-1]


@choose.mistake
def strictly_below(histories):
    """No run is left: the first loss of each run is not below itself. Allowed is what never rises *above* it: <=, not <."""
    allowed = [lr for lr, losses in histories.items() if all(loss < losses[0] for loss in losses)]
    return min(allowed, key=lambda lr: histories[lr][-1])
