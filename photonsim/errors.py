"""The one exception users meet: a sentence that says what was given, what is wrong with it, and the fix."""

import difflib
import math
from collections.abc import Iterable


class PhotonsimError(ValueError):
    """Input that cannot be right. The message is written for the person who typed it; the CLI exits with 2."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: `Did you mean a, b? Known: ...`."""
    known = sorted(known)
    close = [each for each in known if name.lower() in each.lower()][:3] or difflib.get_close_matches(name, known)
    hint = f"Did you mean {', '.join(close)}? " if close else ""
    return f"{hint}Known: {', '.join(known)}."


def check_number(name: str, value: object, *, above: float | None = None, at_least: float | None = None) -> None:
    """Refuse a number that is not finite or out of bounds. A traced value passes: its number is not known yet."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        if isinstance(value, str) or value is None or isinstance(value, bool):
            raise PhotonsimError(f"{name} = {value!r} is not a number.")
        return
    if not math.isfinite(value):
        raise PhotonsimError(f"{name} = {value}: a finite number is needed.")
    if above is not None and value <= above:
        raise PhotonsimError(f"{name} = {value:g} must be above {above:g}.")
    if at_least is not None and value < at_least:
        raise PhotonsimError(f"{name} = {value:g} must be at least {at_least:g}.")


def check_fraction(name: str, value: object) -> None:
    """Refuse an efficiency or a transmission that is not in (0, 1]."""
    check_number(name, value, above=0.0)
    if isinstance(value, int | float) and value > 1:
        raise PhotonsimError(f"{name} = {value:g} is above 1: a passive part cannot give out more than it takes in.")


def check_count(name: str, value: object) -> None:
    """Refuse a size that is not a whole number of at least one."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise PhotonsimError(f"{name} = {value!r} must be a whole number of at least 1.")


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """Refuse a word that is not one of `choices`."""
    if value not in (known := list(choices)):
        raise PhotonsimError(f"{name} = {value!r} is unknown. {nearest(str(value), known)}")


MAX_BITS = 16  # codes are held in at most 16-bit integers


def check_bits(name: str, bits: object) -> None:
    """Refuse a resolution that no converter has; `None` is the ideal converter."""
    if bits is None:
        return
    if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= MAX_BITS:
        raise PhotonsimError(
            f"{name} = {bits!r}: a converter has a whole number of bits from 1 to {MAX_BITS}. "
            f'For an ideal converter use {name} = "none".'
        )
