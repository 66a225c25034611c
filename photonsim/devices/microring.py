"""The microring as a weight: a waveguide loop that takes one wavelength out of a bus, as much of it as it is in tune.

    bus ───────╮ ╭─────── through: 1 − H        H(λ) = A / (1 + (2 (λ − λ₀) / FWHM)²)      a Lorentzian
               (○)                              FWHM = λ₀ / Q
    drop ◀─────╯ ╰───────        H              A = 10^(−loss/10)

A ring is tuned by its temperature or its carriers: detuned by δ it drops `H(δ)`. A balanced photodiode across drop and
through reads `H − (1 − H)`, so one ring holds a weight between −1 and +1 for light of its wavelength. Rings in a row on
one bus, each near its own channel, are a weight bank (broadcast and weight: Tait et al., Sci. Rep. 7:7430, 2017).

What limits it. The Lorentzian has wide skirts, so a ring takes a little of every other channel too: the *crosstalk*
`X(i, j)`, which falls as 1/(spacing · Q)² and bounds the bits a bank can hold. And the resonance moves with
temperature, some 0.08 nm per kelvin, against widths of 0.1 nm: an unlocked ring has no weight to speak of.
"""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from photonsim.errors import PhotonsimError, check_number
from photonsim.units import LIGHT_SPEED_M_PER_S

SILICON_DRIFT_M_PER_K = 75e-12  # 70 to 80 pm/K: dn/dT = 1.86e-4 /K over a group index of 4


class Microring(eqx.Module):
    """An add-drop ring with a Lorentzian resonance.

    Left out: splitting of the resonance by backscattering, the self-heating of bright light, the neighbouring
    resonances one free spectral range away (they only bound the number of channels).

    - `resonance_m`: wavelength of the untuned resonance at the reference temperature, m.
    - `quality_factor`: loaded Q, 5e3 to 2e4 for weights.
    - `free_spectral_range_m`: distance of neighbouring resonances, m; 10 to 20 nm.
    - `insertion_loss_db`: of the dropped light on resonance (0.93: Lightening-Transformer's device table, HPCA 2024).
    - `drift_m_per_k`: movement of the resonance with temperature, m/K.
    - `tuning_m_per_w`: movement of the resonance by the heater's power, m/W (about 0.25 nm/mW).
    """

    resonance_m: float
    quality_factor: float
    free_spectral_range_m: float = 10e-9
    insertion_loss_db: float = 0.0
    drift_m_per_k: float = SILICON_DRIFT_M_PER_K
    tuning_m_per_w: float = 0.25e-6

    def __check_init__(self):
        check_number("microring.resonance_m", self.resonance_m, above=0.0)
        check_number("microring.quality_factor", self.quality_factor, above=0.0)
        check_number("microring.free_spectral_range_m", self.free_spectral_range_m, above=0.0)
        check_number("microring.insertion_loss_db", self.insertion_loss_db, at_least=0.0)
        check_number("microring.drift_m_per_k", self.drift_m_per_k, at_least=0.0)
        check_number("microring.tuning_m_per_w", self.tuning_m_per_w, above=0.0)

    @property
    def fwhm_m(self):
        """Full width of the resonance at half its height, `λ₀ / Q`, m."""
        return self.resonance_m / self.quality_factor

    @property
    def finesse(self):
        """Free spectral range in widths: about how many channels a bank could tell apart at all."""
        return self.free_spectral_range_m / self.fwhm_m

    @property
    def photon_lifetime_s(self):
        """Time the light stays in the ring, `Q λ / (2π c)`, s; its bandwidth is `1 / (2π τ)`."""
        return self.quality_factor * self.resonance_m / (2 * math.pi * LIGHT_SPEED_M_PER_S)

    def drop(self, detuning_m: Float[ArrayLike, "..."]) -> Float[Array, "..."]:
        """Share of the power that is dropped at a detuning from resonance: the Lorentzian, times its loss."""
        lorentzian = 1.0 / (1.0 + (2.0 * jnp.asarray(detuning_m) / self.fwhm_m) ** 2)
        return 10.0 ** (-self.insertion_loss_db / 10) * lorentzian

    def through(self, detuning_m: Float[ArrayLike, "..."]) -> Float[Array, "..."]:
        """Share of the power that stays on the bus, `1 − H`: what the ring absorbs is counted as dropped and lost."""
        return 1.0 - self.drop(detuning_m) * 10.0 ** (self.insertion_loss_db / 10)

    def weight(self, detuning_m: Float[ArrayLike, "..."]) -> Float[Array, "..."]:
        """Weight of a balanced photodiode across drop and through, `H − (1 − H)`, in [−1, 1]."""
        return self.drop(detuning_m) - self.through(detuning_m)

    def detuning_for_weight_m(self, weight: Float[ArrayLike, "..."]) -> Float[Array, "..."]:
        """The detuning towards longer wavelengths that gives a weight, m: the inverse of `weight` for a lossless drop.

        `δ = FWHM/2 · √(2 / (w + 1) − 1)`; the weight −1 would need an infinite detuning.
        """
        if self.insertion_loss_db != 0:
            raise PhotonsimError(
                "detuning_for_weight_m is the inverse for a lossless drop: set microring.insertion_loss_db = 0 and put "
                "the loss into the link budget."
            )
        return self.detuning_for_drop_m((jnp.asarray(weight) + 1.0) / 2.0)

    def detuning_for_drop_m(self, share: Float[ArrayLike, "..."]) -> Float[Array, "..."]:
        """The detuning at which a share of the light is dropped, m: `FWHM/2 · √(1 / share − 1)`, its loss aside."""
        return self.fwhm_m / 2 * jnp.sqrt(1.0 / jnp.asarray(share) - 1.0)

    def drift_m(self, temperature_change_k: ArrayLike):
        """Movement of the resonance for a change of temperature, m."""
        return self.drift_m_per_k * jnp.asarray(temperature_change_k)

    def hold_power_w(self, shift_m):
        """Heater power that keeps the resonance `shift_m` from where it was made, W."""
        return shift_m / self.tuning_m_per_w

    def lock_tolerance_m(self, bits: int):
        """Largest movement of the resonance that moves no weight by more than half a step of `2^bits` levels, m.

        The weight moves fastest at a third of the height, `|dw/dδ| = 3√3 / (2 FWHM)`; a step of [−1, 1] is 2 / 2^bits.
        """
        return 0.5 * (2.0 / 2.0**bits) / (3 * math.sqrt(3) / (2 * self.fwhm_m))


