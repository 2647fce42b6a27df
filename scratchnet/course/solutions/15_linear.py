"""Exercise 15: rows of weights, the linear layer and its three gradients, a bias for unequal classes, the order of updates."""

import numpy as np
import torch

from scratchnet.course import drawn, task
from scratchnet.course.calls import names_in


def rows_of_weights(questions):
    return {question: torch.tensor(row, dtype=torch.float32) for question, row in questions().items()}


@task(
    facts=rows_of_weights,
    hints=(
        "The answer is first * row[0] + second * row[1] + third * row[2].",
        "A feature that plays no part gets the weight 0; one that counts against gets a negative weight.",
        "A mean of two is half of one and half of the other. A difference is 1 and -1.",
    ),
    reveal="that is not it: multiply the row with the features 1, 10, 100 and see which number comes out",
)
def questions():
    return {
        "the third feature": [0, 0, 1],
        "the mean of the first and the second": [0.5, 0.5, 0],
        "how much larger the first is than the third": [1, 0, -1],
        "twice the sum of all": [2, 2, 2],
    }


@questions.mistake
def the_other_end():
    """[1, 0, 0] selects the first feature: the places of the weights are the places of the features."""
    return questions() | {"the third feature": [1, 0, 0]}


@questions.mistake
def counting_from_zero():
    """The third feature has the index 2, but a row of weights is not an index: it has a 1 in the third place."""
    return questions() | {"the third feature": [0, 0, 2]}


@questions.mistake
def sum_of_two():
    """Weights 1 and 1 give the sum. For the mean the weights must add up to 1: a half each."""
    return questions() | {"the mean of the first and the second": [1, 1, 0]}


@questions.mistake
def mean_of_three():
    """A third each is the mean of all three; the third feature should play no part here."""
    return questions() | {"the mean of the first and the second": [1 / 3, 1 / 3, 1 / 3]}


@questions.mistake
def wrong_way_round():
    """That is how much larger the third is than the first: the one that is subtracted gets the -1."""
    return questions() | {"how much larger the first is than the third": [-1, 0, 1]}


@questions.mistake
def only_one_is_doubled():
    """Twice the sum doubles every feature, not one of them."""
    return questions() | {"twice the sum of all": [2, 1, 1]}


@questions.mistake
def no_minus():
    """1 and 1 add the two. "How much larger" is a difference: the one that is subtracted gets -1."""
    return questions() | {"how much larger the first is than the third": [1, 0, 1]}


@questions.mistake
def sum_not_doubled():
    """Weights of 1 give the sum once. Twice the sum has a 2 everywhere."""
    return questions() | {"twice the sum of all": [1, 1, 1]}


def outputs(linear):
    words, weight, bias = (
        drawn(torch.arange(12.0).reshape(2, 2, 3)),
        drawn(torch.tensor([[1.0, 0, 0], [0, 1, 2]])),
        drawn(torch.tensor([10.0, 20.0])),
    )
    return {
        "words 0 to 11 (2, 2, 3), two questions, bias 10 and 20": linear(words, weight, bias),
        "the same without a bias": linear(words, weight, None),
        "one word (3,)": linear(words[0, 0], weight, bias),
        "functions that do it all": sorted(names_in(linear) & {"Linear", "addmm", "baddbmm"} | _called_linear(linear)),
    }


def _called_linear(answer):
    """`linear` of a library, not the reader's own, which has the same name."""
    return {"linear"} & (names_in(answer) - {"linear" if getattr(answer, "__name__", "") == "linear" else ""})


@task(
    facts=outputs,
    hints=(
        "The rows of x must meet the rows of weight, and `@` pairs rows with columns.",
        "x @ weight.T works for any number of leading axes. The bias (out,) is added to the last axis by itself.",
        "y = x @ weight.T, then: return y if bias is None else y + bias",
    ),
)
def linear(x, weight, bias):
    y = x @ weight.T
    return y if bias is None else y + bias


@linear.mistake
def not_transposed(x, weight, bias):
    """weight is stored as (out, in). For x (..., in) the product needs (in, out): take weight.T."""
    return x @ weight + bias


@linear.mistake
def weight_first(x, weight, bias):
    """weight @ x puts the question axis before the words: the features of x are its last axis, so x comes first."""
    return weight @ x.transpose(-1, -2) + (0 if bias is None else bias[:, None])


@linear.mistake
def always_biased(x, weight, bias):
    """Without a bias, bias is None, and None cannot be added to anything: check for it first."""
    return linear(x, weight, torch.zeros(len(weight))) + bias


