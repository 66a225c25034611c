"""Sums as their remainders are read from angles: the definition, and the compiled kernel that finds the same bits.

The tile that they belong to is `residue.py`.
"""

import functools
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Num, UInt32

from photonsim.converters import full_scale_code, quantize, straight_through
from photonsim.converters.residues import ResidueNumbers
from photonsim.tiles.angles import fields_of_steps, less_turns, turns_of
from photonsim.tiles.ffi import call
from photonsim.tiles.noise import gaussian_deviates

TARGET = "photonsim_residue"
FAST_K = 7  # the largest k that the kernel's 32 bits count


class ResidueProgrammed(eqx.Module):
    """A matrix in groups of rows: whole-numbered codes (t, r, n), and a power of two for each group of a column."""

    codes: Num[Array, "*b t r n"]
    scales: Float[Array, "*b t n"]


class Reading(NamedTuple):
    """What is fixed about a reading when a product is compiled; hashable."""

    numbers: ResidueNumbers
    adc_bits: int | None
    noisy: bool
    phase_noise: bool


def sums_of_groups(
    reading: Reading,
    codes: Float[Array, "m t r"],
    units: Float[Array, "m t"],
    programmed: ResidueProgrammed,
    keys: UInt32[Array, "t c d 2"],
    spreads: Float[Array, "4"],
    row_offset,
) -> Float[Array, "m n"]:
    """The sums of all groups as they are read, times their units. Differentiable as if they had been read right."""

    def add_group(total, group):
        draws, q, unit, weights = group
        exact = jnp.matmul(q, weights.codes.astype(q.dtype), precision=jax.lax.Precision.HIGHEST)
        read = exact
        if reading.noisy or reading.adc_bits is not None:
            sums = jax.lax.stop_gradient(exact)
            read = straight_through(exact, read_remainders(sums, reading, spreads, draws, row_offset))
        return (read * weights.scales) * unit[:, None] + total, None

    steps = (keys, codes.swapaxes(0, 1), units.swapaxes(0, 1), programmed)
    return jax.lax.scan(add_group, jnp.zeros((codes.shape[0], programmed.codes.shape[-1]), codes.dtype), steps)[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def sums_by_kernel(reading: Reading, codes, units, programmed: ResidueProgrammed, keys, spreads, row_offset):
    """`sums_of_groups` by the compiled kernel, to the bit."""
    bits, flags = reading.adc_bits or 0, (reading.noisy, reading.phase_noise)
    settings = [np.int32(value) for value in (reading.numbers.k, bits, *flags)]
    settings = jnp.stack([*settings, jax.lax.bitcast_convert_type(row_offset, jnp.int32)])
    result = jax.ShapeDtypeStruct((codes.shape[0], programmed.codes.shape[-1]), jnp.float32)
    weights = programmed.codes.astype(jnp.float32)
    arrays = [jnp.asarray(values, jnp.float32) for values in (codes, units, weights, programmed.scales)]
    return call(TARGET, _for_numpy, result, (*arrays, keys, spreads, settings), vmap_method="sequential")


def _for_numpy():
    from photonsim_kernels.residue_product import residue_matmul

    return residue_matmul


def _forward(reading, *operands):
    return sums_by_kernel(reading, *operands), operands


def _backward(reading, operands, cotangent):
    return jax.vjp(functools.partial(sums_of_groups, reading), *operands)[1](cotangent)


sums_by_kernel.defvjp(_forward, _backward)


def read_remainders(
    exact: Float[Array, "m n"],
    reading: Reading,
    spreads: Float[Array, "4"],
    draws: UInt32[Array, "c d 2"],
    row_offset,
) -> Float[Array, "m n"]:
    """What is read of the sums of one group: they themselves, less as many turns of M as bring them within ±M/2.

    Every misread step of a modulus moves the sum by the number that has the remainder 1 there and 0 in the others.
    """
    numbers = reading.numbers
    moduli = jnp.asarray(numbers.moduli, exact.dtype)
    misread = jax.vmap(functools.partial(_misread_steps, exact, reading, row_offset, spreads[0]))(
        moduli, spreads[1:], draws
    )
    off = numbers.decode(jnp.mod(misread, jnp.asarray(numbers.moduli, jnp.int32)[:, None, None]))
    whole = jnp.floor(exact).astype(jnp.int32)
    half = numbers.range // 2
    wrapped = jnp.mod(whole + off + half, numbers.range) - half
    return wrapped.astype(exact.dtype) + (exact - jnp.floor(exact))


def _misread_steps(exact, reading: Reading, row_offset, quadrature, modulus, phase, draws):
    """By how many steps the angle that is read of a remainder is from the remainder: whole numbers, int32."""
    rows, columns = exact.shape
    remainder = less_turns(jnp.mod(exact, modulus), modulus)
    angle, deviates = remainder, jnp.zeros((2, 1, 1), exact.dtype)
    if reading.noisy:
        deviates = jax.vmap(lambda words: gaussian_deviates(words, rows, columns, row_offset))(draws)
        if reading.phase_noise:
            angle = phase * deviates[2] + remainder
    fields = zip(deviates[:2], fields_of_steps(angle, modulus), strict=True)
    cosine, sine = [quadrature * drawn + field for drawn, field in fields]
    bits, full = reading.adc_bits, full_scale_code(reading.adc_bits)
    turns = turns_of(quantize(cosine * full, bits), quantize(sine * full, bits))
    return jnp.rint(turns * modulus - remainder).astype(jnp.int32)
