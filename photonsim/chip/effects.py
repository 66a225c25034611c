"""What keeps a chip's products from being exact, and which of it is on."""

import dataclasses
import functools
from typing import Any

from photonsim.chip.chip import Chip
from photonsim.chip.description import describe
from photonsim.tiles import Disturbance


def chip_disturbances(chip: Chip) -> tuple[Disturbance, ...]:
    """The formats of its operands, if they have any, and all that its tile says; `off` holds settings of the chip."""
    formats = tuple(
        Disturbance(setting.replace("_", " "), word, {setting: "none"})
        for setting, word in (("input_format", chip.input_format), ("weight_format", chip.weight_format))
        if word != "none"
    )
    tile = (
        dataclasses.replace(each, off={f"tile.{path}": value for path, value in each.off.items()})
        for each in chip.tile.disturbances()
    )
    return (*formats, *tile)


def disturbances_on(chip: Chip) -> tuple[Disturbance, ...]:
    """The disturbances that make the chip less than exact: none on one whose products are exact."""
    settings = describe(chip)
    return tuple(
        each
        for each in chip_disturbances(chip)
        if any(_setting(settings, path) != value for path, value in each.off.items())
    )


def _setting(settings: dict[str, Any], path: str) -> Any:
    """A setting by its dotted path."""
    return functools.reduce(lambda table, key: table[key], path.split("."), settings)
