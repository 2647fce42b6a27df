import torch
import torch.nn.functional as F

from column_cases.case import call, randn
from scratchnet.ops import GATES, RECURRENCES


def recurrence_forward(x, batch_sizes, w_ih, w_hh, b_ih, b_hh, h0, c0, w_hr, mode, reverse):
    """torch's cells over the rows of each step."""
    if batch_sizes is None:
        rows, batch_sizes = x.flatten(0, 1), torch.full(x.shape[:1], x.shape[1])
        y, *others = recurrence_forward(rows, batch_sizes, w_ih, w_hh, b_ih, b_hh, h0, c0, w_hr, mode, reverse)
        return y.unflatten(0, x.shape[:2]), *others
    name, begin, h, c = RECURRENCES[mode], 0, h0, c0
    b_ih, b_hh = (x.new_zeros(len(w_hh)) if b is None else b for b in (b_ih, b_hh))
    steps = []
    for n in batch_sizes.tolist():
        steps.append((begin, n))
        begin += n
    rows = {}
    for begin, n in reversed(steps) if reverse else steps:
        x_t, h_t = x[begin : begin + n], h[:n]
        match name:
            case "lstm":
                i, f, g, o = (F.linear(x_t, w_ih, b_ih) + F.linear(h_t, w_hh, b_hh)).chunk(4, 1)
                i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
                inner = f * c[:n] + i * g
                new = o * inner.tanh()
                new = new if w_hr is None else F.linear(new, w_hr)
                c = torch.cat([inner, c[n:]])
                activations = torch.cat([i, f, g, o], 1)
            case "gru":
                new = torch.gru_cell(x_t, h_t, w_ih, w_hh, b_ih, b_hh)
                u, v = F.linear(x_t, w_ih, b_ih).chunk(3, 1), F.linear(h_t, w_hh, b_hh).chunk(3, 1)
                r, z, inner = (u[0] + v[0]).sigmoid(), (u[1] + v[1]).sigmoid(), v[2]
                activations = torch.cat([r, z, (u[2] + r * inner).tanh()], 1)
            case _:
                cell = torch.rnn_tanh_cell if name == "rnn_tanh" else torch.rnn_relu_cell
                new = activations = cell(x_t, h_t, w_ih, w_hh, b_ih, b_hh)
                inner = x.new_empty(n, 0)
        h = torch.cat([new, h[n:]])
        rows[begin] = new, activations, inner
    y, activations, inner = (torch.cat(values) for values in zip(*(rows[begin] for begin in sorted(rows)), strict=True))
    return y, h, h0.flatten()[:0] if c is None else c, activations, inner


def recurrence_calls():
    for mode, name in enumerate(RECURRENCES):
        for label, sizes, biased, reverse, state in (
            ("padded", (2, 2, 2), True, False, 3),
            ("sequences of one length, reverse", (2, 2, 2), True, True, 3),
            ("packed", (3, 2, 2, 1), True, False, 3),
            ("packed, reverse, no bias", (3, 2, 2, 1), False, True, 3),
            ("one step", (4,), True, True, 3),
            ("projection", (3, 2, 1), True, True, 2),
        ):
            if label == "projection" and name != "lstm":
                continue
            gates, packed = 3 * GATES[name], label != "sequences of one length, reverse"
            yield call(
                f"{name} {label}",
                x=randn(sum(sizes), 2) if packed else randn(len(sizes), sizes[0], 2),
                batch_sizes=torch.tensor(sizes) if packed else None,
                w_ih=randn(gates, 2) / 2,
                w_hh=randn(gates, state) / 2,
                b_ih=randn(gates) if biased else None,
                b_hh=randn(gates, seed=1) if biased else None,
                h0=randn(sizes[0], state),
                c0=randn(sizes[0], 3) if name == "lstm" else None,
                w_hr=randn(state, 3) if label == "projection" else None,
                mode=mode,
                reverse=reverse,
            )
