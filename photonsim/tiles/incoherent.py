"""What tiles of programmed cells under incoherent light share: how bright a product is, and what a reading of it sees.

Of a cell's light one part falls on the plus diode of its column and one on the minus diode, and their difference is the
product: a ring drops some of its wavelength and lets the rest through; a pair of phase-change cells passes some on
either side. Signs of weights are thus in the cells. Those of inputs, which are intensities, need one of two encodings:

    "differential"   a rail for positive inputs and one for negative, each with cells of its own, the second with its
                     diodes exchanged; the cells of both are taken to be alike
    "two-pass"       the positive inputs in one symbol, the negative in the next, through the same cells; two
                     readings, subtracted by the digital side

Shot noise counts the light on both diodes, `a = Σ |q| (plus + minus)`, and a cell has light on both even where its
weight is zero. `partial_sums.py` counts `Σ |q| |levels|`; so where shot noise is on, a column is written as two groups
of rows, `plus` and `−minus`, that see the same inputs. Their sum is the product and their magnitudes are all the light:
no approximation, and every engine runs it.
"""

import abc
import functools
from typing import NamedTuple

import equinox as eqx
import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.converters import Adc, Dac, full_scale_code
from photonsim.devices import Laser, Modulator, Receiver, WeightCell
from photonsim.errors import check_choice, check_count, check_number
from photonsim.events import PARTIAL_SUM_BITS, EventCounts
from photonsim.tiles.base import AbstractTile
from photonsim.tiles.die import Die, DieColumns
from photonsim.tiles.engine import multiply
from photonsim.tiles.partial_sums import Programmed, Readout, block_scales, encode, split_blocks
from photonsim.tiles.readout import is_on, set_readout, shared_disturbances
from photonsim.units import ELEMENTARY_CHARGE_C, ratio_from_db

ENCODINGS = ("differential", "two-pass")


class WrittenCells(NamedTuple):
    """What cells make of the codes that they were given.

    `signal`: the light of the plus diode less that of the minus, as a code; real where cells are not exact. `light`: of
    both together, in the same unit. `correction`: by which the digital side multiplies each column's reading.
    """

    signal: Float[Array, "*b t r n"]
    light: Float[Array, "*b t r n"] | float | Array
    correction: Float[Array, "*b t n"] | float = 1.0


