"""Square millimetres of a chip, by component: how many of each device there are, times the area of one.

    A = Σ number · area of one · layout factor            TOPS/mm² = peak throughput / A

Counts are those of the description: `tile.devices` of a core times its cores. Areas of one are its `[floorplan]`. The
layout factor is that of the cells alone, the largest part of most chips; where a published area of a cell holds its
wires already, it is 1.

Left out: accumulators' registers, the digital unit, pads and the package, unless `floorplan.other_m2` has them; DRAM.
Chips that stand side by side and one on the other are added alike.
"""

from typing import NamedTuple

from photonsim.chip import Chip, Source
from photonsim.chip.defaults import sources_of
from photonsim.cost.energy import peak_tops

MM2_PER_M2 = 1e6
LASERS, COMBS = "lasers", "combs"
MODULATORS, DACS = "modulators", "DACs"
CELLS = "weight cells"
RECEIVERS, ADCS = "photodiodes and amplifiers", "ADCs"
ACCUMULATORS = "accumulators"
SRAM = "on-chip SRAM"
REST = "everything else"


class Patch(NamedTuple):
    """One line of the area: `m² = number × area of one × layout factor`.

    `sources`: the settings of the chip that it rests on, and where they are from.
    """

    component: str
    what: str
    number: float
    each_m2: float
    layout_factor: float
    sources: tuple[tuple[str, Source], ...]

    @property
    def mm2(self):
        """Area of the line, mm²."""
        return self.number * self.each_m2 * self.layout_factor * MM2_PER_M2


def area(chip: Chip) -> tuple[Patch, ...]:
    """The area of a chip line by line, in the order in which light and data travel."""
    lasers, cores, devices, converters = chip.floorplan.lasers, chip.cores, chip.tile.devices, chip.tile.converters
    dacs = devices.modulators / converters.inputs.lanes
    if converters.weights is not None:
        dacs += devices.weight_modulators / converters.weights.lanes
    lines = (
        (LASERS, "lasers", lasers, "laser_m2"),
        (COMBS, "combs", lasers, "comb_m2"),
        (MODULATORS, "modulators", cores * (devices.modulators + devices.weight_modulators), "modulator_m2"),
        (DACS, "DACs", cores * dacs, "dac_m2"),
        (CELLS, "cells with their wires", cores * devices.cells, "cell_m2"),
        (CELLS, "splitters and gratings", cores, "core_m2"),
        (RECEIVERS, "pairs of photodiodes", cores * devices.receivers, "receiver_m2"),
        (RECEIVERS, "amplifiers", cores * devices.readouts, "amplifier_m2"),
        (ADCS, "ADCs", cores * devices.readouts / converters.outputs.lanes, "adc_m2"),
        (ACCUMULATORS, "accumulators", cores * devices.readouts, "accumulator_m2"),
        (SRAM, "bits of SRAM", chip.memory.sram_capacity_bits, "sram_m2_per_bit"),
        (REST, "everything else", 1, "other_m2"),
    )
    return tuple(_patch(chip, *line) for line in lines)


def _patch(chip: Chip, component: str, what: str, number: float, name: str) -> Patch:
    settings = [f"floorplan.{name}"]
    if name == "cell_m2":
        settings.append("floorplan.layout_factor")
    factor = chip.floorplan.layout_factor if name == "cell_m2" else 1.0
    return Patch(component, what, number, getattr(chip.floorplan, name), factor, sources_of(settings, chip.sources))


def area_mm2(chip: Chip) -> dict[str, float]:
    """Square millimetres of every component."""
    found: dict[str, float] = {}
    for patch in area(chip):
        found[patch.component] = found.get(patch.component, 0.0) + patch.mm2
    return found


def tops_per_mm2(chip: Chip):
    """Peak throughput over all the area; infinite for a chip that takes none."""
    total_mm2 = sum(area_mm2(chip).values())
    return peak_tops(chip) / total_mm2 if total_mm2 else float("inf")
