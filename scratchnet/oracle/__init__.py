"""The oracle: every operator in float64 NumPy with a backward derived by hand, the column that judges all others.

One file for each part of a primitive's family, with `<name>_forward` and `<name>_backward`. Floating arrays are float64 (the
caller widens them), indices are integers; a 0-d result may be a NumPy scalar.
"""
