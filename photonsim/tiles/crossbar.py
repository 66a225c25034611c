"""An incoherent, weight-stationary crossbar: the array inside Lightmatter's Envise, Lightelligence's PACE, and, with
reflective metasurface cells, Neurophos' optical processor.

          w₁₁   w₁₂   w₁₃
    x₁ ───●─────●─────●───    each input's light is modulated once and fanned out to every column;
          │     │     │       each cell passes the part that its weight says;
    x₂ ───●─────●─────●───    each column's photocurrents add up by Kirchhoff's law
          ▼     ▼     ▼
         TIA   TIA   TIA      one amplifier and one converter per column and symbol
         ADC   ADC   ADC

Intensities are positive. Signs travel on differential rails: a value is light on a plus or a minus rail, the two rails'
photocurrents are subtracted, and the shot noise is that of all the light on both.
"""

import equinox as eqx
import jax
from jaxtyping import Array, Float

from photonsim.converters import Adc, Dac, bits_in_words, full_scale_code
from photonsim.devices import Laser, Modulator, Receiver, WeightCell
from photonsim.errors import check_choice, check_count, check_number
from photonsim.events import PARTIAL_SUM_BITS, EventCounts
from photonsim.tiles.base import AbstractTile, Disturbance
from photonsim.tiles.die import Die, DieColumns
from photonsim.tiles.engine import multiply
from photonsim.tiles.partial_sums import Programmed, Readout, block_scales, encode, split_blocks
from photonsim.tiles.readout import intensity_disturbance, is_on, reading_disturbances, set_readout, shared_disturbances
from photonsim.units import ELEMENTARY_CHARGE_C, ratio_from_db


