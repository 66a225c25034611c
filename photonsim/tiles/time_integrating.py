"""The time-integrating receiver: weights arrive as light from elsewhere, and the receiver only modulates and adds up.

    server: w₁(t) w₂(t) w₃(t) on three wavelengths ═══ fibre ═══[ x(t) ]═══╡ demultiplexer ├── Q₁ = Σ_t x(t) w₁(t)
                                                          one modulator                    ├── Q₂
                                                          for all of them                  └── Q₃

Netcast (Sludds et al., Science 378:270, 2022): a client without a weight memory multiplies the stream of a whole layer
with one fast modulator and one slow converter per output. Intensities carry the values, signs travel on differential
rails, and the shot noise is that of all the light: the physics of a crossbar column whose rows follow in time.
"""

import equinox as eqx
import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.converters import Adc, Dac, bits_in_words, full_scale_code
from photonsim.devices.laser import Laser
from photonsim.devices.modulator import Modulator
from photonsim.devices.receiver import Receiver
from photonsim.errors import check_count, check_number
from photonsim.events import PARTIAL_SUM_BITS, EventCounts
from photonsim.tiles.base import AbstractTile, Converters, Devices, Disturbance
from photonsim.tiles.die import Die, DieColumns
from photonsim.tiles.engine import multiply
from photonsim.tiles.live_operands import live_events
from photonsim.tiles.partial_sums import Programmed, Readout, block_scales, encode, split_blocks
from photonsim.tiles.readout import intensity_disturbance, is_on, reading_disturbances, set_readout, shared_disturbances
from photonsim.units import ELEMENTARY_CHARGE_C, ratio_from_db


class TimeIntegrating(AbstractTile):
    """`rows` clients of one stream of `columns` wavelengths, each integrating up to `integration_steps` symbols.

        P_mac = P · 10^(−loss/10) / (rows · columns)        detected by one integrator in one symbol at full scale

    - `insertion_loss_db`: all between the server's laser and the client's photodiode but that division, dB.
    - `weight_dac`, `weight_modulator`: at the server, one conversion and one symbol for every weight and pass.

    Left out: dispersion of the fibre, leakage of the integrator, what single-photon detectors would change.
    """

    rows: int = eqx.field(static=True)
    columns: int = eqx.field(static=True)
    integration_steps: int = eqx.field(static=True)
    clock_hz: float
    insertion_loss_db: float
    laser: Laser
    input_dac: Dac
    weight_dac: Dac
    modulator: Modulator
    weight_modulator: Modulator
    receiver: Receiver
    adc: Adc
    die: Die = Die()

    def __check_init__(self):
        for name in ("rows", "columns", "integration_steps"):
            check_count(f"tile.{name}", getattr(self, name))
        check_number("tile.clock_hz", self.clock_hz, above=0.0)
        check_number("tile.laser.power_w", self.laser.power_w, above=0.0)
        check_number("tile.insertion_loss_db", self.insertion_loss_db, at_least=0.0)

    @property
    def power_per_mac_w(self):
        """Detected optical power of one multiply-accumulate at full scale, W."""
        return self.laser.power_w / ratio_from_db(self.insertion_loss_db) / (self.rows * self.columns)

    @property
    def photons_per_mac(self):
        """Photons on the photodiode in one symbol at full scale."""
        return self.power_per_mac_w / (self.laser.photon_energy_j * self.clock_hz)

    @property
    def current_per_mac_a(self):
        """Photocurrent of one multiply-accumulate at full scale, A."""
        return self.receiver.responsivity_a_per_w * self.power_per_mac_w

    @property
    def background_variance(self):
        """Variance that dark current and amplifier add in one symbol, in units of one full-scale product squared."""
        return self.receiver.background_variance_a2(self.clock_hz / 2) / self.current_per_mac_a**2

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
        """See `AbstractTile.macs_per_cycle`."""
        return self.rows * self.columns

    @property
    def terms_per_readout(self) -> int:
        """See `AbstractTile.terms_per_readout`."""
        return self.integration_steps

    @property
    def converters(self) -> Converters:
        """See `AbstractTile.converters`."""
        return Converters(self.input_dac, self.adc, self.weight_dac)

    @property
    def converter_bits(self) -> tuple[int | None, int | None, int | None]:
        """See `AbstractTile.converter_bits`."""
        return self.input_dac.bits, self.weight_dac.bits, self.adc.bits

    @property
    def devices(self) -> Devices:
        """See `AbstractTile.devices`: a modulator for each client, and one for each wavelength at the server."""
        integrators = self.rows * self.columns
        return Devices(self.rows, 0.0, receivers=integrators, readouts=integrators, weight_modulators=self.columns)

    def disturbances(self) -> tuple[Disturbance, ...]:
        """See `AbstractTile.disturbances`."""
        return (
            Disturbance("weight converter", bits_in_words(self.weight_dac.bits), {"weight_dac.bits": "none"}),
            *reading_disturbances(self.input_dac, self.receiver, self.adc, self.die, self.photons_per_mac),
            intensity_disturbance(self.laser),
        )

    def program(self, w: Float[Array, "*b k n"], cores: int = 1) -> Programmed:
        """Quantise (k, n) weights stretch by stretch and column by column: they are light, so nothing is written."""
        blocks = -(-w.shape[-2] // self.integration_steps)
        return self._program(w, self.die.landing(cores, self.columns, blocks, w.shape[-1]))

    @jax.jit
    def _program(self, w: Float[Array, "*b k n"], columns: DieColumns) -> Programmed:
        """`program` on known physical columns, compiled as one piece."""
        blocks = split_blocks(w, self.integration_steps, axis=-2)  # (..., t, r, n)
        scales = block_scales(blocks, axis=-2)
        levels = encode(blocks, scales, self.weight_dac.bits)
        codes = full_scale_code(self.weight_dac.bits)
        begun = np.arange(blocks.shape[-3]) * self.integration_steps
        symbols = np.minimum(w.shape[-2] - begun, self.integration_steps)  # the last stretch is shorter
        electrons = self.current_per_mac_a / (ELEMENTARY_CHARGE_C * self.clock_hz)
        return set_readout(
            levels,
            scales[..., 0, :],
            self.adc.full_scale(self.integration_steps, jax.lax.stop_gradient(levels) / codes),
            float(full_scale_code(self.input_dac.bits) * codes),
            self.adc,
            columns,
            variance=self.background_variance * jnp.asarray(symbols[:, None], w.dtype),
            shot_variance=1 / electrons,
        )

    def compact(self, programmed: Programmed) -> Programmed:
        """See `AbstractTile.compact`."""
        return programmed.compact(self.weight_dac.bits)

    def matmul(self, x, programmed, key_data, engine="auto", row_offset=0):
        """See `AbstractTile.matmul`: the crossbar's definition and kernel, with time in place of rows."""
        shared = shared_disturbances(self.laser, self.adc, self.die, self.clock_hz / 2 / self.integration_steps)
        return multiply(x, programmed, self.readout, shared, key_data, row_offset, engine)

    def events(self, batch: int, m: int, k: int, n: int) -> EventCounts:
        """See `AbstractTile.events`: the server sends every weight again for each group of `rows` vectors."""
        bits = self.input_dac.bits or PARTIAL_SUM_BITS, self.weight_dac.bits or PARTIAL_SUM_BITS
        return live_events((batch, m, k, n), self.rows, self.columns, 1, self.integration_steps, bits)
