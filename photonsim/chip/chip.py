"""A chip: one description from which both the answer and the bill are computed."""

import functools
from dataclasses import dataclass

import equinox as eqx
import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from photonsim.chip.electronics import DigitalUnit, Host, Memory, Network
from photonsim.chip.floorplan import Floorplan
from photonsim.converters.formats import FORMATS, number_format
from photonsim.errors import PhotonsimError, check_choice, check_count, check_number
from photonsim.events import EventCounts
from photonsim.tiles import AbstractTile, Programmed

STATUSES = ("ideal", "measured", "simulated", "projection", "custom")


@dataclass(frozen=True)
class Source:
    """Where a number of a description comes from; `assumed` where nobody published it, with the range it may have."""

    text: str
    assumed: bool = False
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Quoted:
    """A figure that others state for the chip: what, how much, inside which boundary, who says so."""

    quantity: str
    value: float
    unit: str
    boundary: str
    source: str


class Chip(eqx.Module):
    """`cores` tiles that share a clock, a memory and a digital unit.

    A frozen, validated pytree: the continuous numbers are leaves, so a chip can be traced, differentiated, and mapped
    over; sizes, bits and names are static.

    - `name`, `title`, `status`: what it is, and whether its numbers are measured, simulated or projected.
    - `cores`: number of tiles that work at the same time.
    - `tile`: the matrix-multiply unit.
    - `input_format`, `weight_format`: number formats (`photonsim.converters.formats`) that operands are rounded to,
      along the inner dimension, before the tile has them; `"none"` hands them on as they are.
    - `overhead_power_w`: electronics of the package that no other entry counts, drawn for as long as the chip works, W.
    - `network`, `host`: the links to other chips, and the server and the building around it.
    - `floorplan`: the area of one of each device.
    - `sources`: dotted field name and `Source` of each number; `quoted`: published figures to hold against our own.
    """

    name: str = eqx.field(static=True)
    title: str = eqx.field(static=True)
    status: str = eqx.field(static=True)
    cores: int = eqx.field(static=True)
    tile: AbstractTile
    memory: Memory
    digital: DigitalUnit
    overhead_power_w: float = 0.0
    input_format: str = eqx.field(static=True, default="none")
    weight_format: str = eqx.field(static=True, default="none")
    network: Network = Network()
    host: Host = Host()
    floorplan: Floorplan = Floorplan()
    sources: tuple[tuple[str, Source], ...] = eqx.field(static=True, default=())
    quoted: tuple[Quoted, ...] = eqx.field(static=True, default=())

    def __check_init__(self):
        check_choice("status", self.status, STATUSES)
        check_count("cores", self.cores)
        check_number("overhead_power_w", self.overhead_power_w, at_least=0.0)
        for name in ("input_format", "weight_format"):
            check_choice(name, getattr(self, name), ("none", *FORMATS))
        for name in ("broadcast", "summed_cores"):
            shared = getattr(self.tile, name, 1)
            if self.cores % shared:
                raise PhotonsimError(
                    f"tile.{name} = {shared} does not divide the chip's {self.cores} cores: give a divisor of them."
                )

    @property
    def clock_hz(self):
        """Symbol rate of the tiles, Hz."""
        return self.tile.clock_hz

    @property
    def macs_per_cycle(self) -> float:
        """Multiply-accumulates of all cores in one symbol period."""
        return self.cores * self.tile.macs_per_cycle

    def program(self, w: Float[Array, "*b k n"]) -> Programmed:
        """Write a matrix (k, n), or a batch of them, into the chip's tiles."""
        if self.weight_format != "none":
            w = jnp.swapaxes(_rounded(jnp.swapaxes(w, -1, -2), self.weight_format), -1, -2)
        return self.tile.program(w, self.cores)

    def compact(self, programmed: Programmed) -> Programmed:
        """The same programmed matrix, stored narrowly for reuse."""
        return self.tile.compact(programmed)

    def matmul(
        self, x: Float[Array, "*b m k"], programmed: Programmed, key: PRNGKeyArray, engine: str = "auto", row_offset=0
    ) -> Float[Array, "*b m n"]:
        """`x @ w` as this chip answers it.

        `key` is a JAX key, one per batch element; `row_offset` the number of the first row of `x` in the noise stream.
        """
        if self.input_format != "none":
            x = _rounded(x, self.input_format)
        return self.tile.matmul(x, programmed, jax.random.key_data(key), engine, row_offset)

    def events(self, batch: int, m: int, k: int, n: int, exchanged: bool = False) -> EventCounts:
        """What `batch` products (m, k) × (k, n) take on this chip.

        Operands lie in SRAM in their format, if they have one; `exchanged`, the weights are what streams.
        """
        formats = (self.input_format, self.weight_format)
        if formats == ("none", "none"):
            return self.tile.events(batch, m, k, n)
        inputs, weights = (
            own if name == "none" else number_format(name).bits_per_value
            for name, own in zip(formats[::-1] if exchanged else formats, self.tile.operand_bits, strict=True)
        )
        return self.tile.events(batch, m, k, n, (inputs, weights))


@functools.partial(jax.jit, static_argnums=1)
def _rounded(values: Float[Array, "... k"], format_name: str) -> Float[Array, "... k"]:
    """Values in a format whose blocks and scales run along the last axis."""
    return number_format(format_name).quantize(values)
