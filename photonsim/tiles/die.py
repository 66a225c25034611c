"""A die is a seed: what fabrication left different from column to column, and how much of it is corrected.

A column reads `v = g v₀ + o + s n`, with one draw of gain g, offset o and noise spread s per physical column and die
(the model that fits the public measurements of Lightmatter's Envise, Nature 640:368, 2025). A disturbance common to the
columns of a tile is added at each reading. The digital side divides by what it knows of the gain and takes off what it
knows of the offset (the offset is trimmed in the amplifier, before the converter).
"""

import functools

import equinox as eqx
import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.errors import check_choice, check_number


class Die(eqx.Module):
    """Column-to-column spread of one fabricated chip. Offsets and noise are fractions of the ADC's full scale.

    - `seed`: the die. Another seed is another die of the same process.
    - `gain_mean`, `gain_spread`: mean and standard deviation of the columns' gain (1 and 0: as designed).
    - `offset_mean`, `offset_spread`: of the columns' offset.
    - `noise_spread`: standard deviation of ln s, the columns' noise over its median.
    - `common_mode_rms`: disturbance shared by the columns of a tile at each reading.
    - `correction`: what the digital side knows: `"none"`, the `"mean"` gain and offset, or each `"column"`'s.
    """

    seed: int = 0
    gain_mean: float = 1.0
    gain_spread: float = 0.0
    offset_mean: float = 0.0
    offset_spread: float = 0.0
    noise_spread: float = 0.0
    common_mode_rms: float = 0.0
    correction: str = eqx.field(static=True, default="mean")

    def __check_init__(self):
        check_number("die.gain_mean", self.gain_mean, above=0.0)
        for name in ("gain_spread", "offset_spread", "noise_spread", "common_mode_rms"):
            check_number(f"die.{name}", getattr(self, name), at_least=0.0)
        check_number("die.offset_mean", self.offset_mean)
        check_choice("die.correction", self.correction, ("none", "mean", "column"))

    def draw(self, cores: int, columns: int) -> "DieColumns":
        """Gain, offset and noise spread of every physical column, (cores, columns)."""
        keys = jax.random.split(jax.random.key(self.seed), 3)
        g, o, s = (jax.random.normal(key, (cores, columns), jnp.float32) for key in keys)
        return DieColumns(
            gain=self.gain_mean + self.gain_spread * g,
            offset=self.offset_mean + self.offset_spread * o,
            noise=jnp.exp(self.noise_spread * s),
        )

    def landing(self, cores: int, columns: int, blocks: int, width: int) -> "DieColumns":
        """The physical columns that a matrix of `width` columns, `blocks` tiles deep, lands on: (blocks, width).

        Tile (t, j) of the matrix goes to core `(t J + j) mod cores`, where J tiles stand side by side.
        """
        if all(isinstance(leaf, int | float) for leaf in jax.tree.leaves(self)):
            return _known_landing(self, cores, columns, blocks, width)
        return _landing(self, cores, columns, blocks, width)

    def known_gain(self, gain: Float[Array, "*b"]) -> Float[Array, "*b"]:
        """The gain the digital side divides by."""
        return {"none": jnp.ones_like(gain), "mean": jnp.full_like(gain, self.gain_mean), "column": gain}[
            self.correction
        ]

    def known_offset(self, offset: Float[Array, "*b"]) -> Float[Array, "*b"]:
        """The offset that is trimmed away in the amplifier."""
        mean = jnp.full_like(offset, self.offset_mean)
        return {"none": jnp.zeros_like(offset), "mean": mean, "column": offset}[self.correction]


class DieColumns(eqx.Module):
    """Physical columns of one die: over (core, column), or over (block, output) of the matrix that they hold."""

    gain: Float[Array, "a b"]
    offset: Float[Array, "a b"]
    noise: Float[Array, "a b"]


def _landing(die: Die, cores: int, columns: int, blocks: int, width: int) -> DieColumns:
    n = np.arange(width)
    core = (np.arange(blocks)[:, None] * -(-width // columns) + n // columns) % cores
    return jax.tree.map(lambda values: values[core, n % columns], die.draw(cores, columns))


@functools.lru_cache(maxsize=256)
def _known_landing(die: Die, cores: int, columns: int, blocks: int, width: int) -> DieColumns:
    """The same for a die whose numbers are known: constants, even while a function is being traced."""
    with jax.ensure_compile_time_eval():
        return _landing(die, cores, columns, blocks, width)
