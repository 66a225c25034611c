"""How long a pass takes: a roofline per product, added up.

A product is laid out on the tiles (`photonsim.cost.mapping`) and computes in rounds; in each, every core streams its
symbols through the block it holds, one per clock period, and is then given the next. Writing a block takes time, which
a double-buffered array hides behind the symbols of the one before (the longer of the two counts) and any other array
does not (they add). Meanwhile bits move, each memory at its own bandwidth; the product takes as long as the slowest:

    t = max( tiles, SRAM, DRAM )   tiles = max(symbols, reload) if double-buffered, else symbols + reload
                                   symbols = max(optics, converters),   reload = rounds · block write time
                                   optics = cycles / clock,   converters = cycles · lanes / rate

A converter of a lower rate than the clock holds the light up, and so do several lanes that take turns at one.

Products follow one another, since each needs the result of the last; so does the work of the vector unit, which
overlaps only with its own DRAM traffic (KV cache and activations) and with the host's link; and so do the messages
between chips that share a model. Left out: the filling of pipelines, the time of flight (under a nanosecond), the bus
that carries weights to several cores at once.

Counts are exact whole numbers until they meet a price or a rate, and floats from there: a traced JAX number takes no
whole number above 2^31.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
from jax import numpy as jnp

from photonsim.chip import Chip
from photonsim.cost.mapping import DIGITAL_UNIT, STREAMED, Layout, Mapped, Plan, holds_weights, lay_out
from photonsim.cost.workload import MatrixProduct, Workload, macs
from photonsim.events import EventCounts
from photonsim.tiles import AbstractTile

OPTICS = "optics"
CONVERTERS = "converters"
RELOAD = "weight reload"
SRAM = "SRAM"
DRAM = "DRAM"
DIGITAL = "digital MACs"
VECTOR = "vector unit"
HOST_LINK = "host link"
NETWORK = "network"


class Step(NamedTuple):
    """Seconds that each part of the chip needs for one product, or for the vector work; the slowest sets the pace.

    `dataflow`: how a product is mapped; `macs`: its multiply-accumulates, whoever does them.
    """

    name: str
    optics_s: float = 0.0
    converters_s: float = 0.0
    reload_s: float = 0.0
    reload_hidden: bool = True
    sram_s: float = 0.0
    dram_s: float = 0.0
    digital_s: float = 0.0
    vector_s: float = 0.0
    host_s: float = 0.0
    network_s: float = 0.0
    dataflow: str = ""
    macs: float = 0.0

    @property
    def tiles_s(self) -> float:
        """Seconds of the optical array, its reloading included."""
        symbols_s = _longest(self.optics_s, self.converters_s)
        return _longest(symbols_s, self.reload_s) if self.reload_hidden else symbols_s + self.reload_s

    @property
    def needs_s(self) -> dict[str, Any]:
        """Seconds that each part of the chip needs by itself."""
        return {
            OPTICS: self.optics_s,
            CONVERTERS: self.converters_s,
            RELOAD: self.reload_s,
            SRAM: self.sram_s,
            DRAM: self.dram_s,
            DIGITAL: self.digital_s,
            VECTOR: self.vector_s,
            HOST_LINK: self.host_s,
            NETWORK: self.network_s,
        }

    @property
    def seconds(self) -> float:
        """Seconds of the step."""
        return _longest(*self._rivals.values())

    @property
    def _rivals(self) -> dict[str, Any]:
        """What the array needs, under the name of what takes longest in it, and every other part."""
        needs_s = self.needs_s
        array = {name: needs_s.pop(name) for name in (OPTICS, CONVERTERS, RELOAD)}
        traced = any(isinstance(value, jax.Array) for value in array.values())
        slowest = OPTICS if traced else max(array, key=lambda name: array[name])
        return {slowest: self.tiles_s, **needs_s}

    @property
    def bound_by(self) -> str:
        """What sets the pace."""
        rivals = self._rivals
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


def latency(chip: Chip, workload: Workload, plan: Plan | None = None) -> Latency:
    """Seconds of one pass on the chip; differentiable in its continuous parameters.

    `plan` maps the products; without one, as the simulator computes them.
    """
    return laid_latency(chip, lay_out(chip, workload, plan))


def laid_latency(chip: Chip, layout: Layout) -> Latency:
    """Seconds of a pass that is laid out already."""
    workload, bandwidth = layout.workload, chip.memory.dram_bandwidth_bits_per_s
    steps = []
    for product, mapped in zip(workload.products, layout.mapped, strict=True):
        dram_s = float(workload.weights_from_dram(product)) / bandwidth
        if mapped is None:
            steps.append(_digital_step(chip, product, dram_s))
        else:
            steps.append(mapped_step(chip, product, mapped, dram_s))
    host_s = float(workload.host_bits) / chip.host.link_bandwidth_bits_per_s
    steps.append(vector_step(workload, chip.digital.vector_operations_per_s, bandwidth, host_s))
    if workload.network_hops:
        moving_s = float(workload.link_bits) / chip.network.link_bandwidth_bits_per_s
        steps.append(Step("between chips", network_s=moving_s + float(workload.network_hops) * chip.network.hop_s))
    return Latency(tuple(steps))


def _digital_step(chip: Chip, product: MatrixProduct, dram_s) -> Step:
    """A product of the digital unit."""
    count = float(macs(product))
    return Step(
        product.name, dram_s=dram_s, digital_s=count / chip.digital.macs_per_s, dataflow=DIGITAL_UNIT, macs=count
    )


def mapped_step(chip: Chip, product: MatrixProduct, mapped: Mapped, dram_s) -> Step:
    """The roofline of a product that is laid out on the tiles, all its trips together."""
    trips, events, reload = float(product.trips), mapped.events, chip.tile.reload
    return Step(
        product.name,
        optics_s=trips * mapped.cycles / chip.clock_hz,
        converters_s=trips * mapped.cycles * conversion_s(chip.tile, events, mapped.dataflow in STREAMED),
        reload_s=trips * mapped.rounds * reload.seconds,
        reload_hidden=reload.hidden,
        sram_s=trips * (events.sram_read_bits + events.sram_write_bits) / chip.memory.sram_bandwidth_bits_per_s,
        dram_s=dram_s,
        dataflow=mapped.dataflow,
        macs=float(macs(product)),
    )


def conversion_s(tile: AbstractTile, events: EventCounts, streamed: bool):
    """Seconds that the slowest kind of converter needs for one symbol: `lanes / rate` times its readings of a lane.

    An output is read in every symbol; where both operands are `streamed` and added up, once a stretch of symbols.
    """
    inputs, outputs, weights = tile.converters
    readings = 1.0
    if streamed:
        readings = events.tile_writes * getattr(tile, "summed_cores", 1) / events.tile_cycles
    needs_s = [inputs.lanes / inputs.rate_hz, readings * outputs.lanes / outputs.rate_hz]
    return _longest(*needs_s, *([weights.lanes / weights.rate_hz] if weights else []))


def symbol_s(chip: Chip, events: EventCounts):
    """Seconds of one symbol: the period of the clock, or of the converters where they are slower."""
    return _longest(1 / chip.clock_hz, conversion_s(chip.tile, events, not holds_weights(chip.tile)))


def vector_step(workload: Workload, operations_per_s: float, dram_bandwidth_bits_per_s: float, host_s=0.0) -> Step:
    """The work of a vector unit against its own traffic, and the host's."""
    bits = workload.dram_read_bits - workload.weight_bits + workload.dram_write_bits
    return Step(
        "vector work",
        vector_s=float(workload.vector_operations) / operations_per_s,
        dram_s=float(bits) / dram_bandwidth_bits_per_s,
        host_s=host_s,
    )


def _longest(*seconds) -> Any:
    """The largest, as a plain number where all are, so that reports keep double precision."""
    if any(isinstance(value, jax.Array) for value in seconds):
        longest = seconds[0]
        for value in seconds[1:]:
            longest = jnp.maximum(longest, value)
        return longest
    return max(seconds)
