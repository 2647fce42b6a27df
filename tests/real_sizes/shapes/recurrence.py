import math

from scratchnet.ops import GATES


def _recurrence(t, mode, steps, batch, inputs, hidden, projected=None):
    """Weights on the scale of a new layer's: the gates are far from saturated."""
    scale, state, gates = 1 / math.sqrt(3 * hidden), projected or hidden, GATES[mode] * hidden
    weight = lambda *shape: (t(*shape).detach() * scale).requires_grad_()
    args = (t(steps, batch, inputs), weight(gates, inputs), weight(gates, state), weight(gates), weight(gates), t(batch, state))
    kwargs = {"mode": mode}
    if mode == "lstm":
        kwargs["c0"] = t(batch, hidden)
    if projected:
        kwargs["weight_hr"] = weight(projected, hidden)
    return args, kwargs


SHAPES = {
    "recurrence": {
        "LSTM language model, medium": lambda t: _recurrence(t, "lstm", 12, 20, 650, 650),
        "LSTM language model, large": lambda t: _recurrence(t, "lstm", 3, 20, 1500, 1500),
        "AWD-LSTM": lambda t: _recurrence(t, "lstm", 5, 80, 400, 1150),
        "Google's LSTM with a projection": lambda t: _recurrence(t, "lstm", 3, 33, 512, 2048, projected=512),
        "GRU sequence to sequence": lambda t: _recurrence(t, "gru", 5, 80, 620, 1000),
        "GRU4Rec": lambda t: _recurrence(t, "gru", 19, 500, 100, 100),
        "Elman network": lambda t: _recurrence(t, "rnn_tanh", 35, 64, 200, 200),
    },
}
