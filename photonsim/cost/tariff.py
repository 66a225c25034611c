"""The tariff: every count beside its price. The whole energy model of a chip on one page.

Power is paid for time. The laser, the bias of the modulators and the holding of the weights run in every core for the
whole pass; the part of it in which a core computes and the part in which it waits (for weights, for DRAM, for the
vector unit) are separate lines. `standby` is the share of that power a waiting core draws: 1 by default, as lasers and
thermal locks are not switched within microseconds (*assumed*).

A line names its price by its path in the chip's description, and the unit of a price is the end of its name. A tile of
another kind registers its own `tile_lines` and `tile_powers`.
"""

import dataclasses
from functools import singledispatch
from operator import attrgetter
from typing import Any, NamedTuple

from photonsim.chip import Chip, Source
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

UNSOURCED = Source("no source given: set by the user or a default of the description", assumed=True)
DERIVED = {  # a price and the settings it follows from
    "tile.laser.wall_power_w": ("tile.laser.power_w", "tile.laser.wall_plug_efficiency"),
    "host.cooling_ratio": ("host.pue",),
    "tile.phase_shifter.mean_hold_power_w": ("tile.phase_shifter.pi_power_w",),
    "tile.ring_hold_power_w": ("tile.ring.tuning_m_per_w", "tile.resonance_offset_m", "tile.cell.hold_power_w"),
}
DRIVE_SETTINGS = ("capacitance_f", "half_wave_voltage_v", "swing_v", "activity")  # `½ α C V²`
DEFAULTS = {  # where the defaults of `photonsim.chip.electronics` are from
    "memory.sram_capacity_bits": Source("no figure given; 32 MB, a usual size on an accelerator", True, 0, 4e9),
    "memory.sram_bandwidth_bits_per_s": Source("no figure given; as wide as the arrays need", True),
    "memory.register_j_per_bit": Source(
        "0.073 pJ per 2 bytes of a register file: Lightening-Transformer's simulator",
        True,
        1e-15,
        2e-14,
    ),
    "memory.register_capacity_bits": Source("no figure given; 64 kB of accumulators for a core", True),
    "network.link_j_per_bit": Source("no figure given; NVLink 4 is quoted at 1.3 pJ/bit", True, 2.5e-13, 1e-11),
    "network.link_bandwidth_bits_per_s": Source("no figure given; NVLink 4, 450 GB/s each way", True, 5e11, 7.2e12),
    "network.hop_s": Source("no figure given; about a microsecond through a switch", True, 1e-7, 5e-6),
    "host.power_w": Source(
        "no figure given; what an eight-GPU server draws beside its GPUs is up to 575 W for each", True, 20, 600
    ),
    "host.link_j_per_bit": Source("no figure given; PCIe 5.0, some 5 pJ/bit", True, 3e-12, 1e-11),
    "host.link_bandwidth_bits_per_s": Source("no figure given; PCIe 5.0 x16, 64 GB/s", True, 2.5e11, 1e12),
    "host.pue": Source("no figure given; large clouds report 1.1 to 1.2, the trade's mean is 1.56", True, 1.05, 1.6),
}
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


@singledispatch
def tile_lines(tile: AbstractTile, events: EventCounts) -> list[Line]:
    """What each event in a tile costs."""
    raise PhotonsimError(f"The tile {type(tile).__name__} has no tariff: register one with photonsim.cost.tariff.")


@singledispatch
def tile_powers(tile: AbstractTile) -> list[Power]:
    """What a tile draws for as long as it is on."""
    raise PhotonsimError(f"The tile {type(tile).__name__} has no tariff: register one with photonsim.cost.tariff.")


@tile_lines.register(Crossbar)
@tile_lines.register(WeightBank)
@tile_lines.register(PcmCrossbar)
def _(tile: Crossbar | WeightBank | PcmCrossbar, events: EventCounts) -> list[Line]:
    inputs, outputs = events.input_conversions, events.output_conversions
    return [
        Line(MODULATION, OPTICAL_CORE, "symbols modulated", "tile.modulator.energy_j", inputs),
        Line(MODULATION, CONVERTERS, "DAC conversions", "tile.input_dac.energy_j", inputs),
        Line(WEIGHTS, OPTICAL_CORE, "cells written", "tile.cell.write_energy_j", events.weight_writes),
        Line(READOUT, CONVERTERS, "amplifier samples", "tile.receiver.energy_j", outputs),
        Line(READOUT, CONVERTERS, "ADC conversions", "tile.adc.energy_j", outputs),
    ]


@tile_powers.register
def _(tile: Crossbar) -> list[Power]:
    columns = tile.columns + tile.encoding.references
    return [
        Power(LASER, LASER_WALL_PLUG, "light", "tile.laser.wall_power_w", 1),
        Power(MODULATION, OPTICAL_CORE, "modulator bias", "tile.modulator.static_power_w", tile.rows),
        Power(WEIGHTS, OPTICAL_CORE, "cells held", "tile.cell.hold_power_w", tile.rows * columns),
        _receiver_bias(columns),
    ]


@tile_powers.register
def _(tile: WeightBank) -> list[Power]:
    return [
        Power(LASER, LASER_WALL_PLUG, "light", "tile.laser.wall_power_w", 1),
        Power(MODULATION, OPTICAL_CORE, "modulator bias", "tile.modulator.static_power_w", tile.rows),
        Power(WEIGHTS, OPTICAL_CORE, "rings held", "tile.ring_hold_power_w", tile.rings),
        _receiver_bias(tile.columns),
    ]


