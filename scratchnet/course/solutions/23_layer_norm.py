"""Exercise 23: rows and columns of statistics, a variance by two passes, LayerNorm forward and backward."""

import torch

from scratchnet.course import drawn, task


def as_they_stand(predict):
    return predict()


@task(
    facts=as_they_stand,
    hints=(
        "LayerNorm has a mean for each row, where a row is what normalized_shape covers. BatchNorm has one for each feature.",
        "For LayerNorm, cross out the last axes, those in normalized_shape, and multiply what is left of the shape.",
        "LayerNorm(8) for (4, 5, 8): 4 * 5. BatchNorm2d has as many means as there are channels, whatever the batch.",
    ),
    reveal="that is not it: cross out the axes that one mean covers, and multiply what is left of the shape",
)
def how_many_means():
    return {
        "LayerNorm(8) for (4, 5, 8)": 4 * 5,
        "LayerNorm((5, 8)) for (4, 5, 8)": 4,
        "LayerNorm((3, 6, 6)) for images (4, 3, 6, 6)": 4,
        "BatchNorm1d(8) for (32, 8)": 8,
        "BatchNorm2d(3) for images (4, 3, 6, 6)": 3,
    }


@how_many_means.mistake
def one_for_each_feature():
    """LayerNorm(8) takes the 8 features together. There is one mean for each of the 4 * 5 rows."""
    return how_many_means() | {"LayerNorm(8) for (4, 5, 8)": 8}


@how_many_means.mistake
def only_the_last_axis():
    """normalized_shape (5, 8) covers two axes: 40 numbers share one mean, so there is one for each of the 4 samples."""
    return how_many_means() | {"LayerNorm((5, 8)) for (4, 5, 8)": 20}


@how_many_means.mistake
def one_for_each_channel():
    """With (3, 6, 6) the channels are taken together too: one mean for each image."""
    return how_many_means() | {"LayerNorm((3, 6, 6)) for images (4, 3, 6, 6)": 12}


@how_many_means.mistake
def one_for_each_sample():
    """BatchNorm goes down the columns: one mean per feature, 8 in all, over all 32 samples."""
    return how_many_means() | {"BatchNorm1d(8) for (32, 8)": 32}


@how_many_means.mistake
def one_for_each_image_and_channel():
    """BatchNorm2d takes a channel over all images and all pixels: one mean for each of the 3 channels."""
    return how_many_means() | {"BatchNorm2d(3) for images (4, 3, 6, 6)": 12}


def spread_of_rows(variance):
    small = drawn(torch.tensor([[1.0, 3.0, 5.0, 7.0], [2.0, 2.0, 2.0, 6.0]]))
    noise = torch.randn(3, 1000)
    return {
        "the variances of 1 3 5 7 and 2 2 2 6": variance(small),
        "it is the same for a row that is moved to 10,000": bool(
            (variance(noise + 10_000) - variance(noise)).abs().max() < 0.01
        ),
    }


@task(
    facts=spread_of_rows,
    hints=(
        "Subtract first, square later: then large numbers are gone before they are squared.",
        "The mean with keepdim=True, so that it broadcasts back; then the mean of the squared distances.",
        "(x - x.mean(dim=1, keepdim=True)).square().mean(dim=1)",
    ),
)
def variance(x):
    return (x - x.mean(dim=1, keepdim=True)).square().mean(dim=1)


@variance.mistake
def one_pass(x):
    """The mean of the squares minus the squared mean is right on paper. In float32, at 10,000, it has lost every digit."""
    return (x * x).mean(dim=1) - x.mean(dim=1).square()


@variance.mistake
def of_a_sample(x):
    """That was divided by D - 1, as x.var() does. Divide by D: x.var(dim=1, correction=0), or the mean of the squares."""
    return x.var(dim=1)


@variance.mistake
def deviation(x):
    """That is the standard deviation. The variance is its square; take no root."""
    return x.std(dim=1, correction=0)


@variance.mistake
def down_the_columns(x):
    """dim=0 goes down the columns. Each *row* has a variance here: dim=1."""
    return x.var(dim=0, correction=0)


@variance.mistake
def not_divided(x):
    """That is the sum of the squared distances. The variance is their mean: divide by D."""
    return variance(x) * x.shape[1]


@variance.mistake
def of_everything(x):
    """Your mean is that of the whole tensor, but every row has its own: x.mean(dim=1, keepdim=True)."""
    return (x - x.mean()).square().mean(dim=1)


