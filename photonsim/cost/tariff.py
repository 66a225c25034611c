"""The tariff: every count beside its price. The whole energy model of a chip on one page.

Power is paid for time. The laser, the bias of the modulators and the holding of the weights run in every core for the
whole pass; the part of it in which a core computes and the part in which it waits (for weights, for DRAM, for the
vector unit) are separate lines. `standby` is the share of that power a waiting core draws: 1 by default, as lasers and
thermal locks are not switched within microseconds (*assumed*).

A tile of another kind is a function registered under `tile_lines`.
"""

from dataclasses import dataclass
from functools import singledispatch
from typing import NamedTuple

from photonsim.chip import Chip, Source
from photonsim.cost.bill import CONVERTERS, ELECTRONICS, LASER_WALL_PLUG, MEMORY, OPTICAL_CORE, Charge
from photonsim.errors import PhotonsimError, check_number
from photonsim.events import EventCounts
from photonsim.tiles import AbstractTile, Crossbar

LASER = "laser (wall plug)"
MODULATION = "modulators + DAC"
WEIGHTS = "weights"
READOUT = "TIA + ADC"
SRAM = "on-chip SRAM"
DRAM = "DRAM"
ACCUMULATION = "accumulate + scales"
DIGITAL_PRODUCTS = "digital products"
VECTOR_UNIT = "softmax and norms"  # with rotary embedding, activations, residual additions and the read-out
OVERHEAD = "package overhead"
COMPONENTS = (
    LASER,
    MODULATION,
    WEIGHTS,
    READOUT,
    SRAM,
    DRAM,
    ACCUMULATION,
    DIGITAL_PRODUCTS,
    VECTOR_UNIT,
    OVERHEAD,
)

UNSOURCED = Source("no source given: set by the user or a default of the description", assumed=True)


@dataclass(frozen=True)
class Line:
    """A row of the tariff: a `Charge` before its sources are looked up. Several settings may set one price."""

    component: str
    boundary: str
    what: str
    price_names: str
    price_unit: str
    count: float
    price: float


class Power(NamedTuple):
    """Something that draws power in every core, in units of `per_core` pieces."""

    component: str
    boundary: str
    what: str
    price_names: str
    per_core: int
    power_w: float


def charges(chip: Chip, events: EventCounts, seconds: float, standby: float) -> tuple[Charge, ...]:
    """The priced lines of counted events on a chip that is on for `seconds`."""
    computing_s = events.tile_cycles / chip.clock_hz
    waiting_s = chip.cores * seconds - computing_s
    powered = [
        line for power in tile_powers(chip.tile) for line in _power_lines(power, computing_s, waiting_s, standby)
    ]
    lines = [*powered, *tile_lines(chip.tile, events), *electronics_lines(chip, events, seconds)]
    return tuple(charge(line, chip.sources) for line in lines)


@singledispatch
def tile_lines(tile: AbstractTile, events: EventCounts) -> list[Line]:
    """What each event in a tile costs."""
    raise PhotonsimError(f"The tile {type(tile).__name__} has no tariff: register one with photonsim.cost.tariff.")


@singledispatch
def tile_powers(tile: AbstractTile) -> list[Power]:
    """What a tile draws for as long as it is on."""
    raise PhotonsimError(f"The tile {type(tile).__name__} has no tariff: register one with photonsim.cost.tariff.")


@tile_lines.register
def _(tile: Crossbar, events: EventCounts) -> list[Line]:
    modulated, detected = events.input_conversions, events.output_conversions
    return [
        Line(
            MODULATION,
            OPTICAL_CORE,
            "symbols modulated",
            "tile.modulator.energy_j",
            "J",
            modulated,
            tile.modulator.energy_j,
        ),
        Line(
            MODULATION,
            CONVERTERS,
            "DAC conversions",
            "tile.input_dac.energy_j",
            "J",
            modulated,
            tile.input_dac.energy_j,
        ),
        Line(
            WEIGHTS,
            OPTICAL_CORE,
            "cells written",
            "tile.cell.write_energy_j",
            "J",
            events.weight_writes,
            tile.cell.write_energy_j,
        ),
        Line(READOUT, CONVERTERS, "amplifier samples", "tile.receiver.energy_j", "J", detected, tile.receiver.energy_j),
        Line(READOUT, CONVERTERS, "ADC conversions", "tile.adc.energy_j", "J", detected, tile.adc.energy_j),
    ]


