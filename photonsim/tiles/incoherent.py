"""What tiles of programmed cells under incoherent light share: how bright a product is, and what a reading of it sees.

Of a cell's light one part falls on the plus diode of its column and one on the minus diode, and their difference is the
product: a ring drops some of its wavelength and lets the rest through; a pair of phase-change cells passes some on
either side. Signs of weights are thus in the cells. Those of inputs, which are intensities, take one of two encodings:

    differential   a rail for positive inputs and one for negative, each with cells of its own, the second with its
                   diodes exchanged; the cells of both are taken to be alike
    two-pass       the positive inputs in one symbol, the negative in the next, through the same cells; two readings,
                   subtracted by the digital side

Shot noise counts the light on both diodes, `a = Σ |q| (plus + minus)`, and a cell has light on both even where its
weight is zero. `partial_sums.py` counts `Σ |q| |levels|`; so where shot noise is on, a column is written as two groups
of rows, `plus` and `−minus`, that see the same inputs. Their sum is the product and their magnitudes are all the light:
no approximation, and every engine runs it.
"""

import abc
import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.converters import Adc, Dac, bits_in_words, full_scale_code
from photonsim.devices import AbstractModulator, Laser, Receiver, WeightCell
from photonsim.errors import PhotonsimError, check_count, check_number
from photonsim.events import PARTIAL_SUM_BITS, EventCounts
from photonsim.tiles.base import AbstractTile, Converters, Devices, Disturbance, Reload
from photonsim.tiles.die import Die, DieColumns
from photonsim.tiles.encodings import AbstractEncoding, Differential, TwoPass
from photonsim.tiles.partial_sums import Programmed, Readout, block_scales, encode, split_blocks
from photonsim.tiles.readout import (
    check_light,
    in_products,
    intensity_disturbance,
    is_on,
    reading_disturbances,
    set_readout,
    shared_disturbances,
)
from photonsim.units import ELEMENTARY_CHARGE_C, ratio_from_db


class Known(NamedTuple):
    """What is known before a tile's numbers are traced: its cores, whether cells are exact, whether light leaks."""

    cores: int
    exact: bool
    leaks: bool


class WrittenCells(NamedTuple):
    """What cells make of the codes that they were given.

    `signal`: the light of the plus diode less that of the minus, as a code; real where cells are not exact. `light`: of
    both together, in the same unit. `correction`: by which the digital side multiplies each column's reading.
    """

    signal: Float[Array, "*b t r n"]
    light: Float[Array, "*b t r n"]
    correction: Float[Array, "*b t n"] | float = 1.0