@variance.mistake
def one_number(x):
    """That is one variance for the whole tensor. Each row has its own, (N,): dim=1."""
    return x.var(correction=0)


@variance.mistake
def distances_not_squared(x):
    """The distances from the mean always sum to 0, whatever the row: square them before you take their mean."""
    return (x - x.mean(dim=1, keepdim=True)).mean(dim=1)


def normalised(layer_norm):
    x = drawn(torch.tensor([[1.0, 3.0, 5.0, 7.0], [2.0, 2.0, 2.0, 6.0]]))
    weight, bias = drawn(torch.tensor([1.0, 2.0, 3.0, 4.0])), drawn(torch.tensor([0.0, 0.0, 10.0, 10.0]))
    words = layer_norm(torch.randn(2, 3, 4), weight, bias, 1e-5)
    return {
        "1 3 5 7 with weights 1 and bias 0": layer_norm(x[:1], torch.ones(4), torch.zeros(4), 1e-5),
        "a row of equal numbers, bias 1": layer_norm(torch.full((1, 4), 3.0), torch.ones(4), torch.ones(4), 1e-5),
        "two rows with eps 0.5, weight and bias": layer_norm(x, weight, bias, 0.5),
        "the shape for (2, 3, 4)": tuple(words.shape),
        "the last of those rows": words[-1, -1],
    }


@task(
    facts=normalised,
    hints=(
        "Along the last axis: subtract the mean, divide by the root of variance + eps, then times weight plus bias.",
        "mean(dim=-1, keepdim=True) and var(dim=-1, keepdim=True, correction=0) go back over the row by broadcasting.",
        "(x - mean) / (var + eps).sqrt() * weight + bias",
    ),
    without=("layer_norm", "native_layer_norm"),
)
def layer_norm(x, weight, bias, eps):
    mean, var = x.mean(dim=-1, keepdim=True), x.var(dim=-1, keepdim=True, correction=0)
    return (x - mean) / (var + eps).sqrt() * weight + bias


@layer_norm.mistake
def sample_variance(x, weight, bias, eps):
    """Too small by sqrt((D - 1) / D): var() and std() divide by D - 1. LayerNorm divides by D: correction=0."""
    mean, var = x.mean(dim=-1, keepdim=True), x.var(dim=-1, keepdim=True)
    return (x - mean) / (var + eps).sqrt() * weight + bias


@layer_norm.mistake
def eps_outside_the_root(x, weight, bias, eps):
    """eps belongs inside the root, added to the variance: sqrt(variance + eps), not sqrt(variance) + eps."""
    mean, std = x.mean(dim=-1, keepdim=True), x.std(dim=-1, keepdim=True, correction=0)
    return (x - mean) / (std + eps) * weight + bias


@layer_norm.mistake
def without_eps(x, weight, bias, eps):
    """A row of equal numbers became NaN: its variance is 0, and 0 / 0 is NaN. Add eps inside the root."""
    mean, std = x.mean(dim=-1, keepdim=True), x.std(dim=-1, keepdim=True, correction=0)
    return (x - mean) / std * weight + bias


@layer_norm.mistake
def without_the_root(x, weight, bias, eps):
    """Divide by the deviation, the *root* of the variance."""
    mean, var = x.mean(dim=-1, keepdim=True), x.var(dim=-1, keepdim=True, correction=0)
    return (x - mean) / (var + eps) * weight + bias


@layer_norm.mistake
def bias_inside(x, weight, bias, eps):
    """The bias comes last. (h + bias) * weight multiplies it too."""
    return (layer_norm(x, torch.ones_like(weight), torch.zeros_like(bias), eps) + bias) * weight


@layer_norm.mistake
def axis_lost(x, weight, bias, eps):
    """The means have lost their axis, so they meet x from the wrong side: keepdim=True leaves (N, 1), which goes back over each
    row."""
    mean, var = x.mean(dim=-1), x.var(dim=-1, correction=0)
    return (x - mean) / (var + eps).sqrt() * weight + bias


@layer_norm.mistake
def one_mean_for_all(x, weight, bias, eps):
    """Mean and variance were taken over the whole tensor. Each row has its own: dim=-1, keepdim=True."""
    return (x - x.mean()) / (x.var(correction=0) + eps).sqrt() * weight + bias