class Crossbar(AbstractTile):
    """A weight-stationary crossbar of `rows` inputs and `columns` outputs.

    The laser's power is divided over the rows and fanned out over the columns, so that at full scale (input and weight
    both 1) one multiply-accumulate detects

        P_mac = P · 10^(-loss/10) / (rows · columns)            n_ph = P_mac / (h ν · clock)  photons.

    Inputs and weights are block floating point: one scale per input vector and tile, one per tile column (ABFP).

    - `encoding`: how signs travel; `"differential"` rails.
    - `insertion_loss_db`: all between laser and photodiode but the 1/(rows · columns) of the fan-out, dB.
    """

    rows: int = eqx.field(static=True)
    columns: int = eqx.field(static=True)
    clock_hz: float
    insertion_loss_db: float
    laser: Laser
    input_dac: Dac
    modulator: Modulator
    cell: WeightCell
    receiver: Receiver
    adc: Adc
    die: Die = Die()
    encoding: str = eqx.field(static=True, default="differential")

    def __check_init__(self):
        check_count("tile.rows", self.rows)
        check_count("tile.columns", self.columns)
        check_number("tile.clock_hz", self.clock_hz, above=0.0)
        check_number("tile.insertion_loss_db", self.insertion_loss_db, at_least=0.0)
        check_choice("tile.encoding", self.encoding, ("differential",))

    # Light and noise

    @property
    def power_per_mac_w(self):
        """Detected optical power of one multiply-accumulate at full scale, W."""
        return self.laser.power_w / ratio_from_db(self.insertion_loss_db) / (self.rows * self.columns)

    @property
    def photons_per_mac(self):
        """Photons reaching the photodiode in one symbol for one multiply-accumulate at full scale."""
        return self.power_per_mac_w / (self.laser.photon_energy_j * self.clock_hz)

    @property
    def current_per_mac_a(self):
        """Photocurrent of one multiply-accumulate at full scale, A."""
        return self.receiver.responsivity_a_per_w * self.power_per_mac_w

    @property
    def electrons_per_mac(self):
        """Photoelectrons of one multiply-accumulate at full scale in one symbol."""
        return self.current_per_mac_a / (ELEMENTARY_CHARGE_C * self.clock_hz)

    def with_photons_per_mac(self, photons: float) -> "Crossbar":
        """The same tile with the laser turned to give `photons` per multiply-accumulate at full scale."""
        check_number("photons_per_mac", photons, above=0.0)
        power_w = self.laser.power_w * photons / self.photons_per_mac
        return eqx.tree_at(lambda tile: tile.laser.power_w, self, power_w)

    @property
    def background_variance(self):
        """Variance of dark current and amplifier noise, in units of one full-scale product squared."""
        bandwidth_hz = self.clock_hz / 2  # Nyquist: one sample per symbol
        return self.receiver.background_variance_a2(bandwidth_hz) / self.current_per_mac_a**2

    @property
    def _has_background(self) -> bool:
        return is_on(self.receiver.tia_noise_a_per_sqrt_hz) or is_on(self.receiver.dark_current_a)

    @property
    def readout(self) -> Readout:
        """What of the reading is fixed when a product is compiled."""
        return Readout(
            input_bits=self.input_dac.bits,
            adc_bits=self.adc.bits,
            columns=self.columns,
            noise=self._has_background or is_on(self.adc.noise_rms),
            shot_noise=self.receiver.shot_noise,
            common_mode=is_on(self.die.common_mode_rms),
            intensity_noise=not self.laser.is_noiseless,
        )

    @property
    def macs_per_cycle(self) -> int:
        """See `AbstractTile.macs_per_cycle`."""
        return self.rows * self.columns

    @property
    def terms_per_readout(self) -> int:
        """See `AbstractTile.terms_per_readout`."""
        return self.rows

    @property
    def converter_bits(self) -> tuple[int | None, int | None, int | None]:
        """See `AbstractTile.converter_bits`."""
        return self.input_dac.bits, self.cell.bits, self.adc.bits

    def disturbances(self) -> tuple[Disturbance, ...]:
        """See `AbstractTile.disturbances`."""
        inputs, *reading = reading_disturbances(self.input_dac, self.receiver, self.adc, self.die, self.photons_per_mac)
        levels = Disturbance("weight levels", bits_in_words(self.cell.bits), {"cell.bits": "none"})
        return (inputs, levels, *reading, intensity_disturbance(self.laser))

    # Numbers

    def program(self, w: Float[Array, "*b k n"], cores: int = 1) -> Programmed:
        """Quantise (k, n) weights block by block and column by column, and set the readout of each.

        Block (t, j) of the matrix sits in core `(t J + j) mod cores`, so its columns are those of one physical die.
        """
        blocks = -(-w.shape[-2] // self.rows)
        return self._program(w, self.die.landing(cores, self.columns, blocks, w.shape[-1]))

    @jax.jit
    def _program(self, w: Float[Array, "*b k n"], columns: DieColumns) -> Programmed:
        """`program` on known physical columns, compiled as one piece."""
        blocks = split_blocks(w, self.rows, axis=-2)  # (..., t, r, n)
        scales = block_scales(blocks, axis=-2)  # (..., t, 1, n)
        levels = encode(blocks, scales, self.cell.bits)
        scales = scales[..., 0, :]

        per_product = float(full_scale_code(self.input_dac.bits) * full_scale_code(self.cell.bits))
        full_scale = self.adc.full_scale(self.rows, jax.lax.stop_gradient(levels) / full_scale_code(self.cell.bits))
        return set_readout(
            levels,
            scales,
            full_scale,
            per_product,
            self.adc,
            self.die,
            columns,
            variance=self.background_variance,
            shot_variance=1.0 / self.electrons_per_mac,
        )

    def compact(self, programmed: Programmed) -> Programmed:
        """See `AbstractTile.compact`."""
        return programmed.compact(self.cell.bits)

    def matmul(self, x, programmed, key_data, engine="auto", row_offset=0):
        """See `AbstractTile.matmul`; `engine` is `"jax"` (the definition), `"numba"` (its fast twin) or `"auto"`."""
        shared = shared_disturbances(self.laser, self.adc, self.die, self.clock_hz / 2)
        return multiply(x, programmed, self.readout, shared, key_data, row_offset, engine)

    # The bill

    def events(self, batch: int, m: int, k: int, n: int) -> EventCounts:
        """Counts of `batch` products (m, k) × (k, n): every tile is written once and streams all m rows.

        Rows and columns of a tile that the matrix does not fill are dark and unread, but the tile's time is spent.
        """
        down, across = -(-k // self.rows), -(-n // self.columns)
        weight_bits, input_bits = (bits or PARTIAL_SUM_BITS for bits in (self.cell.bits, self.input_dac.bits))
        return EventCounts(
            macs=float(batch * m * k * n),
            tile_cycles=float(batch * m * down * across),
            input_conversions=float(batch * m * k * across),
            weight_writes=float(batch * k * n),
            tile_writes=float(batch * down * across),
            output_conversions=float(batch * m * n * down),
            accumulations=float(batch * m * n * down),
            scale_operations=float(batch * m * k),
            sram_read_bits=float(
                batch * (m * k * across * input_bits + k * n * weight_bits + m * n * (down - 1) * PARTIAL_SUM_BITS)
            ),
            sram_write_bits=float(batch * (m * k * input_bits + m * n * down * PARTIAL_SUM_BITS)),
        )
