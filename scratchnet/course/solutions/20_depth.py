"""Exercise 20: two linear layers in one, XNOR by hand, XOR by training, the size of an MLP, folds."""

import itertools

import torch

import scratchnet.nn.functional as F
from scratchnet import nn, optim, training
from scratchnet.course import task

POINTS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
XOR = torch.tensor([0, 1, 1, 0])


def as_one(collapse):
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    one = collapse(first, second)
    with torch.no_grad():
        apart = [one(x) - second(first(x)) for x in (torch.zeros(3), torch.eye(3))]
    return {
        "its answer to zeros, minus that of both layers": apart[0],
        "its answers to the rows of the identity, minus those of both layers": apart[1],
    }


@task(
    facts=as_one,
    hints=(
        "Write out second(first(x)) and collect the terms in x: W2 (W1 x + b1) + b2.",
        "The weights are stored as (out, in), so the product (2, 5) @ (5, 3) already has the right shape.",
        "second.weight @ first.weight, and second.weight @ first.bias + second.bias",
    ),
)
def collapse(first, second):
    one = nn.Linear(first.in_features, second.out_features)
    with torch.no_grad():
        one.weight.copy_(second.weight @ first.weight)
        one.bias.copy_(second.weight @ first.bias + second.bias)
    return one


@collapse.mistake
def biases_added(first, second):
    """The first bias goes through the second layer, too: second.weight @ first.bias + second.bias."""
    one = collapse(first, second)
    with torch.no_grad():
        one.bias.copy_(first.bias + second.bias)
    return one


@collapse.mistake
def second_bias_only(first, second):
    """The first bias was lost. It goes through the second layer: second.weight @ first.bias + second.bias."""
    one = collapse(first, second)
    with torch.no_grad():
        one.bias.copy_(second.bias)
    return one


@collapse.mistake
def first_times_second(first, second):
    """The order is that of the functions, read from the right: x meets first.weight first, so second.weight @ first.weight."""
    one = collapse(first, second)
    with torch.no_grad():
        one.weight.copy_(first.weight @ second.weight)
    return one


def four_answers(both_or_none):
    places, step = torch.rand(9, 2), torch.tensor([0.01, -0.005])
    with torch.no_grad():
        answers = both_or_none(POINTS)
        next_to = both_or_none(POINTS + torch.tensor([1e-5, 0.0]))
        along = [both_or_none(places + shift) for shift in (-step, 0 * step, step)]
    bent = (along[0] - 2 * along[1] + along[2]).abs() > 1e-5  # 0 along a straight line, but for rounding
    return {
        "the answers to (0, 0), (0, 1), (1, 0), (1, 1)": answers,
        "a point that moves a bit changes its answer a bit": bool((next_to - answers).abs().max() < 0.01),
        "between its bends the answer runs along straight lines": bool(bent.double().mean() < 0.5),
    }


@task(
    facts=four_answers,
    hints=(
        "XNOR is 1 - XOR. What has to change in the output, and what may stay?",
        "Hidden: relu(x1 + x2) and relu(x1 + x2 - 1). XOR is h1 - 2 h2; flip the signs and begin at 1.",
        "W = [[1.0, 1.0], [1.0, 1.0]], b = [0.0, -1.0], w = [-1.0, 2.0], c = 1.0",
    ),
)
def both_or_none(x):
    return F.relu(x @ torch.ones(2, 2) + torch.tensor([0.0, -1.0])) @ torch.tensor([-1.0, 2.0]) + 1.0


@both_or_none.mistake
def still_xor(x):
    """That is XOR, 1 where the two differ. The task wants 1 where they are equal: 1 minus that."""
    return 1 - both_or_none(x)


@both_or_none.mistake
def no_start(x):
    """The signs are flipped, but without c = 1 the answer to (0, 0) is 0, because both hidden units are 0 there."""
    return both_or_none(x) - 1


@both_or_none.mistake
def second_once(x):
    """(1, 1) has h1 = 2 and h2 = 1: the second unit must count twice to bring it back to 1."""
    return F.relu(x @ torch.ones(2, 2) + torch.tensor([0.0, -1.0])) @ torch.tensor([-1.0, 1.0]) + 1.0


@both_or_none.mistake
def same_bend(x):
    """Both hidden units bend in the same place, so they are one: the second must wake up later, with the bias -1."""
    return F.relu(x @ torch.ones(2, 2)) @ torch.tensor([-1.0, 2.0]) + 1.0


@both_or_none.mistake
def compared(x):
    """The answers are right, but a comparison gives them: it leaps from 0 to 1 and has no slope, so no network can learn it.
    Find W, b, w and c."""
    return (x[:, 0] == x[:, 1]).float()


def what_is_learned(learn):
    facts, answers = {}, []
    for seed in range(2):  # starts from which a right answer arrives
        torch.manual_seed(seed)
        model = learn(POINTS, XOR)
        logits = model(POINTS).detach()
        far = model(10 * POINTS - 5).detach()
        bent = (far[0] - far[1] - far[2] + far[3]).abs().max() > 1e-3  # 0 for everything linear
        facts |= {
            f"seed {seed}: the network is not one linear layer": bool(bent),
            f"seed {seed}: its outputs are logits, not probabilities": not torch.allclose(logits.sum(1), torch.ones(4)),
            f"seed {seed}: its logits may be negative": min(logits.min().item(), far.min().item()) < 0,
            f"seed {seed}: the loss on XOR is below 0.1": F.cross_entropy(logits, XOR).item() < 0.1,
        }
        answers.append(logits)
    return facts | {"other random numbers, another network": not torch.equal(answers[0], answers[1])}