def gradients(layer_norm_gradients):
    x, g = torch.randn(5, 4, dtype=torch.float64) * 3 + 1, torch.randn(5, 4, dtype=torch.float64)
    weight = drawn(torch.tensor([1.0, 2.0, 3.0, -4.0], dtype=torch.float64))
    dx, dweight, dbias = layer_norm_gradients(g, x, weight, 0.1)
    return {
        "dbias, the gradient of the bias": dbias,
        "dweight, the gradient of the weight": dweight,
        "dx, the gradient of x": dx,
    }


@task(
    facts=gradients,
    hints=(
        "weight and bias serve all rows, so their gradients are sums over the rows. Take shift and stretch out of a.",
        "The shift is the mean of a in each row; the stretch is h times the mean of a * h. Both means with keepdim=True.",
        "r * (a - a.mean(dim=1, keepdim=True) - h * (a * h).mean(dim=1, keepdim=True)), (g * h).sum(dim=0), g.sum(dim=0)",
    ),
)
def layer_norm_gradients(g, x, weight, eps):
    centred = x - x.mean(dim=1, keepdim=True)
    r = 1 / (centred.square().mean(dim=1, keepdim=True) + eps).sqrt()
    h, a = centred * r, g * weight
    dx = r * (a - a.mean(dim=1, keepdim=True) - h * (a * h).mean(dim=1, keepdim=True))
    return dx, (g * h).sum(dim=0), g.sum(dim=0)


def _parts(g, x, weight, eps):
    centred = x - x.mean(dim=1, keepdim=True)
    r = 1 / (centred.square().mean(dim=1, keepdim=True) + eps).sqrt()
    return centred * r, g * weight, r


@layer_norm_gradients.mistake
def statistics_held_still(g, x, weight, eps):
    """dx would be r * a only if mean and variance stood still. They move with x: take the shift and the stretch out of a."""
    h, a, r = _parts(g, x, weight, eps)
    return r * a, (g * h).sum(dim=0), g.sum(dim=0)


@layer_norm_gradients.mistake
def only_the_mean(g, x, weight, eps):
    """The shift is gone from dx, but the stretch is still in it: x moves the variance too. Subtract h * mean(a * h)."""
    h, a, r = _parts(g, x, weight, eps)
    return r * (a - a.mean(dim=1, keepdim=True)), (g * h).sum(dim=0), g.sum(dim=0)


@layer_norm_gradients.mistake
def weight_with_x(g, x, weight, eps):
    """weight is multiplied by h, the normalised row, not by x: its gradient is the sum of g * h."""
    dx, _, dbias = layer_norm_gradients(g, x, weight, eps)
    return dx, (g * x).sum(dim=0), dbias


@layer_norm_gradients.mistake
def means_over_the_rows(g, x, weight, eps):
    """The gradients of weight and bias were averaged over the rows. Every row adds its share: sum."""
    dx, dweight, dbias = layer_norm_gradients(g, x, weight, eps)
    return dx, dweight / len(x), dbias / len(x)


@layer_norm_gradients.mistake
def without_the_weight(g, x, weight, eps):
    """On its way to h the gradient is multiplied by weight: a = g * weight, and both means are those of a."""
    return layer_norm_gradients(g, x, torch.ones_like(weight), eps)


@layer_norm_gradients.mistake
def sums_for_means(g, x, weight, eps):
    """The shift and the stretch are *means* over the D numbers of a row; you subtracted sums, which are D times as large."""
    h, a, r = _parts(g, x, weight, eps)
    dx = r * (a - a.sum(dim=1, keepdim=True) - h * (a * h).sum(dim=1, keepdim=True))
    return dx, (g * h).sum(dim=0), g.sum(dim=0)


@layer_norm_gradients.mistake
def means_of_everything(g, x, weight, eps):
    """The two means in dx were taken over all rows. Every row loses its own shift and its own stretch: dim=1, keepdim=True."""
    h, a, r = _parts(g, x, weight, eps)
    return r * (a - a.mean() - h * (a * h).mean()), (g * h).sum(dim=0), g.sum(dim=0)


@layer_norm_gradients.mistake
def not_summed(g, x, weight, eps):
    """weight and bias serve every row, so their gradients are (D,): sum over the rows, dim=0."""
    h, _, _ = _parts(g, x, weight, eps)
    return layer_norm_gradients(g, x, weight, eps)[0], g * h, g
