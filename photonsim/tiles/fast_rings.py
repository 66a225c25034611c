"""Crosstalk in weight banks by the compiled kernel: `bank_drop` of `devices/microring.py`, up to rounding, on CPU.

Gradients are those of the definition. Where there is no kernel, and for numbers other than float32, it runs itself.
"""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.devices.microring import Microring, bank_drop
from photonsim.tiles import ffi

TARGET = "photonsim_bank"


@jax.custom_vjp
def bank_drop_fast(ring: Microring, spacing_m, detunings_m: Float[Array, "*b r n"]) -> Float[Array, "*b r n"]:
    """`bank_drop`, up to rounding; an infinite detuning, which passes all light there, is NaN here."""
    if detunings_m.dtype != jnp.float32 or jax.default_backend() != "cpu":
        return bank_drop(ring, spacing_m, detunings_m)
    places = jnp.stack([jnp.asarray(spacing_m, jnp.float32), jnp.asarray(ring.fwhm_m, jnp.float32)])
    result = jax.ShapeDtypeStruct(detunings_m.shape, jnp.float32)
    return ffi.call(TARGET, _for_numpy, result, (detunings_m, places), vmap_method="sequential")


def _for_numpy():
    from photonsim_kernels.ring_banks import bank_drop

    return bank_drop


def _forward(*operands):
    return bank_drop_fast(*operands), operands


def _backward(operands, cotangent):
    return jax.vjp(bank_drop, *operands)[1](cotangent)


bank_drop_fast.defvjp(_forward, _backward)
