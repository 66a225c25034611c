"""Photodiodes and the transimpedance amplifier: light back into a voltage, with the noise that this costs.

Four noises meet at the photodiode, and which of them is the largest depends on the light alone. In a bandwidth B:

    amplifier   i_n² B            whatever the light; `i_n² = 4 k_B T / R_f` if the feedback resistor is all of it
    dark        2 q · 2 I_d B     whatever the light; both diodes leak
    shot        2 q R (P₊ + P₋) B    all the light on both rails
    intensity   RIN (R ΔP)² B     the laser's tremor, which multiplies the signal

So with rising power the SNR `(R ΔP)² / Σ` grows as P² while the amplifier decides, as P while shot noise decides, and
stops at the laser's ceiling `1 / (RIN B)`. At 4 to 8 bits and gigahertz rates most receivers sit in the first part.

A sampled receiver needs at least the Nyquist bandwidth, `B = rate / 2`. Then the shot-limited SNR *is* the number of
photoelectrons in a sample: 8 bits, 49.9 dB, take 9.8e4 of them.
"""

import math

import equinox as eqx
from jax import numpy as jnp
from jaxtyping import Array

from photonsim.errors import PhotonsimError, check_number
from photonsim.units import (
    BOLTZMANN_J_PER_K,
    ELEMENTARY_CHARGE_C,
    db_from_ratio,
    enob_from_sndr_db,
    photon_energy_j,
    ratio_from_db,
    sndr_db_from_enob,
)

ROOM_TEMPERATURE_K = 300.0


class NoiseBudget(eqx.Module):
    """What a receiver reads under one steady light: the signal current and the variance of each noise."""

    signal_a: Array | float
    amplifier_variance_a2: Array | float
    dark_variance_a2: Array | float
    shot_variance_a2: Array | float
    intensity_variance_a2: Array | float

    @property
    def variance_a2(self):
        """Variance of the current, A²: the independent noises add."""
        return self.amplifier_variance_a2 + self.dark_variance_a2 + self.shot_variance_a2 + self.intensity_variance_a2

    @property
    def snr(self):
        """Signal-to-noise power ratio, `signal² / variance`."""
        return self.signal_a**2 / self.variance_a2

    @property
    def snr_db(self):
        """The same in dB."""
        return db_from_ratio(self.snr)

    @property
    def enob(self):
        """Effective bits whose quantisation alone would leave this SNR: `(SNR_dB - 1.76) / 6.02`."""
        return enob_from_sndr_db(self.snr_db)


