"""A phase-change memory cell: a weight that needs no power to be kept, is never quite what was written, and drifts.

A pulse melts and freezes part of the material (Ge₂Sb₂Te₅ and kin); how much of it stays amorphous sets the cell's
conductance, or its transmission where it sits on a waveguide. Three things part the weight that is read from the one
that was wanted:

    programming   g₀ = g + σ_p(g) z                               once, when written
    drift         g(t) = g₀ (t / t₀)^(−ν)                         the amorphous part relaxes, t₀ = 20 s
    reading       σ_r = g(t) q √ln((t + t_r) / (2 t_r))           1/f noise, t_r = 250 ns, at each reading

The coefficients are IBM's, fitted to a million *electrical* cells of 25 µS (Joshi et al., Nat. Commun. 11:2473, 2020;
`aihwkit/inference/noise/pcm.py`). Optical cells behave alike when programmed and drift less, with exponents of about
0.001 to 0.01 (assumed; scale it with `drift_scale`). A weight is the difference of two such cells.
"""

import equinox as eqx
import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from photonsim.errors import check_number

DRIFT_START_S = 20.0  # t₀: when the programming was verified
READ_TIME_S = 250e-9  # t_r
PROGRAMMING_SPREAD_US = (0.26348, 1.9650, -1.1731)  # σ_p in µS as a polynomial of g, constant first
SMALLEST_CONDUCTANCE = 1e-6  # relative: logarithms need more than 0


class PcmCell(eqx.Module):
    """A cell of relative conductance g = G / G_max in [0, 1].

    - `conductance_max_us`: G_max, µS.
    - `programming_scale`, `drift_scale`, `read_scale`: factors on each of the three; 0 turns one off.
    - `endurance_writes`: times that a cell can be written (1e6 to 1e8, *assumed*).
    """

    conductance_max_us: float = 25.0
    programming_scale: float = 1.0
    drift_scale: float = 1.0
    read_scale: float = 1.0
    endurance_writes: float = 1e8

    def __check_init__(self):
        check_number("pcm.conductance_max_us", self.conductance_max_us, above=0.0)
        for name in ("programming_scale", "drift_scale", "read_scale"):
            check_number(f"pcm.{name}", getattr(self, name), at_least=0.0)
        check_number("pcm.endurance_writes", self.endurance_writes, above=0.0)

    def programming_spread(self, g: Float[ArrayLike, "..."]) -> Float[Array, "..."]:
        """σ_p: standard deviation of the written conductance around the wanted one, relative to G_max."""
        g = jnp.asarray(g)
        spread_us = sum(c * g**power for power, c in enumerate(PROGRAMMING_SPREAD_US))
        return self.programming_scale * jnp.maximum(spread_us, 0.0) / self.conductance_max_us

    def drift_exponent(self, g: Float[ArrayLike, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Mean and standard deviation of ν over cells of one conductance: weak cells, more amorphous, drift faster."""
        log_g = jnp.log(jnp.maximum(jnp.asarray(g), SMALLEST_CONDUCTANCE))
        mean = jnp.clip(-0.0155 * log_g + 0.0244, 0.049, 0.1)
        spread = jnp.clip(-0.0125 * log_g - 0.0059, 0.008, 0.045)
        return self.drift_scale * mean, self.drift_scale * spread

    def read_spread(self, g: Float[ArrayLike, "..."], g_now: Float[ArrayLike, "..."], time_s: ArrayLike):
        """σ_r of one reading, relative to G_max, of cells written to g that have drifted to `g_now` after `time_s`."""
        g = jnp.maximum(jnp.asarray(g), SMALLEST_CONDUCTANCE)
        q = jnp.minimum(0.0088 / g**0.65, 0.2)
        growth = jnp.sqrt(jnp.log((jnp.asarray(time_s) + READ_TIME_S) / (2 * READ_TIME_S)))
        return self.read_scale * jnp.asarray(g_now) * q * growth

    def program(self, g: Float[Array, "..."], key: PRNGKeyArray) -> Float[Array, "..."]:
        """Conductances as written; none is below zero."""
        return jnp.maximum(g + self.programming_spread(g) * jax.random.normal(key, g.shape, g.dtype), 0.0)

    def drift(self, written: Float[Array, "..."], time_s: ArrayLike, key: PRNGKeyArray) -> Float[Array, "..."]:
        """Conductances `time_s` after they were written, each cell with an exponent of its own (none negative)."""
        mean, spread = self.drift_exponent(written)
        exponent = jnp.maximum(mean + spread * jax.random.normal(key, written.shape, written.dtype), 0.0)
        return written * (jnp.maximum(jnp.asarray(time_s), DRIFT_START_S) / DRIFT_START_S) ** -exponent

    def read(
        self, written: Float[Array, "..."], drifted: Float[Array, "..."], time_s: ArrayLike, key: PRNGKeyArray
    ) -> Float[Array, "..."]:
        """One reading of drifted conductances."""
        noise = jax.random.normal(key, drifted.shape, drifted.dtype)
        return drifted + self.read_spread(written, drifted, time_s) * noise

    def levels(self, separation: float = 2.0) -> int:
        """Levels that programming keeps apart by `separation` standard deviations of each neighbour.

        Placed one by one from g = 0: the next level is where `g' − s σ(g') = g + s σ(g)` for s half the separation.
        """
        check_number("separation", separation, above=0.0)
        grid = np.linspace(0.0, 1.0, 10_001)
        half = separation / 2 * np.asarray(self.programming_spread(grid))
        lower, upper = grid - half, grid + half
        count, edge = 1, upper[0]
        while (place := np.searchsorted(lower, edge)) < len(grid):
            count, edge = count + 1, upper[place]
        return count