@linear.mistake
def forgotten(x, weight, bias):
    """The bias is missing: y + bias adds one number to each output, if there is a bias."""
    return x @ weight.T


@linear.mistake
def if_bias(x, weight, bias):
    """`if bias` asks whether a tensor is true, and torch cannot say that of several numbers. Ask `if bias is not None`."""
    return x @ weight.T + bias if bias else x @ weight.T


@linear.mistake
def bias_upright(x, weight, bias):
    """The bias stands upright and meets the words. (out,) meets the last axis by itself: leave it as it is."""
    return x @ weight.T if bias is None else x @ weight.T + bias[:, None]


@linear.mistake
def subtracted(x, weight, bias):
    """The bias was subtracted. It is added: y + bias."""
    return x @ weight.T if bias is None else x @ weight.T - bias


@linear.mistake
def finished(x, weight, bias):
    """The numbers are right, but F.linear did it all. The task is to write it with `@`."""
    return torch.nn.functional.linear(x, weight, bias)


@linear.mistake
def finished_layer(x, weight, bias):
    """The numbers are right, but nn.Linear did it all. The task is to write it with `@`."""
    layer = torch.nn.Linear(3, 2, bias=bias is not None)
    layer.load_state_dict({"weight": weight} if bias is None else {"weight": weight, "bias": bias})
    return layer(x)


def gradients(linear_backward):
    g, x, weight = drawn(torch.tensor([[1.0, 10.0], [2.0, 20.0]])), torch.randn(2, 3), torch.randn(2, 3)
    dx, dW, db = linear_backward(g, x, weight)
    return {"dW": dW, "dx": dx, "db for g = [[1, 10], [2, 20]]": db}


@task(
    facts=gradients,
    hints=(
        "Each gradient has the shape of its tensor: dx (B, in), dW (out, in), db (out,).",
        "dx sums over the outputs, dW and db sum over the samples. A sum of products is a matrix product.",
        "g @ weight, g.T @ x, g.sum(0)",
    ),
)
def linear_backward(g, x, weight):
    return g @ weight, g.T @ x, g.sum(0)


@linear_backward.mistake
def transposed_gradient(g, x, weight):
    """x.T @ g is (in, out), the gradient of a weight that is stored the other way round. Here it is (out, in): g.T @ x."""
    return g @ weight, x.T @ g, g.sum(0)


@linear_backward.mistake
def transposed_again(g, x, weight):
    """dx = g @ weight, without a transpose: the forward pass already had it, and the way back undoes it."""
    return g @ weight.T, g.T @ x, g.sum(0)


@linear_backward.mistake
def averaged_bias(g, x, weight):
    """The bias went into every sample, and its gradients are added, not averaged. If a mean is wanted, the loss takes it, and
    then it is already in g."""
    return g @ weight, g.T @ x, g.mean(0)


@linear_backward.mistake
def bias_over_outputs(g, x, weight):
    """g was summed over the outputs. Each output has a bias of its own; the sum is over the samples, axis 0."""
    return g @ weight, g.T @ x, g.sum(1)


@linear_backward.mistake
def averaged_weight(g, x, weight):
    """Nothing is divided by the number of samples here. If a mean is wanted, the loss takes it, and it is already in g."""
    return g @ weight, g.T @ x / len(x), g.sum(0)


@linear_backward.mistake
def bias_kept_its_axis(g, x, weight):
    """db still has the axis of the samples, (1, out). The bias is (out,), and so is its gradient: no keepdim."""
    return g @ weight, g.T @ x, g.sum(0, keepdim=True)


@linear_backward.mistake
def other_order(g, x, weight):
    """The gradients are in another order: dx first, then dW, then db."""
    return g.T @ x, g.sum(0), g @ weight


@linear_backward.mistake
def no_sum_for_the_bias(g, x, weight):
    """db is one row for each sample, (B, out). The bias went into every sample: add over the samples, g.sum(0)."""
    return g @ weight, g.T @ x, g


def blind_guess(class_bias):
    return {
        "softmax of the bias for labels 2, 2, 2, 0, 2, 1, 2, 0": class_bias(
            drawn(torch.tensor([2, 2, 2, 0, 2, 1, 2, 0])), 3
        ).softmax(0)
    }


@task(
    facts=blind_guess,
    hints=(
        "softmax takes exp of each entry and divides by the sum. What undoes exp?",
        "torch.bincount(labels, minlength=classes) counts how often each class occurs.",
        "the logarithm of (count / number of labels)",
    ),
)
def class_bias(labels, classes):
    return (torch.bincount(labels, minlength=classes) / len(labels)).log()


