"""Exercise 26: a split without a leak, the five steps, an accuracy over all samples, warm-up and cosine."""

import math

import torch

import scratchnet.nn.functional as F
from scratchnet import nn, optim
from scratchnet.course import drawn, task


def what_is_prepared(prepare):
    x = drawn(torch.arange(40.0).reshape(20, 2)) ** 2  # sorted: the last rows are far from the others
    y = torch.arange(20)
    x_train, y_train, x_test, y_test = prepare(x, y, 5)
    return {
        "how many rows there are to train and to test on": (len(y_train), len(y_test)),
        "how many rows are in both": len(set(y_train.tolist()) & set(y_test.tolist())),
        "the rows of the test come from all over the file": y_test.tolist() != [15, 16, 17, 18, 19],
        "rows of the test": y_test.tolist(),
        "each row of x is beside its own y, the smallest first": bool((x_train[y_train.argsort(), 0].diff() > 0).all()),
        "the means of the columns to train on": x_train.mean(dim=0),
        "their deviations": x_train.std(dim=0),
        "the test, standardised": x_test,
    }


@task(
    facts=what_is_prepared,
    hints=(
        "Draw one random order of the rows. Its end is the test set, the rest is for training.",
        "The test set must have no say, not even in a mean: take mean and deviation of x[train] alone, along dim=0.",
        "train, test = order[:-held_out], order[-held_out:]; mean, std = x[train].mean(dim=0), x[train].std(dim=0)",
    ),
)
def prepare(x, y, held_out):
    order = torch.randperm(len(x))
    train, test = order[:-held_out], order[-held_out:]
    mean, std = x[train].mean(dim=0), x[train].std(dim=0)
    return (x[train] - mean) / std, y[train], (x[test] - mean) / std, y[test]


@prepare.mistake
def statistics_of_everything(x, y, held_out):
    """A leak: mean and deviation were taken over all rows, so the test had a say. Take those of the training rows alone."""
    order = torch.randperm(len(x))
    train, test = order[:-held_out], order[-held_out:]
    x = (x - x.mean(dim=0)) / x.std(dim=0)
    return x[train], y[train], x[test], y[test]


@prepare.mistake
def a_ruler_of_its_own(x, y, held_out):
    """The test set was standardised with its own mean and deviation: not the ruler that the network learned with."""
    x_train, y_train, x_test, y_test = prepare(x, y, held_out)
    return x_train, y_train, (x_test - x_test.mean(dim=0)) / x_test.std(dim=0), y_test


@prepare.mistake
def not_shuffled(x, y, held_out):
    """The last rows of the file were held out. Files are often sorted: hold out the last rows of the random order."""
    x_train, x_test = x[:-held_out], x[-held_out:]
    mean, std = x_train.mean(dim=0), x_train.std(dim=0)
    return (x_train - mean) / std, y[:-held_out], (x_test - mean) / std, y[-held_out:]


@prepare.mistake
def seen_before(x, y, held_out):
    """A leak: the test rows are among the training rows. Train on order[:-held_out], not on everything."""
    order = torch.randperm(len(x))
    mean, std = x.mean(dim=0), x.std(dim=0)
    return (x[order] - mean) / std, y[order], (x[order[-held_out:]] - mean) / std, y[order[-held_out:]]


@prepare.mistake
def divided_by_all(x, y, held_out):
    """Your deviation divides by N. Many programs do so; this task asks for torch's .std, which divides by N - 1."""
    order = torch.randperm(len(x))
    train, test = order[:-held_out], order[-held_out:]
    mean, std = x[train].mean(dim=0), x[train].std(dim=0, correction=0)
    return (x[train] - mean) / std, y[train], (x[test] - mean) / std, y[test]


@prepare.mistake
def first_of_the_order(x, y, held_out):
    """The first rows of the random order were held out. That is as fair, but the task asks for the last ones:
    order[-held_out:]."""
    order = torch.randperm(len(x))
    train, test = order[held_out:], order[:held_out]
    mean, std = x[train].mean(dim=0), x[train].std(dim=0)
    return (x[train] - mean) / std, y[train], (x[test] - mean) / std, y[test]


@prepare.mistake
def two_orders(x, y, held_out):
    """x and y were shuffled in different orders, so no picture has its own label any more. Draw one torch.randperm and use it
    for both."""
    x, y = x[torch.randperm(len(x))], y[torch.randperm(len(y))]
    mean, std = x[:-held_out].mean(dim=0), x[:-held_out].std(dim=0)
    return (x[:-held_out] - mean) / std, y[:-held_out], (x[-held_out:] - mean) / std, y[-held_out:]


