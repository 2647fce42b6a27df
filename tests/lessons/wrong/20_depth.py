"""Wrong answers to exercise 20, each with words of what it must be told."""

from scratchnet import nn, optim, training


def collapse__the_matrix(first, second):
    """collapse returns a tensor"""
    return second.weight @ first.weight


def both_or_none__square(x):
    """between its bends the answer runs along straight lines: yours is False"""
    return 1 - (x[:, 0] - x[:, 1]) ** 2


def both_or_none__equal(x):
    """a comparison gives them"""
    return (x[:, 0] == x[:, 1]) * 1.0


def learn__one_layer(x, y):
    """This network is linear"""
    model = nn.Sequential(nn.Linear(2, 2))
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    for _ in range(150):
        training.train_step(model, nn.CrossEntropyLoss(), optimizer, x, y)
    return model


def learn__not_trained(x, y):
    """the loss on XOR is below 0.1: yours is False; it should be True"""
    return nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
