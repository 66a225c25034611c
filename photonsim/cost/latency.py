"""How long a pass takes: a roofline per product, added up.

A product of T tiles on a chip of C cores runs in `ceil(T / C)` rounds; in each, every core streams its symbols through
the tile it holds, one per clock period, and is then given the next tile. Writing that tile takes time, which a
double-buffered array hides behind the symbols of the one before (the longer of the two counts) and any other array does
not (they add). Meanwhile the weights arrive from DRAM; the product takes as long as the slower of the two:

    t = max( tiles, DRAM )      tiles = max(optics, reload) if double-buffered, else optics + reload
                                optics = rounds · symbols / clock,   reload = rounds · tile write time

Products follow one another, since each needs the result of the last; so does the work of the vector unit, which
overlaps only with its own DRAM traffic (KV cache and activations). Left out: the filling of pipelines, the time of
flight (under a nanosecond), the bandwidth of SRAM and of the bus that carries weights to several cores at once.

Counts are exact whole numbers until they meet a price or a rate, and floats from there: a traced JAX number takes no
whole number above 2^31.
"""

import math
from functools import singledispatch
from typing import Any, NamedTuple

import equinox as eqx
import jax
from jax import numpy as jnp

from photonsim.chip import Chip
from photonsim.cost.workload import MatrixProduct, Workload, macs
from photonsim.errors import PhotonsimError
from photonsim.events import EventCounts
from photonsim.tiles import (
    AbstractTile,
    Crossbar,
    DynamicCrossbar,
    Homodyne,
    Mesh,
    PcmCrossbar,
    TimeIntegrating,
    WeightBank,
)

OPTICS = "optics"
RELOAD = "weight reload"
DRAM = "DRAM"
DIGITAL = "digital MACs"
VECTOR = "vector unit"


class Step(eqx.Module):
    """Seconds that each part of the chip needs for one product, or for the vector work; the slowest sets the pace."""

    name: str = eqx.field(static=True)
    optics_s: float = 0.0
    reload_s: float = 0.0
    reload_hidden: bool = eqx.field(static=True, default=True)
    dram_s: float = 0.0
    digital_s: float = 0.0
    vector_s: float = 0.0

    @property
    def tiles_s(self) -> float:
        """Seconds of the optical array, its reloading included."""
        return _longest(self.optics_s, self.reload_s) if self.reload_hidden else self.optics_s + self.reload_s

    @property
    def seconds(self) -> float:
        """Seconds of the step."""
        return _longest(self.tiles_s, self.dram_s, self.digital_s, self.vector_s)

    @property
    def bound_by(self) -> str:
        """What sets the pace; of an array that computes and reloads in turn, the longer of the two."""
        array = OPTICS if self.optics_s >= self.reload_s else RELOAD
        rivals = {array: self.tiles_s, DRAM: self.dram_s, DIGITAL: self.digital_s, VECTOR: self.vector_s}
        return max(rivals, key=lambda name: rivals[name])


class Latency(eqx.Module):
    """The steps of a pass, in order of the products, the vector work last."""

    steps: tuple[Step, ...]

    @property
    def seconds(self) -> float:
        """Seconds of the pass: its steps added."""
        return sum(step.seconds for step in self.steps)

    def per_token(self, tokens: int) -> float:
        """Seconds per token of a pass of `tokens` tokens."""
        return self.seconds / tokens

    @property
    def by_bound_s(self) -> dict[str, float]:
        """Seconds of the steps that each part of the chip sets the pace of; concrete values only."""
        seconds: dict[str, float] = {}
        for step in self.steps:
            seconds[step.bound_by] = seconds.get(step.bound_by, 0.0) + step.seconds
        return seconds

    @property
    def bound_by(self) -> str:
        """The part of the chip that sets the pace for the largest share of the time."""
        by_bound_s = self.by_bound_s
        return max(by_bound_s, key=lambda name: by_bound_s[name])


def latency(chip: Chip, workload: Workload) -> Latency:
    """Seconds of one pass on the chip; differentiable in its continuous parameters."""
    products = (product_step(chip, product, workload) for product in workload.products)
    bandwidth, rate = chip.memory.dram_bandwidth_bits_per_s, chip.digital.vector_operations_per_s
    return Latency((*products, vector_step(workload, rate, bandwidth)))


def product_step(chip: Chip, product: MatrixProduct, workload: Workload) -> Step:
    """The roofline of one product, all its trips together."""
    dram_s = float(workload.weights_from_dram(product)) / chip.memory.dram_bandwidth_bits_per_s
    if not product.on_chip:
        return Step(product.name, dram_s=dram_s, digital_s=float(macs(product)) / chip.digital.macs_per_s)
    events = chip.events(product.batch, product.m, product.k, product.n)
    rounds = float(product.trips * tile_rounds(events, chip.cores))
    reload = tile_reload(chip.tile)
    return Step(
        product.name,
        optics_s=rounds * symbols_per_tile(events) / chip.clock_hz,
        reload_s=rounds * reload.seconds,
        reload_hidden=reload.hidden,
        dram_s=dram_s,
    )


class Reload(NamedTuple):
    """Time to write a tile, and whether the tile computes meanwhile."""

    seconds: float
    hidden: bool


@singledispatch
def tile_reload(tile: AbstractTile) -> Reload:
    """How a tile is given its next weights. A tile of another kind registers its own."""
    raise PhotonsimError(f"The tile {type(tile).__name__} has no reload time: register one with `tile_reload`.")


@tile_reload.register(Crossbar)
@tile_reload.register(WeightBank)
@tile_reload.register(PcmCrossbar)
def _(tile: Crossbar | WeightBank | PcmCrossbar) -> Reload:
    return Reload(tile.cell.tile_write_time_s, tile.cell.double_buffered)


@tile_reload.register
def _(tile: Mesh) -> Reload:
    return Reload(tile.phase_shifter.response_time_s, False)  # all phases settle together, and light must wait


@tile_reload.register(DynamicCrossbar)
@tile_reload.register(Homodyne)
@tile_reload.register(TimeIntegrating)
def _(tile: AbstractTile) -> Reload:
    return Reload(0.0, True)  # weights are light: there is nothing to write


def vector_step(workload: Workload, operations_per_s: float, dram_bandwidth_bits_per_s: float) -> Step:
    """The work of a vector unit against its own traffic."""
    bits = workload.dram_read_bits - workload.weight_bits + workload.dram_write_bits
    return Step(
        "vector work",
        vector_s=float(workload.vector_operations) / operations_per_s,
        dram_s=float(bits) / dram_bandwidth_bits_per_s,
    )


def tile_rounds(events: EventCounts, cores: int) -> int:
    """Times that the cores are loaded for one product: `ceil(tiles / cores)`."""
    return math.ceil(events.tile_writes / cores)


def symbols_per_tile(events: EventCounts) -> float:
    """Symbol periods that one tile of a product computes for."""
    return events.tile_cycles / events.tile_writes


def _longest(*seconds) -> Any:
    """The largest, as a plain number where all are, so that reports keep double precision."""
    if any(isinstance(value, jax.Array) for value in seconds):
        longest = seconds[0]
        for value in seconds[1:]:
            longest = jnp.maximum(longest, value)
        return longest
    return max(seconds)