def a_training(fit):
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.0), nn.Linear(4, 2))
    x, y = torch.randn(10, 3), torch.randint(2, (10,))
    modes = []
    model.register_forward_hook(lambda module, inputs, output: modes.append(module.training))
    model.eval()
    history = fit(model, optim.SGD(model.parameters(), lr=0.5, momentum=0.5), x, y, epochs=3, batch_size=4)
    return {
        "how often the model was called in 3 epochs of 10 samples, batches of 4": len(modes),
        "always in training mode": all(modes),
        "the losses are numbers": isinstance(history[0], float),
        "the weights afterwards": model[0].weight.detach().clone(),
        "the losses of the 3 epochs": [float(loss) for loss in history],
    }


@task(
    facts=a_training,
    hints=(
        "The rhyme: zero_grad, forward, loss, backward, step. Before it, the mode; after it, the number.",
        "F.cross_entropy gives the mean over the batch; times the size of the batch it is their sum.",
        "model.train(); optimizer.zero_grad(); model(x[chosen]); loss.backward(); optimizer.step(); loss.item() * len(chosen)",
    ),
)
def fit(model, optimizer, x, y, epochs, batch_size):
    history = []
    for _ in range(epochs):
        model.train()
        order, total = torch.randperm(len(x)), 0.0
        for chosen in order.split(batch_size):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[chosen]), y[chosen])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(chosen)
        history.append(total / len(x))
    return history


def _loop(model, optimizer, x, y, epochs, batch_size, mode=True, zero=True, probabilities=False, step_first=False, weigh=True):
    """The loop with its mistakes as options."""
    history = []
    for _ in range(epochs):
        model.train(mode)
        order, total = torch.randperm(len(x)), 0.0
        for chosen in order.split(batch_size):
            if zero:
                optimizer.zero_grad()
            outputs = model(x[chosen])
            loss = F.cross_entropy(outputs.softmax(dim=1) if probabilities else outputs, y[chosen])
            if step_first:
                optimizer.step()
            loss.backward()
            if not step_first:
                optimizer.step()
            total += loss.item() * (len(chosen) if weigh else 1)
        history.append(total / len(x))
    return history


@fit.mistake
def gradients_pile_up(*args, **options):
    """The gradients of all batches add up: call optimizer.zero_grad() before each backward."""
    return _loop(*args, **options, zero=False)


@fit.mistake
def left_in_evaluation(*args, **options):
    """The model came in evaluation mode and stayed in it: dropout is off. Call model.train() before each epoch."""
    return _loop(*args, **options, mode=False)


@fit.mistake
def steps_before_backward(*args, **options):
    """step came before backward. After zero_grad there is no gradient, so nothing moves: first backward, then step."""
    return _loop(*args, **options, step_first=True)


@fit.mistake
def softmax_too_many(*args, **options):
    """cross_entropy takes logits. A softmax before it is one too many: the loss is flatter, and learning is slow."""
    return _loop(*args, **options, probabilities=True)


@fit.mistake
def batches_added_as_samples(*args, **options):
    """The loss of a batch is the mean over its samples. To divide by the number of samples later, add loss * batch size."""
    return _loop(*args, **options, weigh=False)


@fit.mistake
def keeps_the_graph(*args, **options):
    """The losses are tensors, and each of them keeps the graph of its batch in memory. Take the number: loss.item()."""
    return [torch.tensor(loss) for loss in _loop(*args, **options)]


def counted(accuracy):
    model, modes = nn.Linear(3, 3, bias=False), []
    with torch.no_grad():
        model.weight.copy_(torch.eye(3))
    model.register_forward_hook(lambda module, inputs, output: modes.append(module.training))
    x = torch.eye(3)[[0, 1, 2, 0, 1, 2]] - 0.5  # negative logits too
    y = drawn(torch.tensor([0, 1, 2, 1, 1, 0]))
    return {
        "4 of 6 right, in batches of 5 and 1": float(accuracy(model, [(x[:5], y[:5]), (x[5:], y[5:])])),
        "2 of 2 right": float(accuracy(model, [(x[:1], y[:1]), (x[1:2], y[1:2])])),
        "the model was asked in training mode": any(modes),
    }


@task(
    facts=counted,
    hints=(
        "Count the right answers and the samples over all batches; divide once, at the end.",
        "model.eval(), torch.no_grad(), then for x, y in batches: model(x).argmax(dim=1) == y.",
        "right += (model(x).argmax(dim=1) == y).sum().item(); samples += len(y); after the loop: right / samples",
    ),
)
def accuracy(model, batches):
    model.eval()
    with torch.no_grad():
        right = sum((model(x).argmax(dim=1) == y).sum().item() for x, y in batches)
    return right / sum(len(y) for _, y in batches)


