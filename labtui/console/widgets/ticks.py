"""Round numbers for axes: their ends and the ticks on them, linear and logarithmic."""

import math


def nice_step(rough: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below `rough` (positive)."""
    power = 10.0 ** math.floor(math.log10(rough))
    for factor in (1, 2, 5):
        if rough <= factor * power * (1 + 1e-9):
            return factor * power
    return 10 * power


def linear_ticks(low: float, high: float, step: float) -> list[float]:
    """Multiples of `step` from `low` to `high`, rounded to what the step can tell."""
    digits = max(0, 1 - math.floor(math.log10(step)))
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, digits) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def linear_range(low: float, high: float, steps: int, *, never_below_zero: bool) -> tuple[float, float]:
    """Round ends that hold `low` to `high` in about `steps` round steps; 0 is taken in where it is near."""
    if high <= low:
        spread = abs(high) / 2 or 1.0
        low, high = low - spread, high + spread
    if never_below_zero and low < 0.25 * high:
        low = 0.0
    step = nice_step((high - low) / max(1, steps))
    if steps < 3:
        step /= 2 if step / 10.0 ** math.floor(math.log10(step) + 1e-9) != 5 else 5
    digits = max(0, 1 - math.floor(math.log10(step)))
    return round(math.floor(low / step + 1e-9) * step, digits), round(math.ceil(high / step - 1e-9) * step, digits)


def _log_places(low: float, high: float) -> list[float]:
    """All of 1, 2 and 5 times a power of ten within the range."""
    exponents = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    places = [float(f"{factor}e{exponent}") for exponent in exponents for factor in (1, 2, 5)]
    return [place for place in places if low * (1 - 1e-9) <= place <= high * (1 + 1e-9)]


def log_range(low: float, high: float) -> tuple[float, float]:
    """Ends among 1, 2 and 5 times powers of ten that hold `low` to `high` (both positive)."""
    below = [place for place in _log_places(low / 10, high * 10) if place <= low * (1 + 1e-9)]
    above = [place for place in _log_places(low / 10, high * 10) if place >= high * (1 - 1e-9)]
    if below[-1] == above[0]:
        return below[-2], above[1]
    return below[-1], above[0]


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """Powers of ten within the range, thinned to `count`; with fewer than two, 1-2-5 steps and the ends."""
    places = _log_places(low, high)
    powers = [place for place in places if f"{place:e}".startswith("1.0")]
    if len(powers) < 2:
        return places if len(places) <= count + 1 else [places[0], *powers, places[-1]]
    return powers[:: max(1, math.ceil(len(powers) / max(2, count)))]
