"""Bit slicing: several passes of few bits make a product of many, exactly.

A code of b bits is cut into digits to the base 2^s, each with the sign of the whole; a digit then lies within
±(2^s - 1) and needs a converter of s + 1 bits. The product is linear, so the digits' products add up with weights:

    x = Σ_i 2^(s_x i) x_i,   w = Σ_j 2^(s_w j) w_j        x @ w = Σ_ij 2^(s_x i + s_w j)  x_i @ w_j

one pass of the chip for every pair (i, j). Passes multiply, so energy and time do; what falls is the precision that the
output converter needs: a signed dot product of length K is exact with `b_x + b_w + log₂ K - 1` bits (22 for 8/8/128).
"""

import math
from collections.abc import Callable

from jax import numpy as jnp
from jaxtyping import Array, Int

from photonsim.errors import check_bits, check_count


def exact_sum_bits(input_bits: int, weight_bits: int, length: int) -> int:
    """Bits, sign included, that hold every signed dot product of that length: `b_x + b_w + ⌈log₂ K⌉ - 1`."""
    check_count("length", length)
    return input_bits + weight_bits + math.ceil(math.log2(length)) - 1


def digit_count(bits: int, slice_bits: int) -> int:
    """Digits of a signed code: `⌈(b - 1) / s⌉`, the sign going with each."""
    check_bits("bits", bits)
    check_count("slice_bits", slice_bits)
    return max(-(-(bits - 1) // slice_bits), 1)


def pass_count(input_bits: int, weight_bits: int, input_slice_bits: int, weight_slice_bits: int) -> int:
    """Passes of the chip for one product: digits of the inputs times digits of the weights."""
    return digit_count(input_bits, input_slice_bits) * digit_count(weight_bits, weight_slice_bits)


def split_digits(codes: Int[Array, "..."], bits: int, slice_bits: int) -> Int[Array, "digits ..."]:
    """Digits of signed codes, least significant first, each within ±(2^s - 1)."""
    magnitude = jnp.abs(codes)
    digits = [
        (magnitude >> (slice_bits * place)) & (2**slice_bits - 1) for place in range(digit_count(bits, slice_bits))
    ]
    return jnp.sign(codes) * jnp.stack(digits)


def join_digits(digits: Int[Array, "digits ..."], slice_bits: int) -> Int[Array, "..."]:
    """`Σ_i 2^(s i) d_i`: the inverse of `split_digits`, and the digital sum of the passes."""
    return sum((digits[place] << (slice_bits * place) for place in range(digits.shape[0])), jnp.zeros_like(digits[0]))


def sliced_matmul(
    x: Int[Array, "m k"],
    w: Int[Array, "k n"],
    input_bits: int,
    weight_bits: int,
    input_slice_bits: int,
    weight_slice_bits: int,
    product: Callable[[Array, Array], Array] = jnp.matmul,
) -> Int[Array, "m n"]:
    """`x @ w` of integer codes in `pass_count` passes, each made by `product`: exact while the sum fits an int32."""
    inputs = split_digits(x, input_bits, input_slice_bits)
    weights = split_digits(w, weight_bits, weight_slice_bits)
    by_weight = [
        join_digits(jnp.stack([product(digit, weight) for digit in inputs]), input_slice_bits) for weight in weights
    ]
    return join_digits(jnp.stack(by_weight), weight_slice_bits)
