"""The time-integrating receiver: weights arrive as light from elsewhere, and the receiver only modulates and adds up.

    server: w₁(t) w₂(t) w₃(t) on three wavelengths ═══ fibre ═══[ x(t) ]═══╡ demultiplexer ├── Q₁ = Σ_t x(t) w₁(t)
                                                          one modulator                    ├── Q₂
                                                          for all of them                  └── Q₃

Netcast (Sludds et al., Science 378:270, 2022): a client without a weight memory multiplies the stream of a whole layer
with one fast modulator and one slow converter per output. Intensities carry the values, signs travel on differential
rails, and the shot noise is that of all the light: the physics of a crossbar column whose rows follow in time.
"""

import functools

import equinox as eqx
import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.converters import Adc, Bend, Dac, bits_in_words, full_scale_code
from photonsim.devices import AbstractModulator, AbstractPassive, Laser, LinkBudget, Modulator, Receiver
from photonsim.errors import check_count, check_number
from photonsim.events import EventCounts
from photonsim.tiles.base import AbstractTile, Converters, Devices, Disturbance, StoredBits
from photonsim.tiles.die import Die, DieColumns
from photonsim.tiles.engine import multiply
from photonsim.tiles.inputs import InputPath, input_disturbances, leak_variance, shape_inputs
from photonsim.tiles.light_path import check_fan_out, light_path
from photonsim.tiles.live_operands import live_events
from photonsim.tiles.partial_sums import Programmed, Readout, block_scales, encode, split_blocks
from photonsim.tiles.readout import (
    intensity_disturbance,
    reading_disturbances,
    readout_of,
    set_readout,
    shared_disturbances,
)
from photonsim.units import ELEMENTARY_CHARGE_C


