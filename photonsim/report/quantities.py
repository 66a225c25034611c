"""Numbers as a person reads them: three significant digits and an SI prefix."""

import math

PREFIXES = {-18: "a", -15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P"}


def si(value: float, unit: str) -> str:
    """`si(2.43e-12, "J")` is `2.43 pJ`."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    power = 3 * (_magnitude(value, 3) // 3)
    power = min(max(power, min(PREFIXES)), max(PREFIXES))
    return f"{significant(value / 10.0**power)} {PREFIXES[power]}{unit}"


def significant(value: float, digits: int = 3) -> str:
    """A number with `digits` significant digits and no exponent while it is of readable size."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    magnitude = _magnitude(value, digits)
    if not -4 <= magnitude <= 6:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{max(digits - 1 - magnitude, 0)}f}"


def plain_setting(value: float) -> str:
    """A whole number in full, any other with two digits."""
    return f"{value:,.0f}" if value == int(value) else f"{value:.2g}"


def _magnitude(value: float, digits: int) -> int:
    """Power of ten of the value as it will be printed: 999.6 with three digits counts as a thousand."""
    return int(f"{value:.{digits - 1}e}".partition("e")[2])
