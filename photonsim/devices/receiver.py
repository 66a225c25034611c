"""Photodiodes and the transimpedance amplifier: light back into a voltage, with the noise that this costs."""

import equinox as eqx

from photonsim.errors import check_number
from photonsim.units import ELEMENTARY_CHARGE_C


class Receiver(eqx.Module):
    """A balanced pair of photodiodes into one amplifier: `i = R (P₊ - P₋)`.

    Noise currents in the bandwidth `B`: shot `2 q R (P₊ + P₋) B`, dark `2 q · 2 I_d B` (both diodes), amplifier
    `i_n² B`. Left out: excess noise of the laser, bandwidth roll-off, saturation.

    - `responsivity_a_per_w`: photocurrent per optical power, A/W (1.25 at 1550 nm for one electron per photon).
    - `dark_current_a`: per photodiode, A.
    - `tia_noise_a_per_sqrt_hz`: input-referred noise density of the amplifier, A/√Hz.
    - `shot_noise`: whether shot noise is added; off where a measured noise figure of the chip already holds it.
    - `energy_j`: amplifier energy for one sample, J.
    """

    responsivity_a_per_w: float
    energy_j: float
    dark_current_a: float = 0.0
    tia_noise_a_per_sqrt_hz: float = 0.0
    shot_noise: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        check_number("receiver.responsivity_a_per_w", self.responsivity_a_per_w, above=0.0)
        check_number("receiver.energy_j", self.energy_j, at_least=0.0)
        check_number("receiver.dark_current_a", self.dark_current_a, at_least=0.0)
        check_number("receiver.tia_noise_a_per_sqrt_hz", self.tia_noise_a_per_sqrt_hz, at_least=0.0)

    def background_variance_a2(self, bandwidth_hz):
        """Variance of the current with no light on the diodes, A²: dark shot noise and the amplifier's own."""
        dark = 2 * ELEMENTARY_CHARGE_C * (2 * self.dark_current_a) * bandwidth_hz
        return dark + self.tia_noise_a_per_sqrt_hz**2 * bandwidth_hz

    def shot_variance_a2(self, power_w, bandwidth_hz):
        """Variance of the current under a total optical power on the two diodes, A²: `2 q R P B`."""
        return 2 * ELEMENTARY_CHARGE_C * self.responsivity_a_per_w * power_w * bandwidth_hz
