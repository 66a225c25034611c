"""The electro-absorption modulator: a short waveguide that turns opaque under voltage."""

from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.devices.modulator import AbstractModulator, brightest_and_darkest, switching_energy_j
from photonsim.errors import check_fraction, check_number
from photonsim.units import db_from_ratio, ratio_from_db


class ElectroAbsorptionModulator(AbstractModulator):
    """Absorption that grows as a power of the voltage: `T(V) = T_max 10^(-(ER/10) (V/V_s)^n)`, V from 0 to `V_s`.

    The absorbed light becomes a photocurrent that flows across the bias and heats the device: `photocurrent_power_w`.
    Left out: chirp, wavelength and temperature dependence (the band edge moves by some 0.8 nm/K).

    - `swing_v`: V_s, V.
    - `capacitance_f`: of the junction, F.
    - `insertion_loss_db`, `extinction_ratio_db`: at V = 0, and between 0 and V_s.
    - `exponent`: n; 1 for a straight line in dB, 2 for the quantum-confined Stark effect at small fields.
    - `activity`: see `switching_energy_j`.
    - `static_power_w`: bias, W.
    """

    swing_v: float
    capacitance_f: float
    insertion_loss_db: float
    extinction_ratio_db: float
    exponent: float = 1.0
    activity: float = 0.5
    static_power_w: float = 0.0

    def __check_init__(self):
        check_number("modulator.swing_v", self.swing_v, above=0.0)
        check_number("modulator.capacitance_f", self.capacitance_f, at_least=0.0)
        check_number("modulator.insertion_loss_db", self.insertion_loss_db, at_least=0.0)
        check_number("modulator.extinction_ratio_db", self.extinction_ratio_db, above=0.0)
        check_number("modulator.exponent", self.exponent, above=0.0)
        check_fraction("modulator.activity", self.activity)
        check_number("modulator.static_power_w", self.static_power_w, at_least=0.0)

    @property
    def energy_j(self) -> float:
        """Drive energy of one symbol, `½ α C V_s²`, J, the photocurrent not counted."""
        return switching_energy_j(self.capacitance_f, self.swing_v, self.activity)

    @property
    def brightest(self) -> Array:
        """See `AbstractModulator`."""
        return brightest_and_darkest(self.insertion_loss_db, self.extinction_ratio_db)[0]

    @property
    def darkest(self) -> Array:
        """See `AbstractModulator`."""
        return brightest_and_darkest(self.insertion_loss_db, self.extinction_ratio_db)[1]

    def voltage_v(self, u: Float[Array, "..."]) -> Float[Array, "..."]:
        """The voltage at which the absorption leaves the value u."""
        absorbed_db = db_from_ratio(self.brightest / self.transmission(u))
        return self.swing_v * jnp.clip(absorbed_db / self.extinction_ratio_db, 0.0, 1.0) ** (1.0 / self.exponent)

    def transfer(self, voltage_v: Float[Array, "..."]) -> Float[Array, "..."]:
        """The exponential of the class's header."""
        return self.brightest / ratio_from_db(self.extinction_ratio_db * (voltage_v / self.swing_v) ** self.exponent)

    def photocurrent_power_w(self, u, power_w, responsivity_a_per_w):
        """Electrical power of the photocurrent at the value u, `R · P · (T_max - T(u)) · V(u)`, W."""
        absorbed_w = power_w * (self.brightest - self.transmission(u))
        return responsivity_a_per_w * absorbed_w * self.voltage_v(u)