@tile_powers.register
def _(tile: Crossbar) -> list[Power]:
    laser = "tile.laser.power_w, tile.laser.wall_plug_efficiency"
    bias, hold, cells = tile.modulator.static_power_w, tile.cell.hold_power_w, tile.rows * tile.columns
    return [
        Power(LASER, LASER_WALL_PLUG, "light", laser, 1, tile.laser.wall_power_w),
        Power(MODULATION, OPTICAL_CORE, "modulator bias", "tile.modulator.static_power_w", tile.rows, bias),
        Power(WEIGHTS, OPTICAL_CORE, "cells held", "tile.cell.hold_power_w", cells, hold),
    ]


def electronics_lines(chip: Chip, events: EventCounts, seconds: float) -> list[Line]:
    """What each event in the memories and the digital unit costs, and the package around them."""
    e, digital, memory, dram = events, chip.digital, chip.memory, chip.memory.dram_j_per_bit
    sram_read_j, sram_write_j = memory.sram_read_j_per_bit, memory.sram_write_j_per_bit
    vector, vector_j = e.vector_operations, digital.vector_operation_j
    overhead_w = chip.overhead_power_w
    return [
        Line(SRAM, MEMORY, "bits read", "memory.sram_read_j_per_bit", "J/bit", e.sram_read_bits, sram_read_j),
        Line(SRAM, MEMORY, "bits written", "memory.sram_write_j_per_bit", "J/bit", e.sram_write_bits, sram_write_j),
        Line(DRAM, MEMORY, "bits read", "memory.dram_j_per_bit", "J/bit", e.dram_read_bits, dram),
        Line(DRAM, MEMORY, "bits written", "memory.dram_j_per_bit", "J/bit", e.dram_write_bits, dram),
        Line(
            ACCUMULATION,
            ELECTRONICS,
            "partial sums added",
            "digital.accumulate_j",
            "J",
            e.accumulations,
            digital.accumulate_j,
        ),
        Line(
            ACCUMULATION, ELECTRONICS, "scale operations", "digital.scale_j", "J", e.scale_operations, digital.scale_j
        ),
        Line(DIGITAL_PRODUCTS, ELECTRONICS, "digital MACs", "digital.mac_j", "J", e.digital_macs, digital.mac_j),
        Line(VECTOR_UNIT, ELECTRONICS, "vector operations", "digital.vector_operation_j", "J", vector, vector_j),
        Line(OVERHEAD, ELECTRONICS, "seconds", "overhead_power_w", "W", seconds, overhead_w),
    ]


def _power_lines(power: Power, computing_s: float, waiting_s: float, standby: float) -> tuple[Line, Line]:
    """Two lines of something that draws power in every core: while cores compute, and while they wait."""
    component, boundary, what, names, per_core, power_w = power
    return (
        Line(component, boundary, f"seconds of {what}, computing", names, "W", per_core * computing_s, power_w),
        Line(component, boundary, f"seconds of {what}, waiting", names, "W", per_core * waiting_s, standby * power_w),
    )


def charge(line: Line, sources: tuple[tuple[str, Source], ...], limits: tuple[str, ...] = ()) -> Charge:
    """A line with the sources of its price, and of the `limits` that its count rests on."""
    check_number(line.price_names, line.price, at_least=0.0)
    known = dict(sources)
    named = tuple((name, known.get(name, UNSOURCED)) for name in (*line.price_names.split(", "), *limits))
    return Charge(line.component, line.boundary, line.what, line.price_unit, named, line.count, line.price)
