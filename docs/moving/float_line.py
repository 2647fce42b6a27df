"""float32's number line, one pass for a variance against Welford's, and three orders of a sum: all in NumPy's float32."""

import math
from typing import Any

import numpy as np

from scratchnet.ops.layer_norm import NormOptions
from scratchnet.oracle.layer_norm import layer_norm_forward

F = np.float32
INFO = np.finfo(F)
PLACES = {
    "the smallest number": INFO.smallest_subnormal,
    "in the denormals": F(2.0**-140),
    "the smallest normal number": INFO.tiny,
    "0.000001": F(1e-6),
    "0.1": F(0.1),
    "1": F(1),
    "1000": F(1000),
    "2^22: halves": F(2.0**22),
    "2^23: whole numbers only": F(2.0**23),
    "2^24: even numbers only": F(2.0**24),
    "10,000,000,000": F(1e10),
    "the largest number": INFO.max,
}
AROUND = 3  # neighbours on each side
POWERS = range(8)  # the means are 1 to 10^7
ROW = 1000  # numbers of a row whose variance is computed
COUNTS = (10, 100, 1_000, 10_000, 100_000)  # terms of a sum


def neighbours(place: np.float32) -> list[np.float32]:
    """The numbers around a place, one after another, without infinity."""
    around = [place]
    for toward in (-np.inf, np.inf):
        number = place
        for _ in range(AROUND):
            with np.errstate(over="ignore"):
                number = np.nextafter(number, F(toward))
            around.append(number)
    return sorted(number for number in around if np.isfinite(number))


def written(number: np.float32) -> str:
    """With as few digits as tell it from every other float32."""
    short = np.format_float_positional if 1e-4 <= number < 1e9 else np.format_float_scientific
    return short(number, trim="-")


def spacing(place: np.float32) -> float:
    """To the next number; from the largest one, to the one before."""
    return float(np.spacing(place if place < INFO.max else np.nextafter(place, F(0))))


def row(power: int) -> np.ndarray:
    """Numbers of deviation 1 around 10^power, in float32."""
    return (10.0**power + np.random.default_rng(0).standard_normal(ROW)).astype(F)


def one_pass(x: np.ndarray) -> float:
    """mean(x^2) - mean(x)^2, in float32."""
    return float((x * x).mean() - x.mean() ** 2)


def two_passes(x: np.ndarray) -> float:
    """mean((x - mean)^2), in float32."""
    return float(((x - x.mean()) ** 2).mean())


def welford(x: np.ndarray) -> float:
    """Welford's update, number by number, in float32."""
    mean = squares = F(0)
    for n, value in enumerate(x, 1):
        distance = value - mean
        mean += distance / F(n)
        squares += distance * (value - mean)
    return float(squares / F(len(x)))


def exact_variance(x: np.ndarray) -> float:
    """From the oracle's LayerNorm, in float64: its rstd is 1 / sqrt(variance + eps), here with eps = 0."""
    _, _, rstd = layer_norm_forward(x.astype(np.float64), None, None, NormOptions(1, 0.0))
    return float(1 / rstd.item() ** 2)


def in_order(x: np.ndarray) -> float:
    """One term after another."""
    return float(np.add.accumulate(x)[-1])


def pairwise(x: np.ndarray) -> float:
    """Neighbours, then neighbours of these sums, until one is left."""
    while len(x) > 1:
        x = np.append(x, F(0)) if len(x) % 2 else x
        x = x[::2] + x[1::2]
    return float(x[0])


def kahan(x: np.ndarray) -> float:
    """One after another, and what each addition has lost goes into the next."""
    total = lost = F(0)
    for term in x:
        term = term - lost
        new = total + term
        lost = (new - total) - term
        total = new
    return float(total)


VARIANCES = {"one pass: mean(x²) − m²": one_pass, "two passes": two_passes, "Welford": welford}
SUMS = {"one after another": in_order, "pairwise": pairwise, "Kahan": kahan}


def _terms(count: int) -> np.ndarray:
    return np.random.default_rng(0).random(count, dtype=F)


def _results(ways: dict[str, Any], x: np.ndarray, exact: float) -> dict[str, Any]:
    return {"ways": [{"name": name, "got": way(x)} for name, way in ways.items()], "exact": exact}


def data() -> dict[str, Any]:
    """The places with their neighbours, and what each way of a variance and of a sum gives."""
    return {
        "places": [
            {
                "name": name,
                "value": float(place),
                "around": [float(number) for number in neighbours(place)],
                "texts": [written(number) for number in neighbours(place)],
            }
            for name, place in PLACES.items()
        ],
        "variances": [{"mean": 10**p, **_results(VARIANCES, row(p), exact_variance(row(p)))} for p in POWERS],
        "sums": [{"count": n, **_results(SUMS, _terms(n), math.fsum(_terms(n)))} for n in COUNTS],
    }


def expected() -> list[dict[str, Any]]:
    """The spacing by np.spacing, then the relative errors, to two digits."""
    error = lambda got, exact: float(f"{abs(got - exact) / exact:.1e}")
    places = [{"value": float(place), "step": spacing(place)} for place in PLACES.values()]
    variances = [{"errors": [error(way(row(p)), exact_variance(row(p))) for way in VARIANCES.values()]} for p in POWERS]
    sums = [{"errors": [error(way(_terms(n)), math.fsum(_terms(n))) for way in SUMS.values()]} for n in COUNTS]
    return places + variances + sums


def still() -> str:
    """The places of the line with their spacing."""
    lines = "".join(
        f'<text class="left" x="4" y="{46 + 24 * i}">{name}</text><text x="300" y="{46 + 24 * i}">{spacing(place):.1e}</text>'
        for i, (name, place) in enumerate(PLACES.items())
    )
    heads = '<text class="left" x="4" y="20">float32 number</text><text x="300" y="20">to the next one</text>'
    label = "Places of float32's number line, and how far the next number is"
    return f'<svg viewBox="0 0 366 {40 + 24 * len(PLACES)}" role="img" aria-label="{label}">{heads}{lines}</svg>'
