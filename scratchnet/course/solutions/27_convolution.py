"""Exercise 27: output sizes, a convolution as shifted products, its three gradients, a network that fits together."""

import torch

from scratchnet import nn
from scratchnet.course import drawn, task


def sizes(output_size):
    return {
        "8 pixels, windows of 3": output_size(8, 3, 1, 0),
        "8 pixels, windows of 3, padding 1": output_size(8, 3, 1, 1),
        "8 pixels, windows of 3, stride 2": output_size(8, 3, 2, 0),
        "28 pixels, windows of 5, stride 3, padding 2": output_size(28, 5, 3, 2),
        "windows as large as the picture": output_size(8, 8, 4, 0),
        "7 pixels, windows of 2, stride 4, padding 1": output_size(7, 2, 4, 1),
    }


@task(
    facts=sizes,
    hints=(
        "Padding first: how long is the axis then? How far can the first window move until it reaches the end?",
        "It can move by n + 2 padding - window pixels, in steps of the stride; and its first position counts too.",
        "(n + 2 * padding - window) // stride + 1",
    ),
)
def output_size(n, window, stride, padding):
    return (n + 2 * padding - window) // stride + 1


@output_size.mistake
def steps_not_windows(n, window, stride, padding):
    """That counts the steps. The window at the start is one more: + 1."""
    return (n + 2 * padding - window) // stride


@output_size.mistake
def padded_at_one_end(n, window, stride, padding):
    """There is padding at both ends: 2 * padding."""
    return (n + padding - window) // stride + 1


