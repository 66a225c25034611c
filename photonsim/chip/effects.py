"""Which disturbances of a chip are on."""

import functools
from typing import Any

from photonsim.chip.chip import Chip
from photonsim.chip.description import describe
from photonsim.tiles import Disturbance


def settings_off(disturbance: Disturbance) -> dict[str, Any]:
    """Settings of the chip that take a disturbance of its tile away."""
    return {f"tile.{path}": value for path, value in disturbance.off.items()}


def disturbances_on(chip: Chip) -> tuple[Disturbance, ...]:
    """The disturbances that make the chip less than exact: none on one whose products are exact."""
    settings = describe(chip)
    return tuple(
        each
        for each in chip.tile.disturbances()
        if any(_setting(settings, path) != value for path, value in settings_off(each).items())
    )


def _setting(settings: dict[str, Any], path: str) -> Any:
    """A setting by its dotted path."""
    return functools.reduce(lambda table, key: table[key], path.split("."), settings)
