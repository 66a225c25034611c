"""What every matrix-multiply unit answers: how a matrix sits in it, what it makes of a product, and what that took."""

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
from jaxtyping import Array, Float, UInt32

from photonsim.converters import Adc, Dac
from photonsim.events import PARTIAL_SUM_BITS, EventCounts

StoredBits = tuple[float, float]  # of an input and of a weight


@dataclass(frozen=True)
class Disturbance:
    """One thing that keeps a tile from being exact: its name, its setting in words, and what would take it away.

    `off` holds settings by their dotted path below the tile, such as `{"adc.bits": "none"}`.
    """

    name: str
    setting: str
    off: Mapping[str, Any]


class Devices(NamedTuple):
    """How many of each device one core has; of what several cores share, its part.

    - `modulators`: inputs that are modulated at once, each with a converter; all rails of an input are one.
    - `weight_modulators`: weights that are, where weights are light.
    - `cells`: what holds or multiplies a weight: cells, rings, phase shifters, crossings of two operands.
    - `receivers`: pairs of photodiodes; `readouts`: amplifiers with their converters.
    """

    modulators: float
    cells: float
    receivers: float
    readouts: float
    weight_modulators: float = 0.0


class Converters(NamedTuple):
    """Between numbers and light: of inputs, of outputs, and of weights where those are light."""

    inputs: Dac
    outputs: Adc
    weights: Dac | None = None


class Reload(NamedTuple):
    """Time to write a tile, s, and whether the tile computes meanwhile."""

    seconds: Any
    hidden: bool


class AbstractTile(eqx.Module):
    """A tile is a matrix you can multiply by, that answers as light would, and hands you the bill.

    `rows` inputs meet `columns` outputs once per symbol period, `1 / clock_hz`.
    """

    rows: eqx.AbstractVar[int]
    columns: eqx.AbstractVar[int]
    clock_hz: eqx.AbstractVar[float]

    @property
    @abc.abstractmethod
    def macs_per_cycle(self) -> float:
        """Multiply-accumulates in one symbol period."""

    @property
    @abc.abstractmethod
    def terms_per_readout(self) -> int:
        """Products that are added up before one output conversion."""

    @property
    @abc.abstractmethod
    def converter_bits(self) -> tuple[int | None, int | None, int | None]:
        """Bits of an input, a weight and an output; `None` is ideal."""

    @property
    @abc.abstractmethod
    def devices(self) -> Devices:
        """What one core is made of."""

    @property
    @abc.abstractmethod
    def converters(self) -> Converters:
        """The kinds of converter that it has."""

    @property
    def reload(self) -> Reload:
        """How a tile is given its next weights; nothing to do where they are light."""
        return Reload(0.0, True)

    @abc.abstractmethod
    def disturbances(self) -> tuple[Disturbance, ...]:
        """All that keeps this tile from being exact, on or off: with every one off, it is."""

    @abc.abstractmethod
    def program(self, w: Float[Array, "k n"], cores: int) -> Any:
        """Write a matrix into as many tiles as it fills, dealt out in turn to `cores` physical ones.

        A pytree that only `compact` and `matmul` of the same tile read; for most tiles a `Programmed`.
        """

    @abc.abstractmethod
    def compact(self, programmed: Any) -> Any:
        """The same programmed matrix with its levels stored in the narrowest type that holds them."""

    @abc.abstractmethod
    def matmul(
        self,
        x: Float[Array, "*b m k"],
        programmed: Any,
        key_data: UInt32[Array, "*b 2"],
        engine: str,
        row_offset,
    ) -> Float[Array, "*b m n"]:
        """`x @ w` through the programmed tiles; at most one leading batch axis, each element with its own key."""

    @property
    def operand_bits(self) -> StoredBits:
        """Bits of an input and of a weight in SRAM: those of their converters, 32 where these are ideal."""
        inputs, weights, _ = self.converter_bits
        return inputs or PARTIAL_SUM_BITS, weights or PARTIAL_SUM_BITS

    @abc.abstractmethod
    def events(self, batch: int, m: int, k: int, n: int, stored_bits: StoredBits | None = None) -> EventCounts:
        """What `batch` products (m, k) × (k, n) take, the writing of the (k, n) operands included.

        `stored_bits`: of an input and of a weight in SRAM, where they are not `operand_bits`.
        """