class AbstractIncoherentTile(AbstractTile):
    """A tile of `rows` × `columns` cells between modulators and balanced diodes, weights written once.

    The laser's power is divided over the rows and fanned out over the columns; `full_scale_share` of a cell's light is
    the signal of a product at full scale (input and weight both 1):

        P_mac = P · 10^(-loss/10) / (rows · columns · vectors_at_once) · full_scale_share

    The loss is `insertion_loss_db` and the modulator's own.
    """

    insertion_loss_db: eqx.AbstractVar[float]
    laser: eqx.AbstractVar[Laser]
    input_dac: eqx.AbstractVar[Dac]
    modulator: eqx.AbstractVar[AbstractModulator]
    cell: eqx.AbstractVar[WeightCell]
    receiver: eqx.AbstractVar[Receiver]
    adc: eqx.AbstractVar[Adc]
    die: eqx.AbstractVar[Die]
    encoding: eqx.AbstractVar[AbstractEncoding]

    @property
    @abc.abstractmethod
    def full_scale_share(self) -> float | Array:
        """Difference of the two diodes' light, over their sum, of a weight of 1."""

    @property
    @abc.abstractmethod
    def exact_cells(self) -> bool:
        """Whether cells hold the codes that they are given."""

    @abc.abstractmethod
    def write_cells(self, codes: Float[Array, "*b t r n"], known: Known) -> WrittenCells:
        """The codes of all blocks, as the cells of their cores hold them when light passes; unchanged if exact."""

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
        check_light(self.laser, self.receiver)
        if not isinstance(self.encoding, Differential | TwoPass):
            raise PhotonsimError(
                f"tile.encoding = {type(self.encoding).__name__}: these cells have signs of their own and detect "
                'intensities. Take "differential" or "two-pass".'
            )

    # Light and noise

    @property
    def cells_per_weight(self) -> int:
        """Cells that one weight is written into: those of each rail."""
        return self.encoding.rails

    @property
    def power_per_mac_w(self):
        """Difference of the detected powers of one multiply-accumulate at full scale, W."""
        loss = ratio_from_db(self.insertion_loss_db + self.modulator.insertion_loss_db)
        cells = self.rows * self.columns * self.vectors_at_once
        return self.laser.power_w / loss / cells * self.full_scale_share

    @property
    def photons_per_mac(self):
        """Photons by which the diodes differ in one symbol for one multiply-accumulate at full scale."""
        return self.power_per_mac_w / (self.laser.photon_energy_j * self.clock_hz)

    @property
    def current_per_mac_a(self):
        """Photocurrent of one multiply-accumulate at full scale over what a value of zero leaves, A."""
        return self.receiver.responsivity_a_per_w * self.power_per_mac_w * (1.0 - self.modulator.leakage)

    @property
    def electrons_per_mac(self):
        """Photoelectrons of one multiply-accumulate at full scale in one symbol."""
        return self.current_per_mac_a / (ELEMENTARY_CHARGE_C * self.clock_hz)

    @property
    def background_variance(self):
        """Variance of dark current and amplifier noise, in units of one full-scale product squared."""
        bandwidth_hz = self.clock_hz / 2  # Nyquist: one sample per symbol
        return in_products(self.receiver.background_variance_a2(bandwidth_hz), self.current_per_mac_a)

    def leak_variance(self, light: Float[Array, "*b t r n"]) -> Float[Array, "*b t n"]:
        """Shot noise of what modulators cannot shut off, in the same units; `light` of the cells at an input of 1.

        On each rail `T_min / (T_max − T_min)` of it, whatever the input.
        """
        leaked = self.encoding.rails * self.modulator.leakage / (1.0 - self.modulator.leakage)
        return leaked / self.electrons_per_mac * jnp.sum(light, axis=-2)

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
    def macs_per_cycle(self) -> float:
        """See `AbstractTile.macs_per_cycle`."""
        return self.rows * self.columns * self.vectors_at_once / self.encoding.passes

    @property
    def terms_per_readout(self) -> int:
        """See `AbstractTile.terms_per_readout`."""
        return self.rows

    @property
    def converters(self) -> Converters:
        """See `AbstractTile.converters`."""
        return Converters(self.input_dac, self.adc)

    @property
    def converter_bits(self) -> tuple[int | None, int | None, int | None]:
        """See `AbstractTile.converter_bits`."""
        return self.input_dac.bits, self.cell.bits, self.adc.bits

    @abc.abstractmethod
    def cell_disturbances(self) -> tuple[Disturbance, ...]:
        """What keeps the cells from being exact."""

    @property
    def devices(self) -> Devices:
        """See `AbstractTile.devices`: vectors on wavelengths of their own share the cells and nothing else."""
        columns = self.columns * self.vectors_at_once
        cells = self.rows * self.columns * self.cells_per_weight
        return Devices(self.rows * self.vectors_at_once, cells, receivers=columns, readouts=columns)

    @property
    def reload(self) -> Reload:
        """See `AbstractTile.reload`."""
        return Reload(self.cell.tile_write_time_s, self.cell.double_buffered)

    def disturbances(self) -> tuple[Disturbance, ...]:
        """See `AbstractTile.disturbances`."""
        inputs, *reading = reading_disturbances(self.input_dac, self.receiver, self.adc, self.die, self.photons_per_mac)
        levels = Disturbance("weight levels", bits_in_words(self.cell.bits), {"cell.bits": "none"})
        return (inputs, levels, *self.cell_disturbances(), *reading, intensity_disturbance(self.laser))

    # Numbers

    def program(
        self, w: Float[Array, "*b k n"], cores: int = 1, scales: Float[Array, "*b t 1 n"] | None = None
    ) -> Programmed:
        """Quantise (k, n) weights block by block and column by column, write them, and set the readout of each column.

        Block (t, j) of the matrix sits in core `(t J + j) mod cores`. `scales`: of every block's columns, if they are
        not to be their largest magnitudes.
        """
        blocks = -(-w.shape[-2] // self.rows)
        landing = self.die.landing(cores, self.columns, blocks, w.shape[-1])
        leaks = self.receiver.shot_noise and self.modulator.leaks
        return _program(self, w, scales, landing, Known(cores, self.exact_cells, leaks))

    def compact(self, programmed: Programmed) -> Programmed:
        """See `AbstractTile.compact`: levels that are not whole numbers stay floats."""
        whole = self.exact_cells and not self.receiver.shot_noise
        return programmed.compact(self.cell.bits) if whole else programmed

    def matmul(self, x, programmed, key_data, engine="auto", row_offset=0) -> Any:
        """See `AbstractTile.matmul`; `engine` is `"jax"` (the definition), `"numba"` (its fast twin) or `"auto"`."""
        shared = shared_disturbances(self.laser, self.adc, self.die, self.clock_hz / 2)
        inputs = self._to_both_diodes(x, programmed.levels.shape[-2]) if self.receiver.shot_noise else x
        return self.encoding.multiply(inputs, programmed, self.readout, shared, key_data, row_offset, engine)

    def _to_both_diodes(self, x: Float[Array, "*b m k"], stored_rows: int) -> Float[Array, "*b m kk"]:
        """Inputs block by block in front of the rows of each diode, which are half of those stored."""
        blocks = split_blocks(jnp.asarray(x), stored_rows // 2, axis=-1)  # (..., m, t, r)
        return jnp.concatenate([blocks, blocks], axis=-1).reshape(*x.shape[:-1], -1)

    # The bill

    def events(self, batch: int, m: int, k: int, n: int) -> EventCounts:
        """Counts of `batch` products (m, k) × (k, n): every tile is written once and streams all m rows.

        Rows and columns of a tile that the matrix does not fill are dark and unread, but the tile's time is spent.
        """
        down, across = -(-k // self.rows), -(-n // self.columns)
        symbols = self.encoding.passes * -(-m // self.vectors_at_once)
        readings, converted = self.encoding.passes * m * n * down, self.encoding.passes * m * k * across
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


@functools.partial(jax.jit, static_argnames="known")
def _program(
    tile: AbstractIncoherentTile,
    w: Float[Array, "*b k n"],
    scales: Float[Array, "*b t 1 n"] | None,
    columns: DieColumns,
    known: Known,
) -> Programmed:
    """`program` on known physical columns, compiled as one piece."""
    blocks = split_blocks(w, tile.rows, axis=-2)  # (..., t, r, n)
    scales = block_scales(blocks, axis=-2) if scales is None else scales
    codes = full_scale_code(tile.cell.bits)
    written = tile.write_cells(encode(blocks, scales, tile.cell.bits), known)
    signal, light = (jax.lax.stop_gradient(values) / codes for values in (written.signal, written.light))
    return set_readout(
        _rows_of_diodes(tile, written),
        scales[..., 0, :] * written.correction,
        tile.adc.full_scale(tile.rows, signal),
        float(full_scale_code(tile.input_dac.bits) * codes),
        tile.adc,
        columns,
        variance=tile.background_variance + (tile.leak_variance(light) if known.leaks else 0.0),
        shot_variance=1.0 / tile.electrons_per_mac if tile.receiver.shot_noise else 0.0,
    )


def _rows_of_diodes(tile: AbstractIncoherentTile, written: WrittenCells) -> Float[Array, "*b t s n"]:
    """Levels to store: plus less minus; under shot noise plus and −minus, below each other."""
    if not tile.receiver.shot_noise:
        return written.signal
    signal, light = written.signal, written.light
    return jnp.concatenate([(signal + light) / 2, (signal - light) / 2], axis=-2)
