"""Wrong answers to exercise 13, each with words of what it must be told."""


def wrong_ones__other_order():
    """The names are right. The task wants them in the order of PAIRS"""
    return ["mean", "softmax"]


def wrong_ones__one_string():
    """softmax is indeed wrong, and so is another one"""
    return "softmax"


def wrong_ones__capitals():
    """run numeric_gradients on each of the five pairs"""
    return ["Softmax", "Mean"]


def dense_backward_and_step__without_return(W, a_prev, dz, lr):
    """it has no `return` with the result behind it"""
    da_prev = W.T @ dz
    W -= lr * dz @ a_prev.T
    da_prev.sum()


def dense_backward_and_step__both(W, a_prev, dz, lr):
    """da_prev: yours is a tuple"""
    da_prev = W.T @ dz
    W -= lr * dz @ a_prev.T
    return da_prev, W