@accuracy.mistake
def mean_of_batches(model, batches):
    """That is the mean of the batches' accuracies: the one sample of the last batch counts as much as the five before."""
    model.eval()
    return sum((model(x).argmax(dim=1) == y).double().mean().item() for x, y in batches) / len(batches)


@accuracy.mistake
def only_the_last_batch(model, batches):
    """That is the accuracy of the last batch alone: add up over all of them."""
    return accuracy(model, batches[-1:])


@accuracy.mistake
def still_training(model, batches):
    """The number is right only because this model has no dropout: it was asked in training mode. Call model.eval() first."""
    return sum((model(x).argmax(dim=1) == y).sum().item() for x, y in batches) / sum(len(y) for _, y in batches)


@accuracy.mistake
def not_a_share(model, batches):
    """That is how many are right. Divide by the number of samples."""
    return accuracy(model, batches) * sum(len(y) for _, y in batches)


@accuracy.mistake
def over_the_samples(model, batches):
    """argmax(dim=0) asks which *sample* has the largest logit of a class. The guess of a sample is the class with its largest
    logit: dim=1."""
    model.eval()
    right = sum((model(x).argmax(dim=0) == y).sum().item() for x, y in batches)
    return right / sum(len(y) for _, y in batches)


@accuracy.mistake
def divided_by_batches(model, batches):
    """You divided the right answers by the number of batches. Divide by the number of samples."""
    return accuracy(model, batches) * sum(len(y) for _, y in batches) / len(batches)


def plan(rate):
    epochs = {0: "the first", 3: "the last of the warm-up", 4: "the first after it", 12: "half-way down", 19: "the last"}
    return {f"epoch {epoch}, {which}": rate(epoch, 20, 4, 0.1) for epoch, which in epochs.items()}


@task(
    facts=plan,
    hints=(
        "Two formulas, one for epoch < warm_up and one for the rest. Try them on the first and the last epoch of each.",
        "In epoch 0 the line is at 1 / warm_up, so it counts epoch + 1. After the warm-up, count from its end.",
        "lr * (epoch + 1) / warm_up, and share = (epoch - warm_up) / (epochs - warm_up)",
    ),
)
def rate(epoch, epochs, warm_up, lr):
    if epoch < warm_up:
        return lr * (epoch + 1) / warm_up
    return lr * (1 + math.cos(math.pi * (epoch - warm_up) / (epochs - warm_up))) / 2


@rate.mistake
def first_epoch_at_zero(epoch, epochs, warm_up, lr):
    """In epoch 0 the rate is 0, so nothing is learned: the line counts epoch + 1."""
    return lr * epoch / warm_up if epoch < warm_up else rate(epoch, epochs, warm_up, lr)


@rate.mistake
def share_of_all_epochs(epoch, epochs, warm_up, lr):
    """The cosine begins after the warm-up: its share is counted from there, (epoch - warm_up) / (epochs - warm_up)."""
    share = epoch / epochs
    return lr * (1 + math.cos(math.pi * share)) / 2 if epoch >= warm_up else rate(epoch, epochs, warm_up, lr)


@rate.mistake
def too_long_a_way(epoch, epochs, warm_up, lr):
    """There are epochs - warm_up epochs after the warm-up; divided by all epochs the rate never comes down to 0."""
    share = (epoch - warm_up) / epochs
    return lr * (1 + math.cos(math.pi * share)) / 2 if epoch >= warm_up else rate(epoch, epochs, warm_up, lr)


@rate.mistake
def arrives_at_zero(epoch, epochs, warm_up, lr):
    """The last epoch trains with the rate 0, so nothing is learned in it. The share counts the epochs that are *over*: it is
    divided by epochs - warm_up, not by one less."""
    share = (epoch - warm_up) / (epochs - warm_up - 1)
    return lr * (1 + math.cos(math.pi * share)) / 2 if epoch >= warm_up else rate(epoch, epochs, warm_up, lr)


@rate.mistake
def one_epoch_ahead(epoch, epochs, warm_up, lr):
    """In the first epoch after the warm-up nothing is over yet, so the share is 0 there: epoch - warm_up, without + 1."""
    share = (epoch + 1 - warm_up) / (epochs - warm_up)
    return lr * (1 + math.cos(math.pi * share)) / 2 if epoch >= warm_up else rate(epoch, epochs, warm_up, lr)
