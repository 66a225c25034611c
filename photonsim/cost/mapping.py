"""How a product is laid out on the tiles: which operand stays, which one moves, and what that takes.

A product `(m, k) @ (k, n)` on an array whose cells are *written* can be done three ways:

    weight-stationary   a (k, n) block sits in the cells while all m rows stream through it; written once. This is
                        what the simulator computes, and the default.
    input-stationary    the inputs sit in the cells and the weights stream: `yᵀ = wᵀ xᵀ`, the same array with m and n
                        exchanged. One written block serves n weight vectors: for a single row (decode at batch 1)
                        nothing but that row is written, but every weight is converted from digital to light.
    output-stationary   weight blocks along k follow one another over the same outputs, whose partial sums stay in the
                        accumulators beside the converters instead of travelling to SRAM and back; the accumulators
                        hold only so many rows, and each group of rows writes the weights again.

Tiles into which both operands stream write nothing. Their outputs stay for as long as a detector integrates, so they
are output-stationary within a reading; the operands can be exchanged:

    dynamic             rows of the tile are the inputs, columns the weights
    dynamic, exchanged  the other way round

**Dealing out.** Written blocks are dealt to the cores one by one, `rounds = ⌈blocks / cores⌉`, and a round lasts as
long as a block's symbols. Symbols of a dynamic tile can be dealt one by one: `cycles = ⌈symbols / cores⌉`, the closed
form of Lightening-Transformer. Padding is what both leave idle: `utilisation = MACs / (cycles · MACs per cycle)`.

**Residency.** Where all weights of a model fit into the cells of all cores at once, with a core to spare for products
of two activations, they are written once for ever: a pass neither writes nor fetches them.
"""

import dataclasses
import math
from typing import NamedTuple

from photonsim.chip import Chip
from photonsim.cost.workload import WEIGHT, MatrixProduct, Workload, kept_in_sram
from photonsim.errors import check_choice
from photonsim.events import PARTIAL_SUM_BITS, EventCounts
from photonsim.tiles import AbstractTile

WEIGHT_STATIONARY = "weight-stationary"
INPUT_STATIONARY = "input-stationary"
OUTPUT_STATIONARY = "output-stationary"
DYNAMIC = "dynamic"
EXCHANGED = "dynamic, exchanged"
WRITTEN = (WEIGHT_STATIONARY, INPUT_STATIONARY, OUTPUT_STATIONARY)
STREAMED = (DYNAMIC, EXCHANGED)
DIGITAL_UNIT = "digital unit"


class Mapped(NamedTuple):
    """One trip of a product on a chip: its events, and the time of the busiest core.

    - `cycles`: symbol periods that it computes for.
    - `rounds`: times that it is given other cells.
    """

    dataflow: str
    events: EventCounts
    cycles: float
    rounds: int


class Plan(NamedTuple):
    """How each product of a workload is mapped, in their order, and whether the weights stay in the tiles."""

    dataflows: tuple[str, ...]
    resident: bool


def holds_weights(tile: AbstractTile) -> bool:
    """Whether a tile's weights are written once for all rows, rather than streamed again for each group of them."""
    return tile.events(1, 1, 1, 1).weight_writes == tile.events(1, 10**6, 1, 1).weight_writes


def dataflows(tile: AbstractTile) -> tuple[str, ...]:
    """The dataflows that a tile allows, the one that the simulator computes first."""
    return WRITTEN if holds_weights(tile) else STREAMED


class Layout(NamedTuple):
    """A workload on a chip: what is left to fetch once it runs, and every product mapped, `None` for the digital unit.

    It rests on shapes and sizes alone, so one layout serves all prices and rates of a chip.
    """

    workload: Workload
    mapped: tuple[Mapped | None, ...]


def lay_out(chip: Chip, workload: Workload, plan: Plan | None = None) -> Layout:
    """Every product on its tiles, by a plan, or as the simulator computes it."""
    plan = simulated_plan(chip, workload) if plan is None else plan
    for dataflow in set(plan.dataflows) - {DIGITAL_UNIT}:
        check_choice("dataflow", dataflow, dataflows(chip.tile))
    mapped = tuple(
        None if dataflow == DIGITAL_UNIT else _map(chip, product, dataflow, plan.resident)
        for product, dataflow in zip(workload.products, plan.dataflows, strict=True)
    )
    settled = dataclasses.replace(workload, weights_kept=True) if plan.resident else workload
    return Layout(kept_in_sram(settled, chip.memory.sram_capacity_bits), mapped)


