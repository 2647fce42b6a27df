"""scikit-learn's diabetes: ten measurements of 442 patients and their disease a year later (Efron et al. 2004)."""

from __future__ import annotations

import torch

from scratchnet.data.split import Split, split
from scratchnet.optional import need

HELD_OUT = 88  # a fifth


def diabetes() -> tuple[Split, Split]:
    """354 training and 88 held-out patients, the same split every time; ImportError if scikit-learn is missing.

    x (N, 10) float32: age, sex, body mass index, blood pressure and six of blood serum, as measured, not standardised.
    y (N, 1) float32 in 25..346: progression one year later.
    """
    need("scratchnet.data.diabetes", "sklearn", "scikit-learn")
    from sklearn.datasets import load_diabetes

    raw = load_diabetes(scaled=False)
    return split(torch.from_numpy(raw.data).float(), torch.from_numpy(raw.target).float().unsqueeze(1), HELD_OUT)
