"""Wrong answers to exercise 25, each with words of what it must be told."""


def momentum_step__overwritten(w, g, v, lr, momentum):
    """the v that was given has changed"""
    v.mul_(momentum).add_(g)
    return w - lr * v, v


def adam_step__product(w, g, m, s, t, lr):
    """0.9 * t is a product"""
    m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g**2
    return w - lr * (m / (1 - 0.9 * t)) / ((s / (1 - 0.999 * t)) ** 0.5 + 1e-8), m, s