class Receiver(eqx.Module):
    """A balanced pair of photodiodes into one amplifier: `i = R (P₊ - P₋)`.

    Noises: see the module's header. Left out: bandwidth roll-off, saturation, 1/f noise.

    - `responsivity_a_per_w`: photocurrent per optical power, A/W (1.25 at 1550 nm for one electron per photon).
    - `dark_current_a`: per photodiode, A.
    - `tia_noise_a_per_sqrt_hz`: input-referred noise density of the amplifier, A/√Hz.
    - `shot_noise`: whether shot noise is added; off where a measured noise figure of the chip already holds it.
    - `energy_j`: amplifier energy for one sample, J.
    - `static_power_w`: bias of the diodes and of an amplifier that never sleeps, W.
    """

    responsivity_a_per_w: float
    energy_j: float
    dark_current_a: float = 0.0
    tia_noise_a_per_sqrt_hz: float = 0.0
    shot_noise: bool = eqx.field(static=True, default=True)
    static_power_w: float = 0.0

    def __check_init__(self):
        check_number("receiver.responsivity_a_per_w", self.responsivity_a_per_w, above=0.0)
        check_number("receiver.energy_j", self.energy_j, at_least=0.0)
        check_number("receiver.dark_current_a", self.dark_current_a, at_least=0.0)
        check_number("receiver.tia_noise_a_per_sqrt_hz", self.tia_noise_a_per_sqrt_hz, at_least=0.0)
        check_number("receiver.static_power_w", self.static_power_w, at_least=0.0)

    def dark_variance_a2(self, bandwidth_hz):
        """Shot noise of the two diodes' dark current, A²: `2 q · 2 I_d B`."""
        return 2 * ELEMENTARY_CHARGE_C * (2 * self.dark_current_a) * bandwidth_hz

    def amplifier_variance_a2(self, bandwidth_hz):
        """Noise of the amplifier, referred to its input, A²: `i_n² B`."""
        return self.tia_noise_a_per_sqrt_hz**2 * bandwidth_hz

    def background_variance_a2(self, bandwidth_hz):
        """Variance of the current with no light on the diodes, A²: dark shot noise and the amplifier's own."""
        return self.dark_variance_a2(bandwidth_hz) + self.amplifier_variance_a2(bandwidth_hz)

    def shot_variance_a2(self, power_w, bandwidth_hz):
        """Variance of the current under a total optical power on the two diodes, A²: `2 q R P B`."""
        return 2 * ELEMENTARY_CHARGE_C * self.responsivity_a_per_w * power_w * bandwidth_hz

    def noise_budget(
        self,
        power_w,
        bandwidth_hz,
        rin_per_hz: Array | float = 0.0,
        minus_power_w: Array | float = 0.0,
        mismatch: Array | float = 0.0,
    ) -> NoiseBudget:
        """Signal and noises under steady light.

        Balanced detection subtracts what the rails have in common, the laser's tremor included: RIN multiplies the
        difference current alone, as far as the diodes match.

        - `power_w`, `minus_power_w`: light on the plus and on the minus diode, W.
        - `bandwidth_hz`: of the noise; half the sampling rate for a receiver that just keeps up.
        - `rin_per_hz`: the laser's, 1/Hz (`laser.rin_per_hz`).
        - `mismatch`: responsivities `R (1 ± mismatch/2)` of the two diodes: the common mode that they let through.
        """
        unbalance = mismatch / 2
        plus_a = self.responsivity_a_per_w * (1 + unbalance) * power_w
        minus_a = self.responsivity_a_per_w * (1 - unbalance) * minus_power_w
        shot = 2 * ELEMENTARY_CHARGE_C * (plus_a + minus_a) * bandwidth_hz if self.shot_noise else 0.0
        return NoiseBudget(
            signal_a=plus_a - minus_a,
            amplifier_variance_a2=self.amplifier_variance_a2(bandwidth_hz),
            dark_variance_a2=self.dark_variance_a2(bandwidth_hz),
            shot_variance_a2=shot,
            intensity_variance_a2=rin_per_hz * (plus_a - minus_a) ** 2 * bandwidth_hz,
        )

    def power_for_enob_w(self, enob, bandwidth_hz, rin_per_hz: Array | float = 0.0):
        """Detected power on one diode at which the budget reaches `enob` bits, W: the inverse of `noise_budget`.

        With `S` the SNR wanted, the current solves `(1 - S·RIN·B) i² - 2 q B S i - S σ² = 0`. Refuses what lies above
        the laser's ceiling, where no power is enough.
        """
        snr = ratio_from_db(sndr_db_from_enob(enob))
        share = 1.0 - snr * rin_per_hz * bandwidth_hz  # of the noise that the laser's own leaves to the others
        if isinstance(enob, int | float) and _known_not_positive(share):
            raise PhotonsimError(
                f"{enob:g} bits in {bandwidth_hz:g} Hz are above the laser's intensity noise: no optical power reaches "
                "them. Take a laser of lower rin_db_per_hz, or a lower clock."
            )
        linear = 2 * ELEMENTARY_CHARGE_C * bandwidth_hz * snr if self.shot_noise else 0.0
        constant = snr * self.background_variance_a2(bandwidth_hz)
        current_a = (linear + jnp.sqrt(linear**2 + 4 * share * constant)) / (2 * share)
        return current_a / self.responsivity_a_per_w

    def level_power_w(self, noise_a_rms, snr=7.0):
        """Step of power between two levels that are told apart without error, W: `2 SNR I_n / R`.

        An amplitude ratio of 7 is a bit error rate of 1e-12 (Mukherjee, Lis and Shekhar, "Shining light on silicon
        photonic DNN accelerators", Eq. 3): 2 µA and 1 A/W need 28 µW.
        """
        return 2 * snr * noise_a_rms / self.responsivity_a_per_w


def _known_not_positive(value) -> bool:
    """Whether a number that is known already is zero or less; what is being traced passes."""
    try:
        return float(value) <= 0
    except TypeError:  # JAX refuses to make a float of a traced value
        return False


def ideal_responsivity_a_per_w(wavelength_m):
    """Responsivity of one electron per photon, `q λ / (h c)`: 1.25 A/W at 1550 nm, 1.06 at 1310 nm."""
    return ELEMENTARY_CHARGE_C / photon_energy_j(wavelength_m)


def johnson_noise_a_per_sqrt_hz(resistance_ohm: float, temperature_k: float = ROOM_TEMPERATURE_K) -> float:
    """Thermal noise current of a resistor, `√(4 k_B T / R)`: 18.2 pA/√Hz for 50 Ω at 300 K."""
    return math.sqrt(4 * BOLTZMANN_J_PER_K * temperature_k / resistance_ohm)