@output_size.mistake
def rounded_up(n, window, stride, padding):
    """A last window that does not fit is left out: divide with //, which rounds down."""
    return -(-(n + 2 * padding - window) // stride) + 1


@output_size.mistake
def not_whole(n, window, stride, padding):
    """`/` gives a float, 6.0 or even 3.5, but windows are counted in whole numbers: use //."""
    return (n + 2 * padding - window) / stride + 1


@output_size.mistake
def one_inside_the_division(n, window, stride, padding):
    """The stride divides the distance that the window can move, and the first window comes on top: the + 1 stays outside the
    division."""
    return (n + 2 * padding - window + 1) // stride


def _example():
    x, W, b = torch.randn(2, 3, 5, 6), torch.randn(4, 3, 2, 2), torch.randn(4)
    return x, W, b, torch.randn(2, 4, 4, 5)


def convolved(conv2d_forward):
    x, W, b, _ = _example()
    picture = drawn(torch.arange(9.0).reshape(1, 1, 3, 3))
    weights = drawn(torch.tensor([[1.0, 10.0], [100.0, 1000.0]]).reshape(1, 1, 2, 2))
    return {
        "y of the pixels 0 to 8 (3 x 3) and a filter [[1, 10], [100, 1000]]": conv2d_forward(picture, weights, torch.zeros(1)),
        "y of 2 random pictures with 3 channels, 4 filters and a bias": conv2d_forward(x, W, b),
    }


@task(
    facts=convolved,
    hints=(
        "The weights that meet the part moved by (i, j) are one number for each filter and each channel: a matrix (F, C).",
        "That matrix is W at (i, j). The bias must be stretched over the pictures and the places: what shape does it need?",
        "torch.einsum('fc,nchw->nfhw', W[:, :, i, j], part), and b[:, None, None], (F, 1, 1)",
    ),
    without=("conv2d", "convolution"),
)
def conv2d_forward(x, W, b):
    filters, _, k, _ = W.shape
    height, width = x.shape[2] - k + 1, x.shape[3] - k + 1
    y = torch.zeros(len(x), filters, height, width)
    for i in range(k):
        for j in range(k):
            y += torch.einsum("fc,nchw->nfhw", W[:, :, i, j], x[:, :, i : i + height, j : j + width])
    return y + b[:, None, None]


def _convolved(x, W, b, mirror=False, swap=False):
    """The convolution with its mistakes as options."""
    filters, _, k, _ = W.shape
    height, width = x.shape[2] - k + 1, x.shape[3] - k + 1
    y = torch.zeros(len(x), filters, height, width)
    for i in range(k):
        for j in range(k):
            row, column = (k - 1 - i, k - 1 - j) if mirror else (j, i) if swap else (i, j)
            y += torch.einsum("fc,nchw->nfhw", W[:, :, row, column], x[:, :, i : i + height, j : j + width])
    return y + b[:, None, None]


@conv2d_forward.mistake
def turned_filter(x, W, b):
    """The filter is turned by 180 degrees. That is the mathematicians' convolution; here W[:, :, i, j] meets the part moved by
    (i, j)."""
    return _convolved(x, W, b, mirror=True)


@conv2d_forward.mistake
def rows_for_columns(x, W, b):
    """Rows and columns of the filter are swapped: the part moved by i rows and j columns meets W[:, :, i, j]."""
    return _convolved(x, W, b, swap=True)


@conv2d_forward.mistake
def bias_along_the_width(x, W, b):
    """b (F,) meets y (N, F, H, W) from the right, so it lands on the width. One bias for each filter is b[:, None, None]."""
    return _convolved(x, W, torch.zeros_like(b)) + b


@conv2d_forward.mistake
def no_bias(x, W, b):
    """The bias is missing: add b[:, None, None] at the end."""
    return _convolved(x, W, torch.zeros_like(b))


@conv2d_forward.mistake
def bias_at_every_tap(x, W, b):
    """The bias was added once for every place in the filter. Add it only once, after the loops."""
    return _convolved(x, W, b * W.shape[2] * W.shape[3])


@conv2d_forward.mistake
def only_the_last_tap(x, W, b):
    """Only the last place of the filter is left: `y = ...` in the loop forgets the places before. Add them up with `+=`."""
    height, width = x.shape[2] - W.shape[2] + 1, x.shape[3] - W.shape[3] + 1
    return torch.einsum("fc,nchw->nfhw", W[:, :, -1, -1], x[:, :, -height:, -width:]) + b[:, None, None]


@conv2d_forward.mistake
def torch_does_it(x, W, b):
    """The result is right, but torch's convolution computed it. The loop over the filter's places is the task."""
    return torch.nn.functional.conv2d(x, W, b)


def gradients(conv2d_backward):
    x, W, _, g = _example()
    dx, dW, db = conv2d_backward(g, x, W)
    ones = torch.ones(1, 1, 3, 3)
    covered, _, _ = conv2d_backward(ones[:, :, :2, :2], ones, ones[:, :, :2, :2])
    return {
        "dx where all is 1: how many 2 x 2 windows cover each pixel of 3 x 3": covered,
        "dW": dW,
        "db": db,
        "dx": dx,
    }


@task(
    facts=gradients,
    hints=(
        "The line of the forward is y += W[:, :, i, j] times part: a product, so both factors get a product with g.",
        "dW meets g and the part. The part's own gradient is the transposed product; add it where the part lies in dx.",
        "einsum('nfhw,nchw->fc', g, part); dx[:, :, i : i + height, j : j + width] += "
        "einsum('fc,nfhw->nchw', W[:, :, i, j], g); g.sum(dim=(0, 2, 3))",
    ),
)
def conv2d_backward(g, x, W):
    k, (height, width) = W.shape[2], g.shape[2:]
    dx, dW = torch.zeros_like(x), torch.zeros_like(W)
    for i in range(k):
        for j in range(k):
            rows, columns = slice(i, i + height), slice(j, j + width)
            dW[:, :, i, j] = torch.einsum("nfhw,nchw->fc", g, x[:, :, rows, columns])
            dx[:, :, rows, columns] += torch.einsum("fc,nfhw->nchw", W[:, :, i, j], g)
    return dx, dW, g.sum(dim=(0, 2, 3))


@conv2d_backward.mistake
def last_window_wins(g, x, W):
    """Windows overlap: a pixel covered by four of them gets four gradients. Add with `+=`; `=` keeps only the last."""
    _, dW, db = conv2d_backward(g, x, W)
    k, (height, width) = W.shape[2], g.shape[2:]
    dx = torch.zeros_like(x)
    for i in range(k):
        for j in range(k):
            dx[:, :, i : i + height, j : j + width] = torch.einsum("fc,nfhw->nchw", W[:, :, i, j], g)
    return dx, dW, db


@conv2d_backward.mistake
def weights_averaged(g, x, W):
    """dW was averaged over the pictures. A weight that is used for all of them gets the sum; the mean is in the loss."""
    dx, dW, db = conv2d_backward(g, x, W)
    return dx, dW / len(x), db


@conv2d_backward.mistake
def bias_of_the_batch_alone(g, x, W):
    """The bias of a filter was added at every place of every picture: sum g over the axes 0, 2 and 3, to (F,)."""
    dx, dW, _ = conv2d_backward(g, x, W)
    return dx, dW, g.sum(dim=0)


@conv2d_backward.mistake
def dx_in_the_corner(g, x, W):
    """All gradients went to the same place. The part was moved by (i, j), so its gradient goes to dx moved by (i, j)."""
    _, dW, db = conv2d_backward(g, x, W)
    dx, (height, width) = torch.zeros_like(x), g.shape[2:]
    dx[:, :, :height, :width] = torch.einsum("fcij,nfhw->nchw", W, g)
    return dx, dW, db


@conv2d_backward.mistake
def bias_summed_over_pixels_alone(g, x, W):
    """db is (F,): the pictures share the biases too, so sum g over the axis 0 as well, dim=(0, 2, 3)."""
    dx, dW, _ = conv2d_backward(g, x, W)
    return dx, dW, g.sum(dim=(2, 3))


def what_fits(network):
    model = network(3, 16, 7)
    for parameter in model.parameters():
        nn.init.uniform_(parameter, -0.5, 0.5)
    y = model(torch.rand(2, 3, 16, 16))
    return {
        "the shape of the logits of 2 pictures of 3 x 16 x 16, 7 classes": tuple(y.shape),
        "the layers": [type(layer).__name__ for layer in model],
        "the sizes of all parameters": [tuple(parameter.shape) for parameter in model.parameters()],
        "the logits": y.detach(),
    }


@task(
    facts=what_fits,
    hints=(
        "Write the size after each layer beside it. With 3 x 3 windows padding 1 keeps it, and each pooling halves it.",
        "After two poolings there are 16 channels of size / 4 times size / 4. Linear wants their product as its inputs.",
        "nn.Conv2d(channels, 8, 3, padding=1), ..., nn.Conv2d(8, 16, 3, padding=1), ..., "
        "nn.Linear(16 * (size // 4) ** 2, classes)",
    ),
)
def network(channels, size, classes):
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1),  # (N, 8, size, size)
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, 8, size / 2, size / 2)
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, 16, size / 4, size / 4)
        nn.Flatten(),
        nn.Linear(16 * (size // 4) ** 2, classes),
    )


def _stack(channels, classes, features, padding=1, end=()):
    """The network with its mistakes as options."""
    convolutions = nn.Conv2d(channels, 8, 3, padding=padding), nn.Conv2d(8, 16, 3, padding=padding)
    layers = [layer for convolution in convolutions for layer in (convolution, nn.ReLU(), nn.MaxPool2d(2))]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, classes), *end)