@class_bias.mistake
def without_logarithm(labels, classes):
    """Those are the frequencies. softmax takes exp of them first, so their logarithm must go into the bias."""
    return torch.bincount(labels, minlength=classes) / len(labels)


@class_bias.mistake
def rare_ones_first(labels, classes):
    """The rare classes get the large bias now: there is a minus too many. This is not a weight against imbalance but a blind
    guess."""
    return -class_bias(labels, classes)


@class_bias.mistake
def all_alike(labels, classes):
    """A bias of zeros guesses that all classes are equally frequent; look at the labels."""
    return torch.zeros(classes)


@class_bias.mistake
def logarithm_of_softmax(labels, classes):
    """softmax was taken here already, and it is taken once more of the bias. The logarithm of the frequencies is enough."""
    return (torch.bincount(labels, minlength=classes) / len(labels)).softmax(0)


@class_bias.mistake
def counts_themselves(labels, classes):
    """Those are the counts. softmax takes exp of them, so the most frequent class gets nearly everything: take their
    logarithm."""
    return torch.bincount(labels, minlength=classes).float()


@class_bias.mistake
def most_frequent_only(labels, classes):
    """All of the weight is on the most frequent class. The softmax is to give every class its share."""
    return torch.nn.functional.one_hot(torch.bincount(labels, minlength=classes).argmax(), classes).float() * 100


def one_step(backward_and_update):
    rng = np.random.default_rng(torch.initial_seed())
    g, x, weight, bias = (rng.normal(size=shape) for shape in ((4, 2), (4, 3), (2, 3), (2,)))
    dx = backward_and_update(g, x, weight, bias, 0.5)
    return {"dx": dx, "weight after the step": weight, "bias after the step": bias}


@task(
    facts=one_step,
    hints=(
        "Three gradients first, then two updates.",
        "In place is `weight -= ...`; `weight = weight - ...` only gives a new array the name weight.",
        "dx = g @ weight; weight -= lr * g.T @ x; bias -= lr * g.sum(0); return dx",
    ),
)
def backward_and_update(g, x, weight, bias, lr):
    dx = g @ weight
    weight -= lr * g.T @ x
    bias -= lr * g.sum(0)
    return dx


@backward_and_update.mistake
def updated_first(g, x, weight, bias, lr):
    """dx was computed with the weight after the update: the gradient of a network that never ran. Compute dx first."""
    weight -= lr * g.T @ x
    bias -= lr * g.sum(0)
    return g @ weight


@backward_and_update.mistake
def renamed(g, x, weight, bias, lr):
    """`weight = weight - ...` makes a new array, and the caller's stays as it was. `weight -= ...` changes it in place."""
    return g @ weight


@backward_and_update.mistake
def uphill(g, x, weight, bias, lr):
    """The gradient points uphill, to a larger loss: the step goes against it, with a minus."""
    dx = g @ weight
    weight += lr * g.T @ x
    bias += lr * g.sum(0)
    return dx


@backward_and_update.mistake
def averaged(g, x, weight, bias, lr):
    """The step was divided by the number of samples. If a mean is wanted, the loss takes it, and it is already in g."""
    dx = g @ weight
    weight -= lr * g.T @ x / len(x)
    bias -= lr * g.mean(0)
    return dx


@backward_and_update.mistake
def bias_forgotten(g, x, weight, bias, lr):
    """The bias did not move: bias -= lr * g.sum(0)."""
    dx = g @ weight
    weight -= lr * g.T @ x
    return dx


@backward_and_update.mistake
def lr_forgotten(g, x, weight, bias, lr):
    """lr is not used: each moves by -lr times its gradient."""
    dx = g @ weight
    weight -= g.T @ x
    bias -= g.sum(0)
    return dx


@backward_and_update.mistake
def weight_backwards(g, x, weight, bias, lr):
    """x.T @ g is (in, out), and the weight is (out, in): g.T @ x."""
    dx = g @ weight
    weight -= lr * x.T @ g
    bias -= lr * g.sum(0)
    return dx


@backward_and_update.mistake
def bias_not_summed(g, x, weight, bias, lr):
    """g is (B, out) and the bias (out,): its gradient is the sum over the samples, g.sum(0)."""
    dx = g @ weight
    weight -= lr * g.T @ x
    bias -= lr * g
    return dx
