import numpy as np


def rotate(x, cos, sin, turn_back=False):
    r = cos.shape[-1]
    half = r // 2
    a, b = x[..., :half], x[..., half:r]
    cos_a, cos_b, sin_a, sin_b = cos[..., :half], cos[..., half:], sin[..., :half], sin[..., half:]
    if turn_back:
        sin_a, sin_b = -sin_b, -sin_a
    return np.concatenate([a * cos_a - b * sin_a, b * cos_b + a * sin_b, x[..., r:]], axis=-1)


def forward(query, key, cos, sin):
    return rotate(query, cos, sin), rotate(key, cos, sin)


def backward(grad_q_out, grad_k_out, query, key, cos, sin):
    return rotate(grad_q_out, cos, sin, turn_back=True), rotate(grad_k_out, cos, sin, turn_back=True)