@network.mistake
def forgot_the_poolings(channels, size, classes):
    """Each MaxPool2d(2) halves height and width, so 16 * (size / 4) * (size / 4) numbers arrive at the linear layer."""
    return _stack(channels, classes, 16 * size**2)


@network.mistake
def forgot_the_channels(channels, size, classes):
    """Flatten puts all 16 channels into one row: the linear layer gets 16 * (size / 4) * (size / 4) numbers."""
    return _stack(channels, classes, (size // 4) ** 2)


@network.mistake
def no_padding(channels, size, classes):
    """Without padding every 3 x 3 convolution takes 2 pixels off each axis. padding=1 keeps the size."""
    return _stack(channels, classes, 16 * (size // 4) ** 2, padding=0)


@network.mistake
def softmax_at_the_end(channels, size, classes):
    """Logits were asked for. A softmax at the end is one too many: cross_entropy has its own."""
    return _stack(channels, classes, 16 * (size // 4) ** 2, end=(nn.Softmax(dim=1),))


@network.mistake
def without_bends(channels, size, classes):
    """The ReLUs are missing. Convolutions are linear, and without a bend between them two are no more than one."""
    layers = _stack(channels, classes, 16 * (size // 4) ** 2)
    return nn.Sequential(*(layer for layer in layers if not isinstance(layer, nn.ReLU)))


@network.mistake
def not_flattened(channels, size, classes):
    """Flatten is missing: Linear takes the last axis, and there stand the pixels of one line, not all numbers of a picture."""
    layers = _stack(channels, classes, 16 * (size // 4) ** 2)
    return nn.Sequential(*(layer for layer in layers if not isinstance(layer, nn.Flatten)))
