"""The tariff: every count beside its price. The whole energy model of a chip on one page.

Power is paid for time. The laser, the bias of the modulators and the holding of the weights run in every core for the
whole pass; the part of it in which a core computes and the part in which it waits (for weights, for DRAM, for the
vector unit) are separate lines. `standby` is the share of that power a waiting core draws: 1 by default, as lasers and
thermal locks are not switched within microseconds (*assumed*).

A line names its price by its path in the chip's description, and the unit of a price is the end of its name. Tiles
differ in where their weights are, and in nothing else: another kind registers its `weight_prices`.
"""

import dataclasses
from functools import singledispatch
from operator import attrgetter
from typing import Any, NamedTuple

from photonsim.chip import Chip, Source
from photonsim.chip.defaults import sources_of
from photonsim.cost.bill import CONVERTERS, ELECTRONICS, LASER_WALL_PLUG, MEMORY, OPTICAL_CORE, Charge
from photonsim.errors import PhotonsimError, check_number
from photonsim.events import EventCounts
from photonsim.tiles import (
    AbstractTile,
    Crossbar,
    DynamicCrossbar,
    Homodyne,
    Mesh,
    PcmCrossbar,
    Residue,
    Sliced,
    TimeIntegrating,
    WeightBank,
)

LASER = "laser (wall plug)"
MODULATION = "modulators + DAC"
WEIGHTS = "weights"
READOUT = "TIA + ADC"
SRAM = "on-chip SRAM"
DRAM = "DRAM"
ACCUMULATION = "accumulate + scales"
DIGITAL_PRODUCTS = "digital products"
NETWORK = "network"
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
    NETWORK,
    OVERHEAD,
)

DERIVED = {  # a price and the settings it follows from
    "tile.laser.wall_power_w": ("tile.laser.power_w", "tile.laser.wall_plug_efficiency"),
    "host.cooling_ratio": ("host.pue",),
    "tile.phase_shifter.mean_hold_power_w": ("tile.phase_shifter.pi_power_w",),
    "tile.ring_hold_power_w": ("tile.ring.tuning_m_per_w", "tile.resonance_offset_m", "tile.cell.hold_power_w"),
}
DRIVE_SETTINGS = ("capacitance_f", "half_wave_voltage_v", "swing_v", "activity")  # `½ α C V²`
NODE = "digital.node_nm"  # of every price of the digital unit
UNITS = {"_j_per_bit": "J/bit", "_j": "J", "_w": "W", "_ratio": "J/J"}


class Line(NamedTuple):
    """A row of the tariff. `times` is how often: events, bits, or seconds of a power, of which `share` is drawn."""

    component: str
    boundary: str
    what: str
    price_name: str
    times: float
    share: float = 1.0


class Power(NamedTuple):
    """A power drawn by each of the `per_core` pieces of a core."""

    component: str
    boundary: str
    what: str
    price_name: str
    per_core: float


def charges(chip: Chip, events: EventCounts, seconds: float, standby: float) -> tuple[Charge, ...]:
    """The priced lines of counted events on a chip that is on for `seconds`."""
    computing_s = events.tile_cycles / chip.clock_hz
    waiting_s = chip.cores * seconds - computing_s
    lines: list[Line] = []
    for power in tile_powers(chip.tile):
        lines += _power_lines(power, computing_s, waiting_s, standby)
    lines += tile_lines(chip.tile, events)
    lines += electronics_lines(events, seconds)
    return tuple(charge(line, chip, chip.sources) for line in lines)


class WeightPrices(NamedTuple):
    """What the weights of a tile cost.

    - `written`: boundary, thing and price of every weight write; `held`: thing, price and number of what a core holds.
    """

    written: tuple[tuple[str, str, str], ...]
    held: tuple[str, str, float]


@singledispatch
def weight_prices(tile: AbstractTile) -> WeightPrices:
    """What tells one kind of tile from another on the bill: where its weights are."""
    raise PhotonsimError(f"The tile {type(tile).__name__} has no tariff: register one with photonsim.cost.tariff.")


@weight_prices.register(Crossbar)
@weight_prices.register(PcmCrossbar)
def _(tile: Crossbar | PcmCrossbar) -> WeightPrices:
    written = (OPTICAL_CORE, "cells written", "tile.cell.write_energy_j")
    return WeightPrices((written,), ("cells held", "tile.cell.hold_power_w", tile.devices.cells))


@weight_prices.register
def _(tile: WeightBank) -> WeightPrices:
    written = (OPTICAL_CORE, "cells written", "tile.cell.write_energy_j")
    return WeightPrices((written,), ("rings held", "tile.ring_hold_power_w", tile.devices.cells))


@weight_prices.register
def _(tile: Mesh) -> WeightPrices:
    written = (OPTICAL_CORE, "phases set", "tile.phase_shifter.write_energy_j")
    return WeightPrices((written,), ("phases held", "tile.phase_shifter.mean_hold_power_w", tile.devices.cells))


@weight_prices.register
def _(tile: Residue) -> WeightPrices:
    written = (OPTICAL_CORE, "phases set", "tile.cell.write_energy_j")
    return WeightPrices((written,), ("phases held", "tile.cell.hold_power_w", tile.devices.cells))


@weight_prices.register(DynamicCrossbar)
@weight_prices.register(Homodyne)
def _(tile: DynamicCrossbar | Homodyne) -> WeightPrices:
    return _live_weights("tile.modulator", tile)


@weight_prices.register
def _(tile: TimeIntegrating) -> WeightPrices:
    return _live_weights("tile.weight_modulator", tile)