@tile_powers.register
def _(tile: PcmCrossbar) -> list[Power]:
    vectors, cells = tile.vectors_at_once, tile.rows * tile.columns * tile.cells_per_weight
    return [
        Power(LASER, LASER_WALL_PLUG, "light", "tile.laser.wall_power_w", 1),
        Power(MODULATION, OPTICAL_CORE, "modulator bias", "tile.modulator.static_power_w", tile.rows * vectors),
        Power(WEIGHTS, OPTICAL_CORE, "cells held", "tile.cell.hold_power_w", cells),
        _receiver_bias(tile.columns * vectors),
    ]


@tile_lines.register
def _(tile: Mesh, events: EventCounts) -> list[Line]:
    return [
        *_conversion_lines(events),
        Line(WEIGHTS, OPTICAL_CORE, "phases set", "tile.phase_shifter.write_energy_j", events.weight_writes),
    ]


@tile_powers.register
def _(tile: Mesh) -> list[Power]:
    held = "tile.phase_shifter.mean_hold_power_w"
    return [
        Power(LASER, LASER_WALL_PLUG, "light", "tile.laser.wall_power_w", 1),
        Power(MODULATION, OPTICAL_CORE, "modulator bias", "tile.modulator.static_power_w", tile.rows),
        Power(WEIGHTS, OPTICAL_CORE, "phases held", held, tile.phase_shifters),
        _receiver_bias(tile.columns),
    ]


@tile_lines.register(DynamicCrossbar)
@tile_lines.register(Homodyne)
def _(tile: DynamicCrossbar | Homodyne, events: EventCounts) -> list[Line]:
    return [
        *_conversion_lines(events),
        Line(WEIGHTS, OPTICAL_CORE, "symbols modulated", "tile.modulator.energy_j", events.weight_writes),
        Line(WEIGHTS, CONVERTERS, "DAC conversions", "tile.weight_dac.energy_j", events.weight_writes),
    ]


@tile_powers.register(DynamicCrossbar)
@tile_powers.register(Homodyne)
def _(tile: DynamicCrossbar | Homodyne) -> list[Power]:
    return [
        Power(LASER, LASER_WALL_PLUG, "light", "tile.laser.wall_power_w", 1),
        Power(MODULATION, OPTICAL_CORE, "modulator bias", "tile.modulator.static_power_w", tile.modulators),
        _receiver_bias(tile.rows * tile.columns),
    ]


@tile_lines.register
def _(tile: TimeIntegrating, events: EventCounts) -> list[Line]:
    return [
        *_conversion_lines(events),
        Line(WEIGHTS, OPTICAL_CORE, "symbols modulated", "tile.weight_modulator.energy_j", events.weight_writes),
        Line(WEIGHTS, CONVERTERS, "DAC conversions", "tile.weight_dac.energy_j", events.weight_writes),
    ]


@tile_powers.register
def _(tile: TimeIntegrating) -> list[Power]:
    return [
        Power(LASER, LASER_WALL_PLUG, "light", "tile.laser.wall_power_w", 1),
        Power(MODULATION, OPTICAL_CORE, "modulator bias", "tile.modulator.static_power_w", tile.rows),
        Power(WEIGHTS, OPTICAL_CORE, "modulator bias", "tile.weight_modulator.static_power_w", tile.columns),
        _receiver_bias(tile.rows * tile.columns),
    ]


@tile_lines.register
def _(tile: Sliced, events: EventCounts) -> list[Line]:
    return [line._replace(price_name=_of_inner(line.price_name)) for line in tile_lines(tile.inner, events)]


@tile_powers.register
def _(tile: Sliced) -> list[Power]:
    return [power._replace(price_name=_of_inner(power.price_name)) for power in tile_powers(tile.inner)]


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


@tile_lines.register
def _(tile: Residue, events: EventCounts) -> list[Line]:
    return [
        *_conversion_lines(events),
        Line(WEIGHTS, OPTICAL_CORE, "phases set", "tile.cell.write_energy_j", events.weight_writes),
    ]


@tile_powers.register
def _(tile: Residue) -> list[Power]:
    channels = tile.channels
    return [
        Power(LASER, LASER_WALL_PLUG, "light", "tile.laser.wall_power_w", 1),
        Power(MODULATION, OPTICAL_CORE, "modulator bias", "tile.modulator.static_power_w", tile.rows * channels),
        Power(WEIGHTS, OPTICAL_CORE, "phases held", "tile.cell.hold_power_w", tile.rows * tile.columns * channels),
        _receiver_bias(2 * tile.columns * channels),
    ]


def _receiver_bias(receivers: int) -> Power:
    return Power(READOUT, CONVERTERS, "receiver bias", "tile.receiver.static_power_w", receivers)


def _conversion_lines(events: EventCounts) -> list[Line]:
    """Encoding the inputs and reading the outputs, alike in every tile whose weights are not cells."""
    inputs, outputs = events.input_conversions, events.output_conversions
    return [
        Line(MODULATION, OPTICAL_CORE, "symbols modulated", "tile.modulator.energy_j", inputs),
        Line(MODULATION, CONVERTERS, "DAC conversions", "tile.input_dac.energy_j", inputs),
        Line(READOUT, CONVERTERS, "amplifier samples", "tile.receiver.energy_j", outputs),
        Line(READOUT, CONVERTERS, "ADC conversions", "tile.adc.energy_j", outputs),
    ]


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
    known = dict(sources)
    settings = (*(_drive_settings(line.price_name, owner) or _settings_behind(line.price_name)), *limits)
    named = tuple((name, known.get(name, DEFAULTS.get(name, UNSOURCED))) for name in settings)
    return Charge(line.component, line.boundary, line.what, unit, named, line.times, line.share * price)
