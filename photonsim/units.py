"""Decibels, bits and the constants of nature: converted here, at the door, and nowhere else.

Inside the mathematics everything is SI and linear. A name ends in its unit (`power_dbm`, `loss_db`, `energy_j`).
"""

import math

from jax import numpy as jnp
from jaxtyping import ArrayLike

PLANCK_J_S = 6.62607015e-34  # h, exact since the SI of 2019
ELEMENTARY_CHARGE_C = 1.602176634e-19  # q, exact
BOLTZMANN_J_PER_K = 1.380649e-23  # k_B, exact
LIGHT_SPEED_M_PER_S = 299_792_458.0  # c, exact

SINE_CREST_DB = 10 * math.log10(1.5)  # 1.76 dB: full-scale sine power over a quantiser's LSB²/12, beyond 4^b


def ratio_from_db(level_db: ArrayLike):
    """Power ratio of a level: `10^(dB/10)`."""
    return 10.0 ** (jnp.asarray(level_db) / 10.0)


def db_from_ratio(ratio: ArrayLike):
    """Level of a power ratio: `10 log10(ratio)`."""
    return 10.0 * jnp.log10(jnp.asarray(ratio))


def watts_from_dbm(power_dbm: ArrayLike):
    """Watts of a power in dBm (0 dBm is 1 mW)."""
    return 1e-3 * ratio_from_db(power_dbm)


def dbm_from_watts(power_w: ArrayLike):
    """dBm of a power in watts."""
    return db_from_ratio(jnp.asarray(power_w) / 1e-3)


def enob_from_sndr_db(sndr_db: ArrayLike):
    """Effective number of bits: `(SNDR − 1.76 dB) / 6.02 dB` (IEEE Std 1241)."""
    return (jnp.asarray(sndr_db) - SINE_CREST_DB) / (20.0 * math.log10(2.0))


def sndr_db_from_enob(enob: ArrayLike):
    """Signal to noise and distortion, dB, of a converter with `enob` effective bits."""
    return 20.0 * math.log10(2.0) * jnp.asarray(enob) + SINE_CREST_DB


def photon_energy_j(wavelength_m: ArrayLike):
    """Energy of one photon, `h c / λ`: 1.28e-19 J at 1550 nm."""
    return PLANCK_J_S * LIGHT_SPEED_M_PER_S / jnp.asarray(wavelength_m)
