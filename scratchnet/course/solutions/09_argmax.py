"""Exercise 09: accuracy with labels in a column, top-k with ties counted against the model, a confusion matrix."""

import torch

from scratchnet.course import drawn, task


def shares_of_right_answers(accuracy):
    logits = drawn(torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 3.0], [0.5, 0.0, 0.2], [0.0, 4.0, 1.0]]))
    return {
        "the accuracy of the answers 0, 2, 0, 1 for 0, 2, 1, 1": accuracy(logits, drawn(torch.tensor([[0], [2], [1], [1]]))),
        "the accuracy of the answers 0, 2, 0, 1 for 1, 1, 1, 0": accuracy(logits, drawn(torch.tensor([[1], [1], [1], [0]]))),
        "the accuracy of the answer 2 for 2": accuracy(logits[1:2], drawn(torch.tensor([[2]]))),
    }


@task(
    facts=shares_of_right_answers,
    hints=(
        "The answers are (N,), the labels (N, 1). What does broadcasting make of the two (lesson 06)?",
        "argmax over the classes, y without its second axis, then the mean of a mask.",
        "(logits.argmax(dim=1) == y.squeeze(1)).float().mean().item()",
    ),
)
def accuracy(logits, y):
    return (logits.argmax(dim=1) == y.squeeze(1)).float().mean().item()


@accuracy.mistake
def column_against_row(logits, y):
    """(N,) == (N, 1) makes (N, N): every answer was compared with every label. squeeze(1) lays the labels down first."""
    return (logits.argmax(dim=1) == y).float().mean().item()


@accuracy.mistake
def best_row_of_each_class(logits, y):
    """argmax(dim=0) makes the pictures disappear and leaves one for each class. The classes should go: dim=1."""
    return (logits.argmax(dim=0) == y.squeeze(1)).float().mean().item()


@accuracy.mistake
def a_count(logits, y):
    """That is how many are right. A share divides by the number of rows."""
    return float((logits.argmax(dim=1) == y.squeeze(1)).sum().item())


@accuracy.mistake
def values_compared(logits, y):
    """amax gives the largest score, not its place. Labels are places: argmax."""
    return (logits.amax(dim=1) == y.squeeze(1)).float().mean().item()


@accuracy.mistake
def both_of_max(logits, y):
    """max along an axis gives two tensors, the largest scores and their places. The places are .indices, or argmax."""
    return (logits.max(dim=1) == y.squeeze(1)).float().mean().item()


@accuracy.mistake
def percent(logits, y):
    """That is in percent. A share is between 0 and 1."""
    return 100 * (logits.argmax(dim=1) == y.squeeze(1)).float().mean().item()


@accuracy.mistake
def wrong_ones(logits, y):
    """That is the share of wrong answers. `==` says where they are right."""
    return (logits.argmax(dim=1) != y.squeeze(1)).float().mean().item()


@accuracy.mistake
def best_of_all(logits, y):
    """argmax without an axis gives one place for the whole table. One for each row: dim=1."""
    return (logits.argmax() == y.squeeze(1)).float().mean().item()


def hits_among_the_best(top_k_accuracy):
    logits = drawn(torch.tensor([[4.0, 3.0, 2.0, 1.0], [4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0], [0.0, 9.0, 9.0, 9.0]]))
    y = drawn(torch.tensor([1, 2, 2, 1]))
    facts = {
        f"top-{k} where the right one is second, third, second, one of three firsts": top_k_accuracy(logits, y, k)
        for k in (1, 2, 3, 4)
    }
    rows = drawn(torch.tensor([[3.0, 1.0, 2.0], [9.0, 8.0, 7.0]]))
    facts["top-2 of [3, 1, 2] and [9, 8, 7] for the classes 1 and 1"] = top_k_accuracy(rows, drawn(torch.tensor([1, 1])), 2)
    return facts | {"top-3 of a dead model, 12 equal scores": top_k_accuracy(torch.zeros(10, 12), drawn(torch.arange(10)), 3)}


@task(
    facts=hits_among_the_best,
    hints=(
        "Do not ask topk which classes are in; ask how many score at least as high as the right one.",
        "The score of the right class is one gather away (lesson 03). Compare all scores of the row with it, and count.",
        "own = logits.gather(1, y[:, None]); ((logits >= own).sum(dim=1) <= k).float().mean().item()",
    ),
)
def top_k_accuracy(logits, y, k):
    own = logits.gather(1, y[:, None])
    return ((logits >= own).sum(dim=1) <= k).float().mean().item()


@top_k_accuracy.mistake
def generous(logits, y, k):
    """Only larger scores were counted, so a tie is a hit, and a dead model with all scores equal is always right. Count those
    that are at least as large."""
    own = logits.gather(1, y[:, None])
    return ((logits > own).sum(dim=1) < k).float().mean().item()


@top_k_accuracy.mistake
def off_by_one(logits, y, k):
    """The right class itself is among those at least as large: at most k of them, not fewer than k."""
    own = logits.gather(1, y[:, None])
    return ((logits >= own).sum(dim=1) < k).float().mean().item()


@top_k_accuracy.mistake
def left_to_topk(logits, y, k):
    """topk does not promise which of several equal scores it takes, so the result is a matter of luck. Count the scores that
    are at least as large as the right one instead."""
    return (logits.topk(k, dim=1).indices == y[:, None]).any(dim=1).float().mean().item()