class AbstractIncoherentTile(AbstractTile):
    """A tile of `rows` × `columns` cells between modulators and balanced diodes, weights written once.

    The laser's power is divided over the rows and fanned out over the columns; `full_scale_share` of a cell's light is
    the signal of a product at full scale (input and weight both 1):

        P_mac = P · 10^(-loss/10) / (rows · columns · vectors_at_once) · full_scale_share
    """

    insertion_loss_db: eqx.AbstractVar[float]
    laser: eqx.AbstractVar[Laser]
    input_dac: eqx.AbstractVar[Dac]
    modulator: eqx.AbstractVar[Modulator]
    cell: eqx.AbstractVar[WeightCell]
    receiver: eqx.AbstractVar[Receiver]
    adc: eqx.AbstractVar[Adc]
    die: eqx.AbstractVar[Die]
    encoding: eqx.AbstractVar[str]

    @property
    @abc.abstractmethod
    def full_scale_share(self) -> float | Array:
        """Difference of the two diodes' light, over their sum, of a weight of 1."""

    @property
    @abc.abstractmethod
    def exact_cells(self) -> bool:
        """Whether cells hold the codes that they are given."""

    @abc.abstractmethod
    def write_cells(self, codes: Float[Array, "*b t r n"], cores: int, exact: bool) -> WrittenCells:
        """The codes of all blocks, as the cells of their cores hold them when light passes; unchanged where `exact`."""

    @property
    def vectors_at_once(self) -> int:
        """Input vectors that pass the cells in one symbol, on wavelengths of their own."""
        return 1

    def check_fields(self) -> None:
        """Refuse sizes and losses that cannot be."""
        check_count("tile.rows", self.rows)
        check_count("tile.columns", self.columns)
        check_number("tile.clock_hz", self.clock_hz, above=0.0)
        check_number("tile.insertion_loss_db", self.insertion_loss_db, at_least=0.0)
        check_choice("tile.encoding", self.encoding, ENCODINGS)

    # Light and noise

    @property
    def rails(self) -> int:
        """Copies of the cells: one for each sign of the inputs, or one for both in turn."""
        return 2 if self.encoding == "differential" else 1

    @property
    def cells_per_weight(self) -> int:
        """Cells that one weight is written into."""
        return self.rails

    @property
    def passes(self) -> int:
        """Symbols and readings of one input vector."""
        return 1 if self.encoding == "differential" else 2

    @property
    def power_per_mac_w(self):
        """Difference of the detected powers of one multiply-accumulate at full scale, W."""
        cells = self.rows * self.columns * self.vectors_at_once
        return self.laser.power_w / ratio_from_db(self.insertion_loss_db) / cells * self.full_scale_share

    @property
    def photons_per_mac(self):
        """Photons by which the diodes differ in one symbol for one multiply-accumulate at full scale."""
        return self.power_per_mac_w / (self.laser.photon_energy_j * self.clock_hz)

    @property
    def current_per_mac_a(self):
        """Photocurrent of one multiply-accumulate at full scale, A."""
        return self.receiver.responsivity_a_per_w * self.power_per_mac_w

    @property
    def electrons_per_mac(self):
        """Photoelectrons of one multiply-accumulate at full scale in one symbol."""
        return self.current_per_mac_a / (ELEMENTARY_CHARGE_C * self.clock_hz)

    @property
    def background_variance(self):
        """Variance of dark current and amplifier noise, in units of one full-scale product squared."""
        bandwidth_hz = self.clock_hz / 2  # Nyquist: one sample per symbol
        return self.receiver.background_variance_a2(bandwidth_hz) / self.current_per_mac_a**2

    @property
    def shot_variance(self):
        """Variance for each unit of light, in full-scale products."""
        return 1.0 / self.electrons_per_mac if self.receiver.shot_noise else 0.0

    @property
    def readout(self) -> Readout:
        """What of the reading is fixed when a product is compiled."""
        receiver = self.receiver
        noise = (self.adc.noise_rms, receiver.tia_noise_a_per_sqrt_hz, receiver.dark_current_a)
        return Readout(
            input_bits=self.input_dac.bits,
            adc_bits=self.adc.bits,
            columns=self.columns,
            noise=any(is_on(value) for value in noise),
            shot_noise=receiver.shot_noise,
            common_mode=is_on(self.die.common_mode_rms),
            intensity_noise=not self.laser.is_noiseless,
        )

    @property
    def macs_per_cycle(self) -> int:
        """See `AbstractTile.macs_per_cycle`; of two passes, the mean, rounded down."""
        return self.rows * self.columns * self.vectors_at_once // self.passes

    @property
    def terms_per_readout(self) -> int:
        """See `AbstractTile.terms_per_readout`."""
        return self.rows

    @property
    def converter_bits(self) -> tuple[int | None, int | None, int | None]:
        """See `AbstractTile.converter_bits`."""
        return self.input_dac.bits, self.cell.bits, self.adc.bits

    # Numbers

    def program(self, w: Float[Array, "*b k n"], cores: int = 1) -> Programmed:
        """Quantise (k, n) weights block by block and column by column, write them, and set the readout of each column.

        Block (t, j) of the matrix sits in core `(t J + j) mod cores`.
        """
        blocks = -(-w.shape[-2] // self.rows)
        landing = self.die.landing(cores, self.columns, blocks, w.shape[-1])
        return _program(self, w, landing, cores, self.exact_cells)

    def compact(self, programmed: Programmed) -> Programmed:
        """See `AbstractTile.compact`: levels that are not whole numbers stay floats."""
        whole = self.exact_cells and not self.receiver.shot_noise
        return programmed.compact(self.cell.bits) if whole else programmed

    def matmul(self, x, programmed, key_data, engine="auto", row_offset=0):
        """See `AbstractTile.matmul`; `engine` is `"jax"` (the definition), `"numba"` (its fast twin) or `"auto"`."""
        shared = shared_disturbances(self.laser, self.adc, self.die, self.clock_hz / 2)
        if self.encoding == "differential":
            return jnp.asarray(
                multiply(self._spread(x), programmed, self.readout, shared, key_data, row_offset, engine)
            )
        signs = jnp.stack([jnp.maximum(x, 0), jnp.maximum(-x, 0)], axis=-2)  # (..., m, 2, k)
        both = signs.reshape(*x.shape[:-2], 2 * x.shape[-2], x.shape[-1])
        read = jnp.asarray(
            multiply(self._spread(both), programmed, self.readout, shared, key_data, 2 * row_offset, engine)
        )
        return read[..., 0::2, :] - read[..., 1::2, :]

    def _spread(self, x: Float[Array, "*b m k"]) -> Float[Array, "*b m kk"]:
        """Inputs block by block in front of the rows of each diode."""
        if not self.receiver.shot_noise:
            return x
        blocks = split_blocks(x, self.rows, axis=-1)  # (..., m, t, r)
        return jnp.concatenate([blocks, blocks], axis=-1).reshape(*x.shape[:-1], -1)

    # The bill

    def events(self, batch: int, m: int, k: int, n: int) -> EventCounts:
        """Counts of `batch` products (m, k) × (k, n): every tile is written once and streams all m rows.

        Rows and columns of a tile that the matrix does not fill are dark and unread, but the tile's time is spent.
        """
        down, across = -(-k // self.rows), -(-n // self.columns)
        symbols = self.passes * -(-m // self.vectors_at_once)
        readings, converted = self.passes * m * n * down, self.passes * m * k * across
        weight_bits, input_bits = (bits or PARTIAL_SUM_BITS for bits in (self.cell.bits, self.input_dac.bits))
        return EventCounts(
            macs=float(batch * m * k * n),
            tile_cycles=float(batch * symbols * down * across),
            input_conversions=float(batch * converted),
            weight_writes=float(batch * self.cells_per_weight * k * n),
            tile_writes=float(batch * down * across),
            output_conversions=float(batch * readings),
            accumulations=float(batch * readings),
            scale_operations=float(batch * m * k),
            sram_read_bits=float(
                batch * (converted * input_bits + k * n * weight_bits + m * n * (down - 1) * PARTIAL_SUM_BITS)
            ),
            sram_write_bits=float(batch * (m * k * input_bits + m * n * down * PARTIAL_SUM_BITS)),
        )


@functools.partial(jax.jit, static_argnames=("cores", "exact"))
def _program(
    tile: AbstractIncoherentTile, w: Float[Array, "*b k n"], columns: DieColumns, cores: int, exact: bool
) -> Programmed:
    """`program` on known physical columns, compiled as one piece: `exact` is known before its numbers are traced."""
    blocks = split_blocks(w, tile.rows, axis=-2)  # (..., t, r, n)
    scales = block_scales(blocks, axis=-2)  # (..., t, 1, n)
    written = tile.write_cells(encode(blocks, scales, tile.cell.bits), cores, exact)
    codes = full_scale_code(tile.cell.bits)
    return set_readout(
        _rows_of_diodes(tile, written),
        scales[..., 0, :] * written.correction,
        tile.adc.full_scale(tile.rows, jax.lax.stop_gradient(written.signal) / codes),
        float(full_scale_code(tile.input_dac.bits) * codes),
        tile.adc,
        tile.die,
        columns,
        variance=tile.background_variance,
        shot_variance=tile.shot_variance,
    )


def _rows_of_diodes(tile: AbstractIncoherentTile, written: WrittenCells) -> Float[Array, "*b t s n"]:
    """Levels to store: plus less minus; under shot noise plus and −minus, below each other."""
    if not tile.receiver.shot_noise:
        return written.signal
    signal, light = written.signal, written.light
    return jnp.concatenate([(signal + light) / 2, (signal - light) / 2], axis=-2)
