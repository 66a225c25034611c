"""Number formats: what values a code can stand for, and how a block of values shares a scale.

A format answers one question, `quantize(x)`: the nearest values that it can hold, still as floats, so that formats can
be compared by the error they make. Three families:

    integers         codes -L … L (or 0 … 2^b - 1) under one scale per tensor or per line: `absmax / L`
    block floating   the same, with a scale for each block of values along the last axis: a bfloat16 (ABFP, Basumallik
                     et al., arXiv 2205.06287) or a power of two (a shared exponent, as Mirage's)
    small floats     an exponent and a mantissa for each value: FP4 E2M1, FP8 E4M3 and E5M2; with a power of two (E8M0)
                     for each block of 32 they are the microscaling formats MXFP4 and MXFP8 (OCP, MX v1.0)

    format      E2M1         E4M3          E5M2
    largest     6            448           57344          overflow saturates
    smallest    0.5          2^-9          2^-16          subnormal
    steps per octave  2      8             4

Everything rounds to nearest, ties to even. Gradients pass straight through and stop where a value is clipped.
"""

import abc
import math

import equinox as eqx
import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.converters.quantizer import full_scale_code, quantize, straight_through
from photonsim.errors import PhotonsimError, check_bits, check_choice, check_count, nearest

SMALLEST_EXPONENT = -126  # of a scale: E8M0 goes one lower, where float32 numbers lose precision
LARGEST_EXPONENT = 127
SCALE_BITS = {"bfloat16": 16, "power of two": 8}


