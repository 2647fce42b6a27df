"""Wrong answers to exercise 17, each with words of what it must be told."""


def descend__a_copy_too_late(gradient, w, lr, steps):
    """`-=` writes into it"""
    for _ in range(steps):
        w -= lr * gradient(w)
    return w.clone()


def limit__always_the_same(x):
    """of 7 random samples of 3 numbers: yours is 0.2"""
    return 0.2


def diverged__first_against_last(losses):
    """are a lost run: yours is"""
    return losses[-1] > losses[0]


def choose__the_largest(histories):
    """yours is 3; it should be 0.1"""
    return max(histories)