def channel_capacity(ring: Microring, spacing_m: float) -> int:
    """Channels of a spacing that fit between two resonances of a ring: `⌊FSR / spacing⌋`."""
    check_number("spacing_m", spacing_m, above=0.0)
    return math.floor(ring.free_spectral_range_m / spacing_m * (1 + 1e-12))


def crosstalk(ring: Microring, channels_m: Float[np.ndarray, "n"]) -> Float[Array, "n n"]:
    """`X(i, j)`: share of channel j that ring i drops when in tune with its own; 1 on the diagonal.

    `X(i, j) = 1 / (1 + (2 (λ_i − λ_j) / FWHM)²)`. Weights w of independent rings act as `X w` (Tait et al., 2017).
    Refuses channels that do not fit within one free spectral range, where rings would take two of them.
    """
    channels = np.asarray(channels_m)
    if np.ptp(channels) >= ring.free_spectral_range_m:
        raise PhotonsimError(
            f"{len(channels)} channels span {np.ptp(channels) * 1e9:.3g} nm, but the rings repeat every "
            f"{ring.free_spectral_range_m * 1e9:.3g} nm: take fewer channels or a smaller spacing."
        )
    normalised = ring.drop(channels[:, None] - channels[None, :])
    return normalised * 10.0 ** (ring.insertion_loss_db / 10)


def crosstalk_limited_bits(matrix: Float[Array, "n n"]) -> Float[Array, ""]:
    """Bits of the worst ring of a bank, `log₂(1 / Σ_{j≠i} X(i, j))`, where crosstalk is not corrected."""
    leak = jnp.sum(matrix, axis=1) - jnp.diagonal(matrix)
    return jnp.log2(1.0 / jnp.max(leak))


def bank_drop(ring: Microring, spacing_m, detunings_m: Float[Array, "*b r n"]) -> Float[Array, "*b r n"]:
    """Share of each of r channels that r rings drop, one after another on a bus; ring i stands near channel i.

    `D_c = 1 − Π_i (1 − H(λ_c − λ_i − δ_i))` for detunings δ, counted towards longer wavelengths. To first order that is
    `Σ_i H`, the matrix of `crosstalk` at work; the product keeps a channel from being dropped more than once. Left out:
    light that a later ring takes back off the drop bus.
    """
    count = detunings_m.shape[-2]

    def pass_ring(left, ring_i):
        number, detuning_m = ring_i
        away_m = (jnp.arange(count) - number).astype(left.dtype)[:, None] * spacing_m - detuning_m[..., None, :]
        return left * ring.through(away_m), None

    rings = (jnp.arange(count), jnp.moveaxis(detunings_m, -2, 0))
    left, _ = jax.lax.scan(pass_ring, jnp.ones_like(detunings_m), rings)
    return 1.0 - left


def detunings_against_crosstalk_m(
    ring: Microring, spacing_m, wanted: Float[Array, "*b r n"], steps: int = 8, dropped: Callable = bank_drop
) -> Float[Array, "*b r n"]:
    """Detunings, up to half the spacing, at which a bank drops the `wanted` share of each channel, as far as it can.

    What the other rings leave of a channel, `P`, the own one must bring to `1 − wanted`: `H = 1 − (1 − wanted) / P`,
    solved step by step, each of which takes the error down by about the crosstalk. A share below what the neighbours
    take already cannot be reached. `dropped`: `bank_drop`, or what computes the same.
    """
    least = ring.drop(spacing_m / 2)
    own = wanted
    for _ in range(steps):
        left = 1.0 - dropped(ring, spacing_m, ring.detuning_for_drop_m(own))
        others = left / (1.0 - own)
        own = jnp.clip(1.0 - (1.0 - wanted) / others, least, None)
    return ring.detuning_for_drop_m(own)
