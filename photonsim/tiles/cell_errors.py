"""Weight cells that are not what they were told: gains that differ, and cells that no longer answer.

A cell passes `(1 + c_n)(1 + e_kn)` times the light of its level. c belongs to its column (a current source, a bias
line) and e to the cell alone: a correction of columns takes away the first part and none of the second, which averages
over a column's rows instead. In Lightmatter's Envise the gain of the cells varies by 25.5 % before calibration (4,096
cells of the public figure data of Nature 640:368, 2025), nearly all of it with the column.
"""

import equinox as eqx
import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.errors import check_fraction, check_number
from photonsim.tiles.base import Disturbance
from photonsim.tiles.die import CELLS, landing_places


class CellErrors(eqx.Module):
    """What fabrication did to the cells of a tile, drawn from the die's seed.

    - `gain_spread`: standard deviation of a cell's gain over its mean.
    - `column_share`: the share of that variance that the cells of a column have in common, 0 to 1.
    - `dead_share`: cells that are at rest whatever is written: dark, or, of rings, out of resonance.
    - `stuck_share`: cells that are open whatever is written: at full positive weight.
    """

    gain_spread: float = 0.0
    column_share: float = 0.0
    dead_share: float = 0.0
    stuck_share: float = 0.0

    def __check_init__(self):
        check_number("cell_errors.gain_spread", self.gain_spread, at_least=0.0)
        for name in ("column_share", "dead_share", "stuck_share"):
            if getattr(self, name) != 0:
                check_fraction(f"cell_errors.{name}", getattr(self, name))

    @property
    def are_off(self) -> bool:
        """Whether cells are known to hold exactly what is written."""
        values = (self.gain_spread, self.dead_share, self.stuck_share)
        return all(isinstance(value, int | float) and value == 0 for value in values)

    def disturbances(self) -> tuple[Disturbance, ...]:
        """Cells of unequal gain, and cells that do not answer."""
        faults = f"{self.dead_share:g} dead, {self.stuck_share:g} open"
        off = {"cell_errors.dead_share": 0.0, "cell_errors.stuck_share": 0.0}
        return (
            Disturbance("weight-cell gain", f"± {self.gain_spread:g}", {"cell_errors.gain_spread": 0.0}),
            Disturbance("dead and stuck cells", faults, off),
        )

    def column_gain(self, seed, cores: int, columns: int, references: bool = False) -> Float[Array, "c n"]:
        """`1 + c` of every physical column."""
        spread = self.gain_spread * _root(self.column_share)
        return 1.0 + spread * jax.random.normal(_keys(seed, references)[0], (cores, columns), jnp.float32)

    def hold(
        self,
        levels: Float[Array, "*b t r n"],
        full: Float[Array, "..."] | float,
        seed,
        cores: int,
        columns: int,
        references: bool = False,
        rest: Float[Array, "..."] | float = 0.0,
    ) -> Float[Array, "*b t r n"]:
        """The levels that the cells really have; `full` is that of an open cell, `rest` that of a dead one."""
        blocks, rows, width = levels.shape[-3:]
        _, gain_key, fate_key = _keys(seed, references)
        own = self.gain_spread * _root(1.0 - self.column_share)
        gain = 1.0 + own * jax.random.normal(gain_key, (cores, rows, columns), jnp.float32)
        fate = jax.random.uniform(fate_key, (cores, rows, columns), jnp.float32)
        core, column = landing_places(cores, columns, blocks, width)
        gain, fate = (values[core, :, column].swapaxes(-1, -2) for values in (gain, fate))  # (t, r, n)
        held = jnp.where(fate < self.dead_share, rest * gain, levels * gain)
        return jnp.where(fate > 1.0 - self.stuck_share, full * gain, held)


def _root(share) -> Float[Array, ""]:
    """√share, whose gradient at 0 is taken as 0: that of the root is infinite."""
    share = jnp.asarray(share, jnp.float32)
    return jnp.where(share > 0, jnp.sqrt(jnp.where(share > 0, share, 1.0)), 0.0)


def _keys(seed, references: bool):
    key = jax.random.fold_in(jax.random.key(seed), CELLS)
    return jax.random.split(jax.random.fold_in(key, int(references)), 3)