def simulated_plan(chip: Chip, workload: Workload) -> Plan:
    """Every product as the simulator computes it."""
    usual = dataflows(chip.tile)[0]
    chosen = tuple(usual if product.on_chip else DIGITAL_UNIT for product in workload.products)
    return Plan(chosen, stay_in_tiles(chip, workload))


def stay_in_tiles(chip: Chip, workload: Workload) -> bool:
    """Whether all weights of a model fit into the cells at once; see the module's header."""
    if not workload.parameters or not holds_weights(chip.tile):
        return False
    optical = [product for product in workload.products if product.on_chip]
    spare = any(product.kind != WEIGHT for product in optical)
    blocks = sum(
        chip.events(product.batch, 1, product.k, product.n).tile_writes * product.trips
        for product in optical
        if product.kind == WEIGHT
    )
    return 0 < blocks <= chip.cores - spare


def map_product(chip: Chip, product: MatrixProduct, dataflow: str, resident: bool = False) -> Mapped:
    """One trip of a product under a dataflow; `resident` where its weights are in the cells already."""
    check_choice("dataflow", dataflow, dataflows(chip.tile))
    return _map(chip, product, dataflow, resident)


def _map(chip: Chip, product: MatrixProduct, dataflow: str, resident: bool) -> Mapped:
    batch, m, k, n = product.batch, product.m, product.k, product.n
    if exchanged := dataflow in (INPUT_STATIONARY, EXCHANGED):
        m, n = n, m
    kept = dataflow == OUTPUT_STATIONARY
    events = _kept_sums(chip, batch, m, k, n) if kept else chip.events(batch, m, k, n, exchanged)
    if dataflow in STREAMED:
        return Mapped(dataflow, events, math.ceil(events.tile_cycles / chip.cores), 0)
    rounds = math.ceil(events.tile_writes / chip.cores)
    cycles = rounds * events.tile_cycles / events.tile_writes
    if resident and product.kind == WEIGHT and dataflow != INPUT_STATIONARY:
        return Mapped(dataflow, _without_writing(chip, events, batch, k, n), cycles, 0)
    return Mapped(dataflow, events, cycles, rounds)


def _kept_sums(chip: Chip, batch: int, m: int, k: int, n: int) -> EventCounts:
    """Events of groups of rows, as many as the accumulators hold, whose partial sums never reach SRAM."""
    held = accumulated_rows(chip, m)
    groups, rest = divmod(m, held)
    events = chip.events(batch, held, k, n) * groups
    if rest:
        events += chip.events(batch, rest, k, n)
    outputs = batch * m * n
    moved = (events.output_conversions / outputs - 1) * outputs * PARTIAL_SUM_BITS
    return dataclasses.replace(
        events,
        sram_read_bits=events.sram_read_bits - moved,
        sram_write_bits=events.sram_write_bits - moved,
        register_bits=2 * moved,
    )


def accumulated_rows(chip: Chip, rows: int) -> int:
    """Rows whose outputs fit into the accumulators of a core, of `rows` that are wanted."""
    capacity = chip.memory.register_capacity_bits
    if not isinstance(capacity, int | float):
        return rows  # a traced capacity decides nothing
    return min(max(int(capacity // (PARTIAL_SUM_BITS * chip.tile.columns)), 1), rows)


def _without_writing(chip: Chip, events: EventCounts, batch: int, k: int, n: int) -> EventCounts:
    """Events less what is paid once: that part of them which does not grow with the rows."""
    once = chip.events(batch, 1, k, n) * 2 + chip.events(batch, 2, k, n) * -1.0
    return dataclasses.replace(
        events, weight_writes=0.0, tile_writes=0.0, sram_read_bits=events.sram_read_bits - once.sram_read_bits
    )


def utilisation(chip: Chip, product: MatrixProduct, mapped: Mapped) -> float:
    """Share of the optical multiply-accumulates of the time that are asked for: the rest is padding and idle cores."""
    return product.batch * product.m * product.k * product.n / (mapped.cycles * chip.macs_per_cycle)
