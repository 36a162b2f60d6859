"""How sure a figure is, in plain Python: the console uses it too."""

import math
from statistics import NormalDist


def wilson_interval(correct: int, items: int, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of the share `correct` / `items`, as fractions (low, high).

    Without items nothing is known: (0, 1). Source: E. B. Wilson, "Probable inference, the law of succession,
    and statistical inference", Journal of the American Statistical Association 22 (1927), 209-212. Raises
    `ValueError` unless 0 <= `correct` <= `items` and 0 < `confidence` < 1.
    """
    if not 0 <= correct <= items:
        raise ValueError(f"{correct} correct of {items} items is no share")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence = {confidence} is not between 0 and 1")
    if items == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = correct / items
    scale = 1 + z * z / items
    centre = (share + z * z / (2 * items)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / items + z * z / (4 * items * items))
    # the ends at 0 and 1 are exact in theory, and lost to rounding in practice
    return (0.0 if correct == 0 else centre - half), (1.0 if correct == items else centre + half)
