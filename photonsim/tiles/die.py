"""A die is a seed: what fabrication left different from column to column, and how much of it is corrected.

A column reads `v = g v₀ + o + s n`, with one draw of gain g, offset o and noise spread s per physical column and die
(the model that fits the public measurements of Lightmatter's Envise, Nature 640:368, 2025). A disturbance common to the
columns of a tile is added at each reading. Gain and offset drift (`drift.py`). The digital side divides by what it
knows of the gain and takes off what it knows of the offset (`correction.py`; the offset is trimmed in the amplifier,
before the converter). The converter of each column has a bent line of its own as well (`converters/nonlinearity.py`).
"""

import dataclasses
import functools

import equinox as eqx
import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.converters.nonlinearity import draw_bridges
from photonsim.errors import check_number
from photonsim.tiles.correction import AbstractCorrection, MeanCorrection
from photonsim.tiles.drift import Drift

REFERENCES, DRIFT, CELLS, CONVERTERS = 1, 2, 3, 4  # folded into the die's key: draws beside those of its columns


class Die(eqx.Module):
    """Column-to-column spread of one fabricated chip. Offsets and noise are fractions of the ADC's full scale.

    - `seed`: the die. Another seed is another die of the same process.
    - `gain_mean`, `gain_spread`: mean and standard deviation of the columns' gain (1 and 0: as designed).
    - `offset_mean`, `offset_spread`: of the columns' offset.
    - `noise_spread`: standard deviation of ln s, the columns' noise over its median.
    - `common_mode_rms`: disturbance shared by the columns of a tile at each reading.
    - `inl_rms`: integral nonlinearity of the columns' converters in root mean square: that of independent steps of
      spread σ LSB is `σ √(N / 6)` LSB, N steps being the range of two full scales.
    - `correction`: what the digital side knows: `none`, the `mean` gain and offset, each `column`'s, or what a
      calibration has `measured`.
    - `drift`: how far the columns are from where they were characterised.
    """

    seed: int = 0
    gain_mean: float = 1.0
    gain_spread: float = 0.0
    offset_mean: float = 0.0
    offset_spread: float = 0.0
    noise_spread: float = 0.0
    common_mode_rms: float = 0.0
    inl_rms: float = 0.0
    correction: AbstractCorrection = MeanCorrection()
    drift: Drift = Drift()

    def __check_init__(self):
        check_number("die.gain_mean", self.gain_mean, above=0.0)
        for name in ("gain_spread", "offset_spread", "noise_spread", "common_mode_rms", "inl_rms"):
            check_number(f"die.{name}", getattr(self, name), at_least=0.0)
        check_number("die.offset_mean", self.offset_mean)

    def draw(
        self, cores: int, columns: int, cell_gain: Float[Array, "c n"] | float = 1.0, references: bool = False
    ) -> "DieColumns":
        """Every physical column as it is now, and what is known of it, (cores, columns).

        `cell_gain`: what the cells of each column have in common. `references`: of the columns that tiles read beside
        those of the matrix.
        """
        key = jax.random.key(self.seed)
        key = jax.random.fold_in(key, REFERENCES) if references else key
        g, o, s = (jax.random.normal(each, (cores, columns), jnp.float32) for each in jax.random.split(key, 3))
        gain = (self.gain_mean + self.gain_spread * g) * cell_gain
        offset = self.offset_mean + self.offset_spread * o
        known = self.correction.of_references if references else self.correction
        made = DieColumns(
            gain=gain,
            offset=offset,
            noise=jnp.exp(self.noise_spread * s),
            known_gain=known.gain(gain, self.gain_mean),
            known_offset=known.offset(offset, self.offset_mean),
            inl=self._bridges(key, gain.shape),
        )
        return made if self.drift.is_still else self._drifted(made, jax.random.fold_in(key, DRIFT))

    def _bridges(self, key, shape: tuple[int, ...]) -> Float[Array, "c n j"] | None:
        if isinstance(self.inl_rms, int | float) and self.inl_rms == 0:
            return None
        return draw_bridges(jax.random.fold_in(key, CONVERTERS), shape, self.inl_rms)

    def _drifted(self, made: "DieColumns", key) -> "DieColumns":
        gain_key, offset_key = jax.random.split(key)
        gain = made.gain * self.drift.relative_gain(gain_key, made.gain.shape)
        offset = made.offset + self.drift.added_offset(offset_key, made.offset.shape)
        return dataclasses.replace(made, gain=gain, offset=offset)

    def landing(self, cores: int, columns: int, blocks: int, width: int) -> "DieColumns":
        """The physical columns that a matrix of `width` columns, `blocks` tiles deep, lands on: (blocks, width).

        Tile (t, j) of the matrix goes to core `(t J + j) mod cores`, where J tiles stand side by side.
        """
        if all(isinstance(leaf, int | float) for leaf in jax.tree.leaves(self)):
            return _known_landing(self, cores, columns, blocks, width)
        return land(self.draw(cores, columns), columns, blocks, width)


class DieColumns(eqx.Module):
    """Physical columns of one die: over (core, column), or over (block, output) of the matrix that they hold.

    `gain`, `offset` and `noise` as they are; `known_gain` and `known_offset` as the digital side takes them to be.
    `inl`: waves of each converter's bent line, parts of full scale; `None` for straight ones.
    """

    gain: Float[Array, "a b"]
    offset: Float[Array, "a b"]
    noise: Float[Array, "a b"]
    known_gain: Float[Array, "a b"]
    known_offset: Float[Array, "a b"]
    inl: Float[Array, "a b j"] | None = None


def landing_places(cores: int, columns: int, blocks: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Core (blocks, width) and physical column (width,) of each column of a matrix in each of its blocks."""
    n = np.arange(width)
    core = (np.arange(blocks)[:, None] * -(-width // columns) + n // columns) % cores
    return core, n % columns


def land(drawn: DieColumns, columns: int, blocks: int, width: int) -> DieColumns:
    """Columns over (core, column) dealt out to a matrix, (blocks, width)."""
    core, column = landing_places(drawn.gain.shape[0], columns, blocks, width)
    return jax.tree.map(lambda values: values[core, column], drawn)


@functools.lru_cache(maxsize=256)
def _known_landing(die: Die, cores: int, columns: int, blocks: int, width: int) -> DieColumns:
    """The same for a die whose numbers are known: constants, even while a function is being traced."""
    with jax.ensure_compile_time_eval():
        return land(die.draw(cores, columns), columns, blocks, width)