class AbstractFormat(eqx.Module):
    """A set of values that numbers are rounded to."""

    @abc.abstractmethod
    def quantize(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The nearest values that the format holds, as floats."""

    @property
    @abc.abstractmethod
    def bits_per_value(self) -> float:
        """Storage of one value, its share of a block's scale included."""


class Integer(AbstractFormat):
    """`b`-bit integers under the scale `absmax / L`.

    - `bits`: sign included if there is one.
    - `signed`: codes -L … L with L = 2^(b-1) - 1; unsigned ones are 0 … 2^b - 1, and negative values become 0.
    - `axis`: the axis along which values share a scale (-1: one per row, 0: one per column of a matrix); `None` for one
      scale per tensor.
    """

    bits: int = eqx.field(static=True)
    signed: bool = eqx.field(static=True, default=True)
    axis: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_bits("format.bits", self.bits)

    @property
    def largest_code(self) -> int:
        """L."""
        return full_scale_code(self.bits) if self.signed else 2**self.bits - 1

    def scale(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Value of one code for each line along `axis`: `absmax / L`, unsigned `max / L`; 1/L for a line of zeros."""
        magnitude = jnp.abs(x) if self.signed else jnp.maximum(x, 0.0)
        largest = jax.lax.stop_gradient(magnitude.max(axis=self.axis, keepdims=True))
        return jnp.where(largest > 0, largest, 1.0) / self.largest_code

    def codes(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Whole-numbered codes of values under their scale."""
        codes = x / self.scale(x)
        if self.signed:
            return quantize(codes, self.bits)
        clipped = jnp.clip(codes, 0, self.largest_code)
        return straight_through(clipped, jnp.rint(clipped))

    def quantize(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """See `AbstractFormat`."""
        return self.codes(x) * self.scale(x)

    @property
    def bits_per_value(self) -> float:
        """`b`: the scale of a line is not counted."""
        return float(self.bits)


class BlockFloatingPoint(AbstractFormat):
    """Blocks along the last axis, each with one scale; within a block, signed `b`-bit integers.

    - `bits`: of a value, sign included.
    - `block`: values that share a scale; the last block may be shorter.
    - `scale`: `"bfloat16"`, the largest magnitude rounded to bfloat16 (ABFP), or `"power of two"`, the smallest one not
      below it (a shared exponent).
    """

    bits: int = eqx.field(static=True)
    block: int = eqx.field(static=True, default=128)
    scale: str = eqx.field(static=True, default="bfloat16")

    def __check_init__(self):
        check_bits("format.bits", self.bits)
        check_count("format.block", self.block)
        check_choice("format.scale", self.scale, SCALE_BITS)

    def quantize(self, x: Float[Array, "... n"]) -> Float[Array, "... n"]:
        """See `AbstractFormat`."""
        blocks = _blocks(x, self.block)
        largest = jax.lax.stop_gradient(jnp.abs(blocks).max(axis=-1, keepdims=True))
        if self.scale == "bfloat16":
            scale = largest.astype(jnp.bfloat16).astype(x.dtype)
        else:
            scale = shared_exponent_scale(largest)
        code = jnp.where(scale > 0, scale, 1.0) / full_scale_code(self.bits)
        return _unblock(quantize(blocks / code, self.bits) * code, x.shape)

    @property
    def bits_per_value(self) -> float:
        """`b` and the block's share of its scale."""
        return self.bits + SCALE_BITS[self.scale] / self.block


class SmallFloat(AbstractFormat):
    """A sign, `exponent_bits` with the usual bias `2^(e-1) - 1`, and `mantissa_bits`; subnormals; overflow saturates.

    - `largest`: the largest finite value; it says how many codes of the top exponent stand for infinity or NaN.
    """

    exponent_bits: int = eqx.field(static=True)
    mantissa_bits: int = eqx.field(static=True)
    largest: float = eqx.field(static=True)

    def __check_init__(self):
        check_count("format.exponent_bits", self.exponent_bits)
        check_count("format.mantissa_bits", self.mantissa_bits)
        top = 2.0 ** (self.smallest_exponent + 2**self.exponent_bits - 1)
        if not 0 < self.largest < top:
            raise PhotonsimError(f"format.largest = {self.largest:g} must lie between 0 and {top:g}.")

    @property
    def smallest_exponent(self) -> int:
        """Exponent of the smallest normal value, shared by the subnormals."""
        return 2 - 2 ** (self.exponent_bits - 1)

    @property
    def largest_exponent(self) -> int:
        """Exponent of the largest value: `⌊log₂ largest⌋`."""
        return math.frexp(self.largest)[1] - 1

    def quantize(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """See `AbstractFormat`."""
        clipped = jnp.clip(x, -self.largest, self.largest)
        exponent = jnp.frexp(jax.lax.stop_gradient(clipped))[1] - 1
        step = _power_of_two(jnp.maximum(exponent, self.smallest_exponent) - self.mantissa_bits, x.dtype)
        return straight_through(clipped, jnp.rint(clipped / step) * step)

    @property
    def bits_per_value(self) -> float:
        """Sign, exponent and mantissa."""
        return float(1 + self.exponent_bits + self.mantissa_bits)


class Microscaling(AbstractFormat):
    """Blocks of small floats with a power of two each, `2^(⌊log₂ max|x|⌋ - largest exponent of the element)` (OCP MX).

    The largest value of a block may be up to 2 (1 - 2^-n) times that of the element and then saturates: MXFP4 holds the
    element's 6, so 7.9 times the scale becomes 6.

    - `element`: the format of a value.
    - `block`: values along the last axis that share a scale; 32 in the standard.
    """

    element: SmallFloat
    block: int = eqx.field(static=True, default=32)

    def __check_init__(self):
        check_count("format.block", self.block)

    def scale(self, x: Float[Array, "... n"]) -> Float[Array, "... blocks 1"]:
        """The power of two of each block."""
        largest = jax.lax.stop_gradient(jnp.abs(_blocks(x, self.block)).max(axis=-1, keepdims=True))
        exponent = jnp.frexp(largest)[1] - 1 - self.element.largest_exponent
        return _power_of_two(exponent, x.dtype)

    def quantize(self, x: Float[Array, "... n"]) -> Float[Array, "... n"]:
        """See `AbstractFormat`."""
        scale = self.scale(x)
        return _unblock(self.element.quantize(_blocks(x, self.block) / scale) * scale, x.shape)

    @property
    def bits_per_value(self) -> float:
        """The element and its share of the scale's 8 bits: 4.25 for MXFP4."""
        return self.element.bits_per_value + 8 / self.block


def shared_exponent_scale(largest: Float[Array, "..."]) -> Float[Array, "..."]:
    """The smallest power of two that is not below each magnitude: a block's shared exponent."""
    mantissa, exponent = jnp.frexp(largest)  # largest = mantissa · 2^exponent, 1/2 ≤ mantissa < 1
    return _power_of_two(jnp.where(mantissa == 0.5, exponent - 1, exponent), largest.dtype)


def _power_of_two(exponent: Array, dtype) -> Array:
    """`2^exponent`, exactly, for whole exponents within those of a scale."""
    bounded = jnp.clip(exponent, SMALLEST_EXPONENT, LARGEST_EXPONENT)
    return jnp.ldexp(jnp.ones((), dtype), bounded)


def _blocks(x: Float[Array, "... n"], block: int) -> Float[Array, "... blocks size"]:
    """Cut the last axis into blocks, the last one filled up with zeros."""
    missing = -x.shape[-1] % block
    padded = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)])
    return padded.reshape(*x.shape[:-1], -1, block)


def _unblock(blocks: Float[Array, "... blocks size"], shape: tuple[int, ...]) -> Float[Array, "... n"]:
    """The inverse of `_blocks`."""
    return blocks.reshape(*shape[:-1], -1)[..., : shape[-1]]


FP4_E2M1 = SmallFloat(2, 1, 6.0)
FP8_E4M3 = SmallFloat(4, 3, 448.0)
FP8_E5M2 = SmallFloat(5, 2, 57344.0)
FORMATS: dict[str, AbstractFormat] = {
    "int4": Integer(4),
    "int8": Integer(8),
    "uint4": Integer(4, signed=False),
    "uint8": Integer(8, signed=False),
    "abfp4": BlockFloatingPoint(4),
    "abfp8": BlockFloatingPoint(8),
    "bfp4": BlockFloatingPoint(4, 16, "power of two"),
    "bfp8": BlockFloatingPoint(8, 16, "power of two"),
    "fp4_e2m1": FP4_E2M1,
    "fp8_e4m3": FP8_E4M3,
    "fp8_e5m2": FP8_E5M2,
    "mxfp4": Microscaling(FP4_E2M1),
    "mxfp8_e4m3": Microscaling(FP8_E4M3),
    "mxfp8_e5m2": Microscaling(FP8_E5M2),
}


def number_format(name: str) -> AbstractFormat:
    """A format by its name, as in `FORMATS`."""
    if name not in FORMATS:
        raise PhotonsimError(f"Number format {name!r} is unknown. {nearest(name, FORMATS)}")
    return FORMATS[name]
