"""Numbers to text, with units. `None` and NaN become a dash; standard library only.

The functions pad nothing: a column of them aligns right because every value of one function has the same decimals.
"""

import math

UNTRAINED = "UNTRAINED HEAD"
MISSING = "–"


def _known(number: float | None) -> bool:
    return number is not None and not math.isnan(number)


def bytes_text(size_bytes: float | None) -> str:
    """Bytes in binary units, one decimal from KiB on: `11.2 GiB`, `512 B`."""
    if size_bytes is None or math.isnan(size_bytes):
        return MISSING
    size = float(size_bytes)
    if abs(size) < 1024:
        return f"{size:.0f} B"
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        size /= 1024
        if abs(size) < 1023.95:
            return f"{size:.1f} {unit}"
    return f"{size:,.1f} PiB"


def duration(seconds: float | None) -> str:
    """Seconds as `0:07`, `14:20`, `1:02:03` or `2 d 03:04:05`; rounded down, negative times count as none."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    whole = max(0, int(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24} d {hours % 24:02}:{minutes:02}:{rest:02}"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def count(number: float | None) -> str:
    """A whole number with thousands separated: `2,500`."""
    return f"{number:,.0f}" if number is not None and math.isfinite(number) else MISSING


def model_name(name: str, untrained_head: bool) -> str:
    """What a model is called; one whose head nothing has trained says so wherever it is named."""
    return f"{name}, {UNTRAINED}" if untrained_head else name


def score(fraction: float | None) -> str:
    """A fraction such as an accuracy, three decimals: `0.960`."""
    return f"{fraction:.3f}" if fraction is not None and not math.isnan(fraction) else MISSING


def interval(low: float | None, high: float | None, *, ascii_only: bool = False) -> str:
    """Two scores with an en dash between: `0.951–0.967`; with `ascii_only` a hyphen."""
    if not _known(low) or not _known(high):
        return "-" if ascii_only else MISSING
    return f"{score(low)}{'-' if ascii_only else '–'}{score(high)}"


def rate(per_second: float | None, unit: str) -> str:
    """Things per second: `31.0 items/s`, from 1,000 on without decimals: `9,800 items/s`."""
    if per_second is None or not math.isfinite(per_second):
        return MISSING
    number = f"{per_second:,.0f}" if abs(per_second) >= 999.95 else f"{per_second:.1f}"
    return f"{number} {unit}/s"


def learning_rate(number: float | None) -> str:
    """A learning rate in the short scientific form: `2e-4`, `1.25e-5`, `0`."""
    if number is None or not math.isfinite(number):
        return MISSING
    if number == 0:
        return "0"
    mantissa, _, exponent = f"{number:.2e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def percent(fraction: float | None) -> str:
    """A fraction as whole percent: `46 %`; less than one but more than none is `<1 %`."""
    if fraction is None or not math.isfinite(fraction):
        return MISSING
    return "<1 %" if 0 < fraction < 0.005 else f"{100 * fraction:.0f} %"


def value(number: float | None) -> str:
    """A measured value in at most seven characters, four significant digits: `0.6931`, `12.35`, `1.2e-07`."""
    if number is None:
        return MISSING
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "inf" if number > 0 else "-inf"
    if number == 0:
        return "0"
    magnitude = abs(number)
    if magnitude < 0.001 or magnitude >= 99_995:
        return f"{number:.1e}"
    return f"{number:.{max(0, min(4, 3 - math.floor(math.log10(magnitude))))}f}"


def compact(number: float | None) -> str:
    """A number for an axis, at most five characters (six when negative): `0.05`, `12.5`, `1.2k`, `15e-6`."""
    if number is None or math.isnan(number):
        return MISSING
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    if number == 0:
        return "0"
    if number < 0:
        return "-" + compact(-number)
    if number < 0.000995:
        round_enough = math.isclose(number, float(f"{number:.0e}"), rel_tol=1e-6)
        digits = 1 if round_enough or number < 1e-8 else 2  # 99e-10 would be six characters
        mantissa, _, exponent = f"{number:.{digits - 1}e}".partition("e")
        return f"{mantissa.replace('.', '')}e{int(exponent) - digits + 1}"
    for divisor, suffix in ((1, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")):
        scaled = number / divisor
        if scaled < 999.5:
            for digits in (3, 2, 1):
                text = f"{float(f'{scaled:.{digits}g}'):.10g}{suffix}"
                if len(text) <= 5:
                    return text
    return f"{number:.0e}".replace("e+", "e")
