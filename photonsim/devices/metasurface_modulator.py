"""A pixel of an active metasurface: a resonant mirror whose resonance a voltage pulls away from the laser's line.

Input light times reflectivity is output light: a million such pixels, a few micrometres apart, are a matrix. The
resonance is also the pixel's speed limit: light stays in it for `Q / (2π ν)`, and it cannot follow faster. A Q of 1000
leaves 193 GHz at 1550 nm, but needs twice the voltage of a Q of 2000 for the same contrast.
"""

from collections.abc import Mapping

from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.devices.modulator import DARK_EXTINCTION_DB, AbstractModulator, switching_energy_j
from photonsim.errors import check_fraction, check_number
from photonsim.units import LIGHT_SPEED_M_PER_S, db_from_ratio, ratio_from_db


class MetasurfaceModulator(AbstractModulator):
    """Reflection off a Lorentzian resonance: `T(V) = T_mirror (1 - D / (1 + (V / V_½)²))`, V from 0 to `V_s`.

    At V = 0 the laser sits on the resonance and little returns (`D = 1 - 10^(-depth/10)`); at `V_½` the resonance has
    moved by half its width. A finite swing does not leave the resonance altogether, so the insertion loss and the
    extinction ratio *follow* from the mirror, the depth and the swing. Left out: angle and polarisation, crosstalk
    between pixels, the phase that comes with the reflection.

    - `mirror_loss_db`: loss of the mirror far from resonance, dB.
    - `resonance_depth_db`: dip on resonance, dB; infinite at critical coupling.
    - `quality_factor`: Q of the loaded resonance.
    - `tuning_m_per_v`: shift of the resonance's wavelength, m/V.
    - `swing_v`: V_s, V.
    - `capacitance_f`: of a pixel and its wire, F.
    - `wavelength_m`: of the laser, m.
    - `activity`: see `switching_energy_j`.
    - `static_power_w`: W.
    """

    mirror_loss_db: float
    resonance_depth_db: float
    quality_factor: float
    tuning_m_per_v: float
    swing_v: float
    capacitance_f: float
    wavelength_m: float = 1550e-9
    activity: float = 0.5
    static_power_w: float = 0.0

    def __check_init__(self):
        check_number("modulator.mirror_loss_db", self.mirror_loss_db, at_least=0.0)
        for name in ("resonance_depth_db", "quality_factor", "tuning_m_per_v", "swing_v", "wavelength_m"):
            check_number(f"modulator.{name}", getattr(self, name), above=0.0)
        check_number("modulator.capacitance_f", self.capacitance_f, at_least=0.0)
        check_fraction("modulator.activity", self.activity)
        check_number("modulator.static_power_w", self.static_power_w, at_least=0.0)

    @property
    def energy_j(self) -> float:
        """Energy to switch a pixel, `½ α C V_s²`, J."""
        return switching_energy_j(self.capacitance_f, self.swing_v, self.activity)

    @property
    def dark_settings(self) -> Mapping[str, float]:
        """Critical coupling, where nothing returns on resonance."""
        return {"resonance_depth_db": DARK_EXTINCTION_DB}

    @property
    def half_width_v(self):
        """`V_½`: the voltage that moves the resonance by half its width, `λ / (2 Q) / tuning`, V."""
        return self.wavelength_m / (2 * self.quality_factor) / self.tuning_m_per_v

    @property
    def bandwidth_hz(self):
        """Full width of the resonance, `c / (λ Q)`, Hz: light cannot be switched faster."""
        return LIGHT_SPEED_M_PER_S / (self.wavelength_m * self.quality_factor)

    @property
    def brightest(self) -> Array:
        """Reflection at full swing."""
        return self.transfer(jnp.asarray(self.swing_v))

    @property
    def darkest(self) -> Array:
        """Reflection on resonance."""
        return self.transfer(jnp.asarray(0.0))

    @property
    def insertion_loss_db(self):
        """Loss at full swing: the mirror's, and what the tail of the resonance still takes, dB."""
        return -db_from_ratio(self.brightest)

    @property
    def extinction_ratio_db(self):
        """Reflection at full swing over that on resonance, dB."""
        return db_from_ratio(self.brightest / self.darkest)

    def voltage_v(self, u: Float[Array, "..."]) -> Float[Array, "..."]:
        """The Lorentzian turned round: `V = V_½ √(D / (1 - T/T_mirror) - 1)`."""
        missing = 1.0 - self.transmission(u) * ratio_from_db(self.mirror_loss_db)
        return self.half_width_v * jnp.sqrt(jnp.maximum(self._depth / missing - 1.0, 0.0))

    def transfer(self, voltage_v: Float[Array, "..."]) -> Float[Array, "..."]:
        """The Lorentzian of the class's header."""
        dip = self._depth / (1.0 + (voltage_v / self.half_width_v) ** 2)
        return (1.0 - dip) / ratio_from_db(self.mirror_loss_db)

    @property
    def _depth(self):
        """D: the share of the light that the resonance takes at its centre."""
        return 1.0 - 1.0 / ratio_from_db(self.resonance_depth_db)