@top_k_accuracy.mistake
def everybodys_columns(logits, y, k):
    """`logits[:, y]` takes all rows with all labels, (N, N). Take one entry per row: gather with y[:, None]."""
    return ((logits >= logits[:, y]).sum(dim=1) <= k).float().mean().item()


@top_k_accuracy.mistake
def number_of_hits(logits, y, k):
    """That is how many rows are hits. A share divides by the number of rows."""
    own = logits.gather(1, y[:, None])
    return float(((logits >= own).sum(dim=1) <= k).sum().item())


@top_k_accuracy.mistake
def k_ignored(logits, y, k):
    """k has no effect: that is the share of rows in which the right class is surely the best."""
    own = logits.gather(1, y[:, None])
    return ((logits >= own).sum(dim=1) <= 1).float().mean().item()


@top_k_accuracy.mistake
def lower_ones_counted(logits, y, k):
    """The classes that score at most as much were counted. Those ahead of the right one score at least as much: `>=`."""
    own = logits.gather(1, y[:, None])
    return ((logits <= own).sum(dim=1) <= k).float().mean().item()


def counted(confusion):
    y, predicted = drawn(torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])), drawn(torch.tensor([0, 0, 2, 1, 0, 2, 2, 1]))
    facts = {"the matrix of the answers 0 0 2 1 0 2 2 1 for 0 0 0 1 1 2 2 2": confusion(predicted, y, 3)}
    return facts | {"the same with a fourth class that never occurs": confusion(predicted, y, 4)}


@task(
    facts=counted,
    hints=(
        "Every picture adds 1 to one cell. Several pictures meet in the same cell (lesson 04).",
        "A loop over the pictures does it, and so does index_put_ with accumulate=True. Row: the right class.",
        "for i, j in zip(y.tolist(), predicted.tolist()): counts[i, j] += 1",
    ),
)
def confusion(predicted, y, classes):
    counts = torch.zeros(classes, classes, dtype=torch.int64)
    return counts.index_put_((y, predicted), torch.ones_like(y), accumulate=True)


@confusion.mistake
def last_one_wins(predicted, y, classes):
    """No cell is above 1: `counts[y, predicted] += 1` reads all cells before it writes. Add one after the other."""
    counts = torch.zeros(classes, classes, dtype=torch.int64)
    counts[y, predicted] += 1
    return counts


@confusion.mistake
def sides_swapped(predicted, y, classes):
    """Rows and columns are swapped: the row is the right class, the column the answer."""
    return confusion(y, predicted, classes)


@confusion.mistake
def only_hits(predicted, y, classes):
    """Only the right answers were counted. The interesting part is off the diagonal."""
    return confusion(y[y == predicted], y[y == predicted], classes)


@confusion.mistake
def only_the_classes_that_occur(predicted, y, classes):
    """A class that never occurs has no row. The matrix is (classes, classes), whatever occurs: begin with zeros of that
    shape."""
    found = int(y.max()) + 1
    return confusion(predicted, y, found)


@confusion.mistake
def shares(predicted, y, classes):
    """Those are shares of the pictures. The matrix counts: how often, in int64."""
    return confusion(predicted, y, classes) / len(y)


@confusion.mistake
def per_class_only(predicted, y, classes):
    """That counts the pictures of each class, (classes,). Each picture belongs into the cell [right class, answer]."""
    return torch.bincount(y, minlength=classes)


def shares_of_each_class(recall):
    facts = {"the recall of [[2, 0, 1], [1, 1, 0], [2, 0, 3]]": recall(drawn(torch.tensor([[2, 0, 1], [1, 1, 0], [2, 0, 3]])))}
    return facts | {"the recall of [[3, 1], [4, 4]]": recall(drawn(torch.tensor([[3, 1], [4, 4]])))}


@task(
    facts=shares_of_each_class,
    hints=(
        "The pictures of one class are in one row. How many were recognised, and how many are there?",
        "The diagonal over the sums of the rows. Which axis must disappear?",
        "counts.diagonal() / counts.sum(dim=1)",
    ),
)
def recall(counts):
    return counts.diagonal() / counts.sum(dim=1)


@recall.mistake
def precision(counts):
    """You divided by the columns: how many of the answers "i" were right? That has a name too, precision. Recall divides by the
    rows."""
    return counts.diagonal() / counts.sum(dim=0)


@recall.mistake
def share_of_all(counts):
    """Divided by all pictures, the shares add up to the accuracy. Divide each class by its own number of pictures:
    sum(dim=1)."""
    return counts.diagonal() / counts.sum()


@recall.mistake
def whole_matrix(counts):
    """Those are the shares of all answers in each row, (C, C). Recall is their diagonal, (C,)."""
    return counts / counts.sum(dim=1, keepdim=True)


@recall.mistake
def hits(counts):
    """Those are the hits of each class. A share divides them by how many pictures the class has, the sum of its row."""
    return counts.diagonal()


@recall.mistake
def one_number(counts):
    """That is one number, the accuracy. Recall is a share for each class, (C,)."""
    return counts.diagonal().sum() / counts.sum()


@recall.mistake
def whole_division(counts):
    """`//` gives whole numbers, and a share below 1 becomes 0. Divide with `/`."""
    return counts.diagonal() // counts.sum(dim=1)