class TimeIntegrating(AbstractTile):
    """`rows` clients of one stream of `columns` wavelengths, each integrating up to `integration_steps` symbols.

        P_mac = P · 10^(−loss/10) / (rows · columns)        detected by one integrator in one symbol at full scale

    - `insertion_loss_db`: what is lost between the server's laser and the client's photodiode and is in no stage, dB.
    - `stages`: parts of the path by name, in any order; splitter trees among them are part of that division.
    - `modulator`: of a client, which writes all terms of a vector; `predistortion`, `input_dnl_rms`, `input_bend`: how,
      see `InputPath`.
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
    modulator: AbstractModulator
    weight_modulator: Modulator
    receiver: Receiver
    adc: Adc
    die: Die = Die()
    predistortion: str = eqx.field(static=True, default="exact")
    input_dnl_rms: float = 0.0
    input_bend: Bend = Bend()
    stages: dict[str, AbstractPassive] = eqx.field(default_factory=dict)

    def __check_init__(self):
        for name in ("rows", "columns", "integration_steps"):
            check_count(f"tile.{name}", getattr(self, name))
        check_number("tile.clock_hz", self.clock_hz, above=0.0)
        check_number("tile.laser.power_w", self.laser.power_w, above=0.0)
        check_number("tile.insertion_loss_db", self.insertion_loss_db, at_least=0.0)
        self.input_path.check()
        check_fan_out(self.stages, self.rows * self.columns)

    @property
    def input_path(self) -> InputPath:
        """From numbers to light, through one converter and modulator for all terms of a vector."""
        shape = (self.predistortion, self.input_dnl_rms, self.input_bend)
        return InputPath(self.input_dac, self.modulator, *shape, converters=1, seed=self.die.seed)

    @property
    def link(self) -> LinkBudget:
        """The way from the laser to one integrator."""
        return light_path(self.stages, self.modulator, self.insertion_loss_db, self.rows * self.columns)

    @property
    def power_per_mac_w(self):
        """Detected optical power of one multiply-accumulate at full scale, W."""
        return self.link.detected_power_w(self.laser.power_w)

    @property
    def photons_per_mac(self):
        """Photons on the photodiode in one symbol at full scale."""
        return self.power_per_mac_w / (self.laser.photon_energy_j * self.clock_hz)

    @property
    def current_per_mac_a(self):
        """Photocurrent of one multiply-accumulate at full scale over what an input of zero leaves, A."""
        return self.receiver.responsivity_a_per_w * self.power_per_mac_w * (1.0 - self.modulator.leakage)

    @property
    def electrons_per_mac(self):
        """Photoelectrons of one multiply-accumulate at full scale."""
        return self.current_per_mac_a / (ELEMENTARY_CHARGE_C * self.clock_hz)

    @property
    def background_variance(self):
        """Variance that dark current and amplifier add in one symbol, in units of one full-scale product squared."""
        return self.receiver.background_variance_a2(self.clock_hz / 2) / self.current_per_mac_a**2

    @property
    def readout(self) -> Readout:
        """What of the reading is fixed when a product is compiled."""
        return readout_of(self, self.input_path.coded_bits, shot_noise=self.receiver.shot_noise)

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
        inputs, *reading = reading_disturbances(self.input_dac, self.receiver, self.adc, self.die, self.photons_per_mac)
        weights = Disturbance("weight converter", bits_in_words(self.weight_dac.bits), {"weight_dac.bits": "none"})
        return (weights, inputs, *input_disturbances(self.input_path), *reading, intensity_disturbance(self.laser))

    def program(self, w: Float[Array, "*b k n"], cores: int = 1) -> Programmed:
        """Quantise (k, n) weights stretch by stretch and column by column: they are light, so nothing is written."""
        blocks = -(-w.shape[-2] // self.integration_steps)
        known = self.readout.input_bits, self.receiver.shot_noise and self.modulator.leaks
        return self._program(w, self.die.landing(cores, self.columns, blocks, w.shape[-1]), known)

    @functools.partial(jax.jit, static_argnames="known")
    def _program(self, w: Float[Array, "*b k n"], columns: DieColumns, known: tuple[int | None, bool]) -> Programmed:
        """`program` on known physical columns, compiled as one piece."""
        blocks = split_blocks(w, self.integration_steps, axis=-2)  # (..., t, r, n)
        scales = block_scales(blocks, axis=-2)
        levels = encode(blocks, scales, self.weight_dac.bits)
        codes = full_scale_code(self.weight_dac.bits)
        begun = np.arange(blocks.shape[-3]) * self.integration_steps
        symbols = np.minimum(w.shape[-2] - begun, self.integration_steps)  # the last stretch is shorter
        weights = jax.lax.stop_gradient(levels) / codes
        variance = self.background_variance * jnp.asarray(symbols[:, None], w.dtype)
        input_bits, leaks = known
        if leaks:
            variance = variance + leak_variance(self.modulator, 2, self.electrons_per_mac, jnp.abs(weights))
        return set_readout(
            levels,
            scales[..., 0, :],
            self.adc.full_scale(self.integration_steps, weights),
            float(full_scale_code(input_bits) * codes),
            self.adc,
            columns,
            variance=variance,
            shot_variance=1 / self.electrons_per_mac,
        )

    def compact(self, programmed: Programmed) -> Programmed:
        """See `AbstractTile.compact`."""
        return programmed.compact(self.weight_dac.bits)

    def matmul(self, x, programmed, key_data, engine="auto", row_offset=0):
        """See `AbstractTile.matmul`: the crossbar's definition and kernel, with time in place of rows."""
        shared = shared_disturbances(self.laser, self.adc, self.die, self.clock_hz / 2 / self.integration_steps)
        inputs = shape_inputs(self.input_path, x, self.integration_steps) if self.input_path.shapes else x
        return multiply(inputs, programmed, self.readout, shared, key_data, row_offset, engine)

    def events(self, batch: int, m: int, k: int, n: int, stored_bits: StoredBits | None = None) -> EventCounts:
        """See `AbstractTile.events`: the server sends every weight again for each group of `rows` vectors."""
        bits = stored_bits or self.operand_bits
        return live_events((batch, m, k, n), self.rows, self.columns, 1, self.integration_steps, bits)
