"""The Mach–Zehnder modulator: two arms, a phase between them, and a cosine at the output."""

import math

from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.devices.modulator import AbstractModulator, brightest_and_darkest, switching_energy_j
from photonsim.errors import check_fraction, check_number


class MachZehnderModulator(AbstractModulator):
    """Intensity out of a Mach–Zehnder driven over `V_π`: `T(V) = T_min + (T_max - T_min) (1 + cos(π V / V_π)) / 2`.

             ┌── φ₁(V) ──┐
        in ──┤           ├── out        the value 1 is V = 0, the value 0 is V = V_π
             └── φ₂ ─────┘

    Left out: chirp, bandwidth, the dependence of loss on voltage.

    - `half_wave_voltage_v`: V_π, V.
    - `capacitance_f`: what the driver charges, F. 415 fF for a travelling-wave device, 20 to 40 fF for short ones.
    - `insertion_loss_db`, `extinction_ratio_db`: 1.2 dB and 10 dB in SimPhony's version of Lightening-Transformer's
      table, 3 dB and 15 dB in its "academia" device, 4.5 dB and 6 dB for slow light.
    - `activity`: see `switching_energy_j`.
    - `static_power_w`: bias, W.
    """

    half_wave_voltage_v: float
    capacitance_f: float
    insertion_loss_db: float
    extinction_ratio_db: float
    activity: float = 0.5
    static_power_w: float = 0.0

    def __check_init__(self):
        check_number("modulator.half_wave_voltage_v", self.half_wave_voltage_v, above=0.0)
        check_number("modulator.capacitance_f", self.capacitance_f, at_least=0.0)
        check_number("modulator.insertion_loss_db", self.insertion_loss_db, at_least=0.0)
        check_number("modulator.extinction_ratio_db", self.extinction_ratio_db, above=0.0)
        check_fraction("modulator.activity", self.activity)
        check_number("modulator.static_power_w", self.static_power_w, at_least=0.0)

    @property
    def energy_j(self) -> float:
        """Drive energy of one symbol, `½ α C V_π²`, J."""
        return switching_energy_j(self.capacitance_f, self.half_wave_voltage_v, self.activity)

    @property
    def brightest(self) -> Array:
        """See `AbstractModulator`."""
        return brightest_and_darkest(self.insertion_loss_db, self.extinction_ratio_db)[0]

    @property
    def darkest(self) -> Array:
        """See `AbstractModulator`."""
        return brightest_and_darkest(self.insertion_loss_db, self.extinction_ratio_db)[1]

    def voltage_v(self, u: Float[Array, "..."]) -> Float[Array, "..."]:
        """`V = (V_π / π) arccos(2u - 1)`."""
        return self.half_wave_voltage_v / math.pi * jnp.arccos(2.0 * u - 1.0)

    def transfer(self, voltage_v: Float[Array, "..."]) -> Float[Array, "..."]:
        """The cosine of the class's header."""
        raised_cosine = 0.5 * (1.0 + jnp.cos(math.pi * voltage_v / self.half_wave_voltage_v))
        return self.darkest + (self.brightest - self.darkest) * raised_cosine
