"""What every family's configuration is checked for."""

import dataclasses
import math
from typing import Any

from photonsim.errors import PhotonsimError


def check_fields(config: Any, divisible: tuple[str, str] | None = None) -> None:
    """Refuse a configuration with a size that is no positive whole number or a constant that is not positive.

    `divisible`: two fields, of which the first must be a multiple of the second.
    """
    kind = type(config).__name__
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        least = 0 if field.default == 0 else 1  # a size that is 0 by default stands for a part that may be absent
        if field.type is int and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise PhotonsimError(f"{kind}({field.name}={value!r}): give a whole number of at least {least}.")
        if field.type is float and not (isinstance(value, int | float) and 0 < value < math.inf):
            raise PhotonsimError(f"{kind}({field.name}={value!r}): give a positive, finite number.")
    if divisible:
        whole, part = divisible
        if getattr(config, whole) % getattr(config, part):
            raise PhotonsimError(
                f"{kind}({whole}={getattr(config, whole)}, {part}={getattr(config, part)}): "
                f"make {whole} a multiple of {part}."
            )


def check_context(tokens: Any, longest: int, name: str) -> None:
    """Refuse tokens that are not (batch, length) with a length from 1 to `longest`, the model's `name`."""
    if tokens.ndim != 2 or not 1 <= tokens.shape[1] <= longest:
        raise PhotonsimError(
            f"tokens of shape {tokens.shape}: this model takes (batch, length) with a length from 1 to "
            f"{longest} (its {name})."
        )