@task(
    facts=what_is_learned,
    hints=(
        "Linear, bend, linear, in an nn.Sequential: two numbers go in, two logits come out.",
        "Make the hidden layer wide enough that a few unlucky units do no harm: 8, as in the lesson.",
        "nn.Sequential(nn.Linear(2, 8), nn.GELU(), nn.Linear(8, 2))",
    ),
)
def learn(x, y):
    model = nn.Sequential(nn.Linear(2, 8), nn.GELU(), nn.Linear(8, 2))
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    for _ in range(150):
        training.train_step(model, nn.CrossEntropyLoss(), optimizer, x, y)
    return model


def _train(model, x, y):
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    for _ in range(150):
        training.train_step(model, nn.CrossEntropyLoss(), optimizer, x, y)
    return model


@learn.mistake
def without_a_bend(x, y):
    """This network is linear: one linear layer, or several in a row, draw a line, and no line separates XOR. Put an activation
    between two of them."""
    return _train(nn.Sequential(nn.Linear(2, 8), nn.Linear(8, 2)), x, y)


@learn.mistake
def bend_at_the_end(x, y):
    """The last layer is a softmax, and the loss takes another one: its lead can never be more than 1. End with Linear."""
    return _train(nn.Sequential(nn.Linear(2, 8), nn.GELU(), nn.Linear(8, 2), nn.Softmax(dim=-1)), x, y)


@learn.mistake
def bend_behind_both(x, y):
    """The only bend comes after the last layer, where no layer is left to use it: put it between the two."""
    return _train(nn.Sequential(nn.Linear(2, 8), nn.Linear(8, 2), nn.ReLU()), x, y)


@learn.mistake
def all_alike(x, y):
    """All weights were set to one number, so all hidden units compute the same and learn the same: together they are one unit.
    The random numbers of torch keep them apart."""
    model = nn.Sequential(nn.Linear(2, 8), nn.GELU(), nn.Linear(8, 2))
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.5)
    return _train(model, x, y)


def sizes_of_networks(mlp_numbers):
    return {f"numbers in {sizes}": mlp_numbers(sizes) for sizes in ([784, 128, 10], [2, 16, 16, 3], [5, 1])}


@task(
    facts=sizes_of_networks,
    hints=(
        "Each Linear(a, b) has a weight for each pair of numbers and a bias for each output. A bend has none.",
        "zip(sizes, sizes[1:]) gives the pairs (in, out) of neighbours.",
        "sum(a * b + b for a, b in zip(sizes, sizes[1:]))",
    ),
)
def mlp_numbers(sizes):
    return sum(a * b + b for a, b in itertools.pairwise(sizes))


@mlp_numbers.mistake
def no_biases(sizes):
    """The biases are missing: each Linear(a, b) has b of them."""
    return sum(a * b for a, b in itertools.pairwise(sizes))


@mlp_numbers.mistake
def bias_of_the_inputs(sizes):
    """A bias belongs to an output, so Linear(a, b) has b of them, not a."""
    return sum(a * b + a for a, b in itertools.pairwise(sizes))


@mlp_numbers.mistake
def one_big_product(sizes):
    """Layers are added, not multiplied: sum a * b + b over neighbours."""
    product = 1
    for size in sizes:
        product *= size
    return product


@mlp_numbers.mistake
def one_bias_a_layer(sizes):
    """A layer has a bias for each of its outputs, not one for all: Linear(a, b) has b of them."""
    return sum(a * b + 1 for a, b in itertools.pairwise(sizes))


@mlp_numbers.mistake
def last_layer_forgotten(sizes):
    """The last layer is missing. n widths make n - 1 layers: zip(sizes, sizes[1:]) has all the pairs."""
    return mlp_numbers(sizes[:-1])


def as_they_stand(predict):
    return predict()


@task(
    facts=as_they_stand,
    hints=(
        "One fold turns one piece into two. What does the next fold do to each of them?",
        "Pieces double with every layer; units come two at a time.",
        "In one hidden layer n units make at most n + 1 pieces.",
    ),
    reveal="that is not it: fold a strip of paper once, twice, three times, and count the pieces between the creases",
)
def folds():
    return {
        "straight pieces with 3 layers": 2**3,
        "straight pieces with 10 layers": 2**10,
        "ReLU units in those 10 layers": 20,
        "ReLU units that one hidden layer needs for as many pieces": 2**10 - 1,
    }


@folds.mistake
def added_not_doubled():
    """Each fold doubles all existing pieces: 2, 4, 8. Two more units in *one* layer would add two."""
    return folds() | {"straight pieces with 3 layers": 6}


@folds.mistake
def squared():
    """The pieces double with every layer, 2 to the power of 10; 10 to the power of 2 is far less."""
    return folds() | {"straight pieces with 10 layers": 100}


@folds.mistake
def one_unit_a_fold():
    """A fold needs two units, one for the way up and one for the way down: two in each of 10 layers."""
    return folds() | {"ReLU units in those 10 layers": 10}


@folds.mistake
def one_too_many():
    """Without any bend the line is already one piece: n units make n + 1 pieces."""
    return folds() | {"ReLU units that one hidden layer needs for as many pieces": 1024}
