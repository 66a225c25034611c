"""The directional coupler: two waveguides so close that light changes over, and how much of it does at a wavelength.

    a₀ ───╲ ╱─── b₀        [b₀]   [ cos ϑ   i sin ϑ ] [a₀]
           ═                [b₁] = [i sin ϑ   cos ϑ  ] [a₁]        κ = sin² ϑ of the power crosses
    a₁ ───╱ ╲─── b₁

A splitter is a coupler of ϑ = π/4: half crosses. The length of guide after which all of the light has crossed depends
on the wavelength, so a splitter made for one channel of a WDM comb is slightly unequal for the others.
"""

import math

import equinox as eqx
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Complex

from photonsim.errors import check_count, check_number

SPLITTER_ANGLE_RAD = math.pi / 4


class DirectionalCoupler(eqx.Module):
    """A lossless 2 × 2 coupler with the scattering matrix of the module's header, at its reference wavelength.

    - `angle_rad`: coupling angle ϑ; π/4 divides equally.
    - `insertion_loss_db`: loss of one pass, dB (0.33: Lightening-Transformer's device table, HPCA 2024).
    """

    angle_rad: float = SPLITTER_ANGLE_RAD
    insertion_loss_db: float = 0.0

    def __check_init__(self):
        check_number("coupler.angle_rad", self.angle_rad)
        check_number("coupler.insertion_loss_db", self.insertion_loss_db, at_least=0.0)

    @property
    def cross_coupling(self):
        """Share of the power that changes waveguide, `κ = sin² ϑ`."""
        return jnp.sin(self.angle_rad) ** 2

    def matrix(self) -> Complex[Array, "2 2"]:
        """Scattering matrix of the amplitudes, loss left out."""
        return coupler_matrix(jnp.asarray(self.angle_rad))


def coupler_matrix(angle_rad):
    """Scattering matrices (..., 2, 2) of couplers of angles (...), NumPy or JAX as the angles are."""
    xp = angle_rad.__array_namespace__()
    through, cross = as_complex(xp.cos(angle_rad)), 1j * as_complex(xp.sin(angle_rad))
    return xp.stack([xp.stack([through, cross], -1), xp.stack([cross, through], -1)], -2)


def as_complex(real):
    """A real array as a complex one of the same precision."""
    xp = real.__array_namespace__()
    return real.astype(xp.complex128 if real.dtype.itemsize == 8 else xp.complex64)


def phasor(phase_rad):
    """`e^{iφ}` of real phases."""
    xp = phase_rad.__array_namespace__()
    return xp.exp(1j * as_complex(phase_rad))


def splitter_dispersion(offset_m):
    """`κ(λ) = sin²(π/4 · L(1.55) / L(λ))` of a splitter made for 1550 nm, at wavelengths `offset_m` from there.

    L is the length of full transfer, `L(λ) = (3.53 − 5.44 d) exp(0.1 / (0.15 + 0.185 d))` with d the offset in µm: the
    fit of Lightening-Transformer (Zhu et al., HPCA 2024; software model, `ops/simulator.py`). NumPy or JAX arrays.
    """
    xp = offset_m.__array_namespace__()
    offset_um = offset_m * 1e6
    length = (3.53 - 5.44 * offset_um) * xp.exp(0.1 / (0.15 + 0.185 * offset_um))
    return xp.sin(SPLITTER_ANGLE_RAD * 3.53 * math.exp(0.1 / 0.15) / length) ** 2


def wdm_offsets_m(channels: int, spacing_m):
    """Distances of a comb's channels from 1550 nm, lowest first; of an even number, 1550 nm itself is left free.

    The numbering of Lightening-Transformer, whose 12 channels at 0.4 nm reach from 1547.6 to 1552.4 nm.
    """
    check_count("channels", channels)
    check_number("spacing_m", spacing_m, at_least=0.0)
    index = np.arange(channels) - channels // 2
    if channels % 2 == 0:
        index += index >= 0
    return index.astype(float) * spacing_m
