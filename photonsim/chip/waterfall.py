"""The way of the light through a chip: from the wall plug to the photons that one multiply-accumulate is counted with.

Three things take light away, and only two of them waste it: the laser turns most of its current into heat, the path
absorbs and scatters, and the fan-out *divides* what is left among all detectors. Ten decibels of loss are nine tenths
of the light in the substrate; ten decibels of division are ten detectors that each do a product.
"""

from typing import Any, NamedTuple

from photonsim.chip.chip import Chip
from photonsim.units import db_from_ratio

HEAT, LOST, SHARED = "heat", "lost", "shared"


class Stage(NamedTuple):
    """One stage: what it is called, the power that leaves it on one path, and where the rest went."""

    name: str
    power_w: float
    kind: str

    def loss_db(self, before_w: float) -> float:
        """How much less leaves than came in, dB."""
        return float(db_from_ratio(before_w / self.power_w))


class Waterfall(NamedTuple):
    """Wall-plug power of one core, the stages after it, and photons of a product at full scale; 0 where not counted."""

    wall_power_w: float
    stages: tuple[Stage, ...]
    photons_per_mac: float


def waterfall(chip: Chip) -> Waterfall | None:
    """The way of one core's light at full scale, losses first and then the division; none for a chip without light."""
    tile: Any = getattr(chip.tile, "inner", chip.tile)
    laser = tile.laser
    if not laser.power_w:
        return None
    stages, power_w = [Stage("laser", float(laser.power_w), HEAT)], float(laser.power_w)
    for name, loss_db in _losses_db(tile):
        if loss_db:
            power_w /= 10 ** (loss_db / 10)
            stages.append(Stage(name, power_w, LOST))
    photons = float(getattr(tile, "photons_per_mac", 0.0))
    if photons:
        detected_w = photons * float(laser.photon_energy_j) * float(tile.clock_hz)
        mesh = ", and the mesh's loss" if hasattr(tile, "cells_deep") else ""
        stages.append(Stage(f"divided among the products{mesh}", detected_w, SHARED))
    return Waterfall(float(laser.wall_power_w), tuple(stages), photons)


def _losses_db(tile: Any) -> list[tuple[str, float]]:
    """Excess losses between laser and photodiode, by name: of every stage, where a tile names its stages."""
    link = getattr(tile, "link", None)
    if link is None:
        modulator = float(getattr(tile.modulator, "insertion_loss_db", 0.0))
        return [("modulator", modulator), ("rest of the path", float(tile.insertion_loss_db))]
    named = dict(zip((*tile.stages, "modulator", "rest of the path"), link.stages, strict=True))
    return [(name, float(stage.excess_loss_db)) for name, stage in named.items()]
