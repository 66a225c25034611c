"""The dynamic coherent crossbar: Lightening-Transformer's array of DDot units, with both operands live in every symbol.

          w·₁   w·₂   w·₃        every operand is a vector on as many wavelengths: one term of the dot product on each
    x₁· ──○─────○─────○          ○: a splitter, a quarter turn and two photodiodes: all wavelengths at once, added
    x₂· ──○─────○─────○             up by the diodes
    x₃· ──○─────○─────○

Rows and columns are vectors, encoded once and broadcast; so one core of h × w × λ (12 × 12 × 12) multiplies two small
matrices in each symbol period (Zhu et al., HPCA 2024). Attention products and weights cost the same.

Cores share hardware in two ways. The columns' light can be broadcast to several cores, each at rows of its own: one
modulator and one DAC for all of them. And several cores can add their photocurrents, each at terms of its own, before
one amplifier and converter.
"""

import equinox as eqx
from jax import numpy as jnp

from photonsim.converters import Adc, Dac
from photonsim.devices.directional_coupler import splitter_dispersion, wdm_offsets_m
from photonsim.devices.laser import Laser
from photonsim.devices.modulator import Modulator
from photonsim.devices.receiver import Receiver
from photonsim.errors import check_count, check_number
from photonsim.events import EventCounts
from photonsim.tiles.balanced_detection import AbstractBalancedTile, Interference, interference
from photonsim.tiles.base import Devices, Disturbance, StoredBits
from photonsim.tiles.die import Die
from photonsim.tiles.live_operands import live_events
from photonsim.tiles.readout import is_on
from photonsim.units import ratio_from_db


class DynamicCrossbar(AbstractBalancedTile):
    """`rows` × `columns` dot-product units of `wavelengths` terms each, all of them in one symbol period.

    Half the laser's power goes to either operand, is divided over its vectors and wavelengths, and broadcast:

        P_operand = P/2 · 10^(−loss/10) / (rows · columns · wavelengths)

    - `accumulation`: symbols added up in the analog domain before one conversion.
    - `broadcast`: cores that share the modulators of one columns' operand; it divides the chip's cores.
    - `summed_cores`: cores whose photocurrents are added up before one amplifier; it divides the chip's cores.
    - `insertion_loss_db`: all between laser and photodiode but that division, dB.
    - `channel_spacing_m`: of the comb; the splitters, made for 1550 nm, err at the other wavelengths. 0: no dispersion.
    - `magnitude_sigma`, `phase_sigma_rad`: errors of an encoded operand, relative, and of the phase between the two.
    - `output_sigma`: error of a sum, relative to it.

    Left out: crosstalk between wavelengths, temperature.
    """

    rows: int = eqx.field(static=True)
    columns: int = eqx.field(static=True)
    wavelengths: int = eqx.field(static=True)
    clock_hz: float
    insertion_loss_db: float
    laser: Laser
    input_dac: Dac
    weight_dac: Dac
    modulator: Modulator
    receiver: Receiver
    adc: Adc
    accumulation: int = eqx.field(static=True, default=1)
    broadcast: int = eqx.field(static=True, default=1)
    summed_cores: int = eqx.field(static=True, default=1)
    channel_spacing_m: float = 0.0
    magnitude_sigma: float = 0.0
    phase_sigma_rad: float = 0.0
    output_sigma: float = 0.0
    die: Die = Die()

    def __check_init__(self):
        for name in ("rows", "columns", "wavelengths", "accumulation", "broadcast", "summed_cores"):
            check_count(f"tile.{name}", getattr(self, name))
        check_number("tile.clock_hz", self.clock_hz, above=0.0)
        check_number("tile.laser.power_w", self.laser.power_w, above=0.0)
        for name in ("insertion_loss_db", "channel_spacing_m", "magnitude_sigma", "phase_sigma_rad", "output_sigma"):
            check_number(f"tile.{name}", getattr(self, name), at_least=0.0)

    @property
    def macs_per_cycle(self) -> int:
        """Multiply-accumulates of one symbol period."""
        return self.rows * self.columns * self.wavelengths

    @property
    def devices(self) -> Devices:
        """See `AbstractTile.devices`: a modulator for each vector and wavelength, an amplifier for each sum."""
        crossings = self.rows * self.columns
        return Devices(
            modulators=self.rows * self.wavelengths,
            weight_modulators=self.columns / self.broadcast * self.wavelengths,
            cells=crossings,
            receivers=crossings,
            readouts=crossings / self.summed_cores,
        )

    @property
    def terms_per_readout(self) -> int:
        """See `AbstractBalancedTile`."""
        return self.wavelengths * self.accumulation * self.summed_cores

    @property
    def symbols_per_readout(self) -> int:
        """See `AbstractBalancedTile`."""
        return self.accumulation

    @property
    def operand_power_w(self):
        """Power of one operand at full scale at its detector, W."""
        return self.laser.power_w / 2 / ratio_from_db(self.insertion_loss_db) / self.macs_per_cycle

    @property
    def photons_per_mac(self):
        """Photons of both operands at full scale on the diodes, for one multiply-accumulate."""
        return 2 * self.operand_power_w / (self.laser.photon_energy_j * self.clock_hz)

    @property
    def interference(self) -> Interference:
        """Splitters over the comb, and the errors of the operands."""
        imbalance = 2 * splitter_dispersion(wdm_offsets_m(self.wavelengths, self.channel_spacing_m)) - 1
        repeated = jnp.tile(jnp.asarray(imbalance, jnp.float32), self.accumulation * self.summed_cores)
        errors = (self.magnitude_sigma, self.phase_sigma_rad, self.output_sigma)
        return interference(repeated, *errors, equal_splitters=not is_on(self.channel_spacing_m))

    def operand_disturbances(self) -> tuple[Disturbance, ...]:
        """See `AbstractBalancedTile`."""
        return (
            Disturbance("dispersion", f"{self.channel_spacing_m * 1e9:g} nm apart", {"channel_spacing_m": 0.0}),
            Disturbance("operand magnitude", f"{self.magnitude_sigma:g}", {"magnitude_sigma": 0.0}),
            Disturbance("operand phase", f"{self.phase_sigma_rad:.3g} rad", {"phase_sigma_rad": 0.0}),
            Disturbance("output error", f"{self.output_sigma:g} of the sum", {"output_sigma": 0.0}),
        )

    def events(self, batch: int, m: int, k: int, n: int, stored_bits: StoredBits | None = None) -> EventCounts:
        """See `AbstractTile.events`: both operands are converted in every symbol, and no weight is ever written."""
        bits = stored_bits or self.operand_bits
        per_readout = self.terms_per_readout
        return live_events(
            (batch, m, k, n), self.rows, self.columns, self.wavelengths, per_readout, bits, self.broadcast
        )
