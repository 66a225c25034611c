"""Residue numbers: an exact dot product from converters of few bits, as in Mirage.

A whole number within ±M/2 is known from its remainders by pairwise coprime moduli whose product is M (the Chinese
remainder theorem). Remainders add and multiply on their own, so a dot product of many bits becomes three of few, each
in its own core, where light does the reduction: a phase is a number modulo 2π. Nothing is lost to a converter, since
the remainder of the sum has no more bits than those of its terms. The special set

    m₁ = 2^k - 1,   m₂ = 2^k,   m₃ = 2^k + 1          M = 2^k (2^2k - 1), nearly 3k bits

makes the conversions cheap: shifts and additions. With k = 5 (Mirage: 31, 32, 33), M = 32,736: five-bit codes with
sign, within ±15, may be summed up to a length of 72. A noise that moves a remainder by one step is no small error: it
moves the answer by a multiple of M divided by a modulus, so every remainder must be read without error.
"""

import equinox as eqx
from jax import numpy as jnp
from jaxtyping import Array, Int

from photonsim.converters.quantizer import full_scale_code
from photonsim.errors import PhotonsimError, check_count

LARGEST_K = 10  # M stays below 2^31, and the sums of products of remainders too for lengths up to 500


class ResidueNumbers(eqx.Module):
    """Arithmetic modulo `2^k - 1`, `2^k` and `2^k + 1`.

    - `k`: bits of a remainder; the largest modulus has one more.
    """

    k: int = eqx.field(static=True)

    def __check_init__(self):
        check_count("residues.k", self.k)
        if not 2 <= self.k <= LARGEST_K:
            raise PhotonsimError(f"residues.k = {self.k}: from 2 (moduli 3, 4, 5) to {LARGEST_K}.")

    @property
    def moduli(self) -> tuple[int, int, int]:
        """`2^k - 1`, `2^k`, `2^k + 1`."""
        return 2**self.k - 1, 2**self.k, 2**self.k + 1

    @property
    def range(self) -> int:
        """M, the product of the moduli: how many numbers can be told apart."""
        return 2**self.k * (4**self.k - 1)

    @property
    def largest(self) -> int:
        """Largest magnitude that every sign may have: `M/2 - 1`."""
        return self.range // 2 - 1

    def longest_dot(self, input_bits: int, weight_bits: int) -> int:
        """Length of the longest dot product of signed codes that always fits: `⌊largest / (L_x L_w)⌋`."""
        return self.largest // (full_scale_code(input_bits) * full_scale_code(weight_bits))

    def check_fits(self, input_bits: int, weight_bits: int, length: int) -> None:
        """Refuse a dot product whose answer may not be told from another one's."""
        if length > (longest := self.longest_dot(input_bits, weight_bits)):
            raise PhotonsimError(
                f"A dot product of {length} codes of {input_bits} and {weight_bits} bits does not fit residues modulo "
                f"{', '.join(map(str, self.moduli))}: at most {longest}. Take a larger k or a shorter block."
            )

    def encode(self, numbers: Int[Array, "..."]) -> Int[Array, "3 ..."]:
        """Remainders of whole numbers, one plane for each modulus, within 0 … m - 1."""
        return jnp.stack([jnp.mod(numbers, modulus) for modulus in self.moduli])

    def matmul(self, x: Int[Array, "3 m k"], w: Int[Array, "3 k n"]) -> Int[Array, "3 m n"]:
        """Remainders of `x @ w` from those of x and w: three products that know nothing of each other."""
        return jnp.stack([jnp.mod(x[i] @ w[i], modulus) for i, modulus in enumerate(self.moduli)])

    def decode(self, remainders: Int[Array, "3 ..."]) -> Int[Array, "..."]:
        """The number within ±M/2 that has these remainders (Garner's mixed radix: no intermediate exceeds M).

        `v = a₁ + m₁ (a₂ + m₂ a₃)` with `a₁ = r₁`, `a₂ = (r₂ - a₁) m₁⁻¹ mod m₂`,
        `a₃ = ((r₃ - a₁) m₁⁻¹ - a₂) m₂⁻¹ mod m₃`; numbers above M/2 stand for negative ones.
        """
        m1, m2, m3 = self.moduli
        r1, r2, r3 = remainders
        a2 = jnp.mod((r2 - r1) * pow(m1, -1, m2), m2)
        a3 = jnp.mod((jnp.mod((r3 - r1) * pow(m1, -1, m3), m3) - a2) * pow(m2, -1, m3), m3)
        number = r1 + m1 * (a2 + m2 * a3)
        return jnp.where(number > self.largest, number - self.range, number)
