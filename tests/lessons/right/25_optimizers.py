"""Right answers to exercise 25, each in a style of its own."""

import torch


def momentum_step__add(w, g, v, lr, momentum):
    """torch.add with alpha."""
    v = torch.add(g, v, alpha=momentum)
    return torch.sub(w, v, alpha=lr), v


def momentum_step__on_a_copy(w, g, v, lr, momentum):
    """In place, on a copy."""
    v = v.clone()
    v.mul_(momentum).add_(g)
    return w - lr * v, v


def momentum_step__entry_by_entry(w, g, v, lr, momentum):
    """A list of the entries."""
    new = [momentum * old + gradient for old, gradient in zip(v, g, strict=True)]
    return torch.stack([a - lr * b for a, b in zip(w, new, strict=True)]), torch.stack(new)


def adam_step__named_means(w, g, m, s, t, lr):
    """Names for the corrected means."""
    m = 0.9 * m + (1 - 0.9) * g
    s = 0.999 * s + (1 - 0.999) * g**2
    m_hat = m / (1 - 0.9**t)
    s_hat = s / (1 - 0.999**t)
    return w - lr * m_hat / (torch.sqrt(s_hat) + 1e-8), m, s


def adam_step__lerp(w, g, m, s, t, lr):
    """As torch writes it: the correction in the step size and in the denominator."""
    m, s = torch.lerp(m, g, 0.1), torch.addcmul(0.999 * s, g, g, value=0.001)
    denominator = s.sqrt() / (1 - 0.999**t) ** 0.5 + 1e-8
    return torch.addcdiv(w, m, denominator, value=-lr / (1 - 0.9**t)), m, s


def adam_step__on_copies(w, g, m, s, t, lr):
    """In place, on copies."""
    w, m, s = w.clone(), m.clone(), s.clone()
    m *= 0.9
    m += 0.1 * g
    s *= 0.999
    s += 0.001 * torch.square(g)
    w -= lr * (m / (1 - pow(0.9, t))) / ((s / (1 - pow(0.999, t))) ** 0.5 + 1e-8)
    return w, m, s


def adamw_step__subtracted(w, g, m, s, t, lr, decay):
    """Adam's step from the old w, minus what decays."""
    new, m, s = adam_step__named_means(w, g, m, s, t, lr)
    return new - lr * decay * w, m, s


def adamw_step__decay_first(w, g, m, s, t, lr, decay):
    """The decayed w, in two lines."""
    w = w - lr * decay * w
    return adam_step__on_copies(w, g, m, s, t, lr)


def adamw_step__written_out(w, g, m, s, t, lr, decay):
    """Everything in one formula."""
    m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g * g
    step = (m / (1 - 0.9**t)) / ((s / (1 - 0.999**t)).sqrt() + 1e-8) + decay * w
    return w - lr * step, m, s


def groups__filter(model, decay):
    """filter, and len of the shape."""
    matrix = lambda parameter: len(parameter.shape) > 1
    return [
        {"params": filter(matrix, model.parameters()), "weight_decay": decay},
        {"params": (p for p in model.parameters() if not matrix(p)), "weight_decay": 0},
    ]


def groups__loop(model, decay):
    """Two lists that are filled."""
    matrices, others = [], []
    for _, parameter in model.named_parameters():
        (matrices if parameter.dim() >= 2 else others).append(parameter)
    return [dict(params=matrices, weight_decay=decay), dict(params=others, weight_decay=0.0)]


def groups__flags(model, decay):
    """One comprehension over both flags."""
    parameters = list(model.parameters())
    return [{"params": [p for p in parameters if (p.ndim > 1) == many], "weight_decay": decay * many} for many in (True, False)]