def _live_weights(modulator: str, tile: AbstractTile) -> WeightPrices:
    """Weights that are light: every write is a conversion and a symbol."""
    modulated = (OPTICAL_CORE, "weight symbols modulated", f"{modulator}.energy_j")
    converted = (CONVERTERS, "weight DAC conversions", "tile.weight_dac.energy_j")
    bias = ("weight modulator bias", f"{modulator}.static_power_w", tile.devices.weight_modulators)
    return WeightPrices((modulated, converted), bias)


def tile_lines(tile: AbstractTile, events: EventCounts) -> list[Line]:
    """What each event in a tile costs."""
    if isinstance(tile, Sliced):
        return [line._replace(price_name=_of_inner(line.price_name)) for line in tile_lines(tile.inner, events)]
    inputs, outputs = events.input_conversions, events.output_conversions
    return [
        Line(MODULATION, OPTICAL_CORE, "symbols modulated", "tile.modulator.energy_j", inputs),
        Line(MODULATION, CONVERTERS, "DAC conversions", "tile.input_dac.energy_j", inputs),
        *(Line(WEIGHTS, *what, events.weight_writes) for what in weight_prices(tile).written),
        Line(READOUT, CONVERTERS, "amplifier samples", "tile.receiver.energy_j", outputs),
        Line(READOUT, CONVERTERS, "ADC conversions", "tile.adc.energy_j", outputs),
    ]


def tile_powers(tile: AbstractTile) -> list[Power]:
    """What a tile draws for as long as it is on."""
    if isinstance(tile, Sliced):
        return [power._replace(price_name=_of_inner(power.price_name)) for power in tile_powers(tile.inner)]
    devices = tile.devices
    return [
        Power(LASER, LASER_WALL_PLUG, "light", "tile.laser.wall_power_w", 1),
        Power(MODULATION, OPTICAL_CORE, "modulator bias", "tile.modulator.static_power_w", devices.modulators),
        Power(WEIGHTS, OPTICAL_CORE, *weight_prices(tile).held),
        Power(READOUT, CONVERTERS, "receiver bias", "tile.receiver.static_power_w", devices.receivers),
    ]


def _of_inner(price_name: str) -> str:
    """The name of a tile's price where the tile is the inner one of another."""
    return price_name.replace("tile.", "tile.inner.", 1)


def _drive_settings(price_name: str, owner: Any) -> tuple[str, ...]:
    """The settings of a modulator whose energy follows from its drive; none for any other price."""
    path, _, price = price_name.rpartition(".")
    if price != "energy_j" or not path.endswith("modulator"):
        return ()
    known = {field.name for field in dataclasses.fields(attrgetter(path)(owner))}
    return tuple(f"{path}.{name}" for name in DRIVE_SETTINGS if name in known)


def _settings_behind(price_name: str) -> tuple[str, ...]:
    """The settings that a price follows from, of an inner tile too."""
    if not price_name.startswith("tile.inner."):
        return DERIVED.get(price_name, (price_name,))
    return tuple(_of_inner(name) for name in _settings_behind(price_name.replace("tile.inner.", "tile.", 1)))


def electronics_lines(events: EventCounts, seconds: float) -> list[Line]:
    """What each event in the memories and the digital unit costs, and the package around them."""
    return [
        Line(SRAM, MEMORY, "bits read", "memory.sram_read_j_per_bit", events.sram_read_bits),
        Line(SRAM, MEMORY, "bits written", "memory.sram_write_j_per_bit", events.sram_write_bits),
        Line(ACCUMULATION, ELECTRONICS, "bits of partial sums kept", "memory.register_j_per_bit", events.register_bits),
        Line(DRAM, MEMORY, "bits read", "memory.dram_j_per_bit", events.dram_read_bits),
        Line(DRAM, MEMORY, "bits written", "memory.dram_j_per_bit", events.dram_write_bits),
        Line(ACCUMULATION, ELECTRONICS, "partial sums added", "digital.accumulate_j", events.accumulations),
        Line(ACCUMULATION, ELECTRONICS, "scale operations", "digital.scale_j", events.scale_operations),
        Line(DIGITAL_PRODUCTS, ELECTRONICS, "digital MACs", "digital.mac_j", events.digital_macs),
        Line(VECTOR_UNIT, ELECTRONICS, "vector operations", "digital.vector_operation_j", events.vector_operations),
        Line(NETWORK, ELECTRONICS, "bits between chips", "network.link_j_per_bit", events.network_bits),
        Line(OVERHEAD, ELECTRONICS, "seconds", "overhead_power_w", seconds),
    ]


def _power_lines(power: Power, computing_s: float, waiting_s: float, standby: float) -> list[Line]:
    """Two lines of something that draws power in every core: while cores compute, and while they wait."""
    component, boundary, what, price_name, per_core = power
    return [
        Line(component, boundary, f"seconds of {what}, computing", price_name, per_core * computing_s),
        Line(component, boundary, f"seconds of {what}, waiting", price_name, per_core * waiting_s, standby),
    ]


def charge(line: Line, owner: Any, sources: tuple[tuple[str, Source], ...], limits: tuple[str, ...] = ()) -> Charge:
    """A line at the price that `owner` (a chip, a baseline) has under its name, with the sources of that price.

    `limits` are further settings of the owner that the count rests on.
    """
    price = attrgetter(line.price_name)(owner)
    check_number(line.price_name, price, at_least=0.0)
    unit = next(unit for ending, unit in UNITS.items() if line.price_name.endswith(ending))
    settings = (*(_drive_settings(line.price_name, owner) or _settings_behind(line.price_name)), *limits)
    settings += (NODE,) if line.price_name.startswith("digital.") else ()
    named = sources_of(settings, sources)
    return Charge(
        line.component, line.boundary, line.what, line.price_name, unit, named, line.times, line.share * price
    )
