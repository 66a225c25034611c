"""From the laser to the cells: what modulators and stages on the way take, and how the rest is divided."""

import math
from collections.abc import Mapping

from photonsim.devices import AbstractModulator, AbstractPassive, LinkBudget, Loss, SplitterTree
from photonsim.errors import PhotonsimError


def light_path(
    stages: Mapping[str, AbstractPassive], modulator: AbstractModulator, insertion_loss_db, detectors: int
) -> LinkBudget:
    """The way from the laser to the light of one multiply-accumulate at full scale, one of `detectors` that share it.

    Splitter trees among the `stages` are part of that division. `insertion_loss_db`: what is lost and is in no stage.
    """
    losses = (Loss("modulator", modulator.insertion_loss_db), Loss("rest of the path", insertion_loss_db))
    return LinkBudget((*stages.values(), *losses), fan_out=detectors // _branches(stages))


def check_fan_out(stages: Mapping[str, AbstractPassive], detectors: int) -> None:
    """Refuse splitter trees whose branches do not end at the tile's cells."""
    if detectors % (branches := _branches(stages)):
        raise PhotonsimError(
            f"The splitter trees among tile.stages divide the light by {branches}, which does not divide the "
            f"{detectors} cells that it goes to: give trees over rows or columns, and any other as a loss."
        )


def _branches(stages: Mapping[str, AbstractPassive]) -> int:
    return math.prod(stage.fan_out for stage in stages.values() if isinstance(stage, SplitterTree))
