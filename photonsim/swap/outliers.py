"""Columns of the activations that are too large for the chip, multiplied digitally: the split of LLM.int8().

A few features of a transformer's activations are many times larger than all others, and they set the scale by which an
input vector is quantised: everything else then rounds towards zero. Dettmers et al. (arXiv 2208.07339) take them out.
With O the columns of x in which any value exceeds a threshold, 6 in the paper,

    x @ w  =  x[:, not O] @ w[not O]  +  x[:, O] @ w[O]
                     chip                    digital

On the chip the columns of O are dark, so nothing else about the product changes. The digital unit keeps the weights in
full precision. How many columns O has only a run can tell: `outlier_columns` counts them, and coverage and bill then
share the product out.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from photonsim.errors import check_number
from photonsim.events import EventCounts
from photonsim.swap.coverage import Coverage, Placement
from photonsim.swap.rules import DIGITAL, Rule
from photonsim.swap.site import AbstractMatmulUnit

if TYPE_CHECKING:
    from photonsim.swap.simulation import Simulation

THRESHOLD = 6.0  # Dettmers et al., section 3.2


class Split(NamedTuple):
    """A matrix in the tiles of a chip, and the same in full precision beside it."""

    tiles: Any
    weights: Float[Array, "*b k n"]


@dataclass(frozen=True)
class OutliersDigital:
    """A chip with its outlier columns taken out: itself an `AbstractMatmulUnit`."""

    chip: Any
    threshold: float = THRESHOLD

    def __post_init__(self):
        check_number("threshold", self.threshold, above=0.0)

    @property
    def name(self) -> str:
        """The chip's name, and what does not run on it."""
        return f"{getattr(self.chip, 'name', type(self.chip).__name__)}, columns above {self.threshold:g} digital"

    def program(self, w: Float[Array, "*b k n"]) -> Split:
        """See `AbstractMatmulUnit.program`."""
        return Split(self.chip.program(w), w)

    def compact(self, programmed: Split) -> Split:
        """See `AbstractMatmulUnit.compact`; the digital weights stay as they are."""
        return Split(self.chip.compact(programmed.tiles), programmed.weights)

    def matmul(
        self, x: Float[Array, "*b m k"], programmed: Split, key: PRNGKeyArray, engine: str = "auto", row_offset: Any = 0
    ) -> Float[Array, "*b m n"]:
        """See `AbstractMatmulUnit.matmul`."""
        outliers = jnp.where(outlier_mask(x, self.threshold), x, 0.0)
        on_chip = self.chip.matmul(x - outliers, programmed.tiles, key, engine=engine, row_offset=row_offset)
        return on_chip + jnp.matmul(outliers, programmed.weights, precision=jax.lax.Precision.HIGHEST)

    def events(self, batch: int, m: int, k: int, n: int) -> EventCounts:
        """What the chip's part of a product takes."""
        return self.chip.events(batch, m, k, n)


# Registered so that jit sees the chip's numbers inside, and not a constant.
jax.tree_util.register_dataclass(OutliersDigital, data_fields=["chip"], meta_fields=["threshold"])


@dataclass(frozen=True)
class SplitOutliers:
    """The action of a rule that puts `OutliersDigital` around the given chip."""

    threshold: float = THRESHOLD

    def __call__(self, chip: AbstractMatmulUnit) -> OutliersDigital:
        return OutliersDigital(chip, self.threshold)

    @property
    def name(self) -> str:
        """For the rule's own text."""
        return f"chip, columns above {self.threshold:g} digital"


def outlier_mask(x: Float[Array, "*b m k"], threshold: float) -> Bool[Array, "*b 1 k"]:
    """The columns in which any row exceeds the threshold."""
    return jnp.any(jnp.abs(x) > threshold, axis=-2, keepdims=True)


def outlier_columns(simulation: "Simulation", *args: Any, **kwargs: Any) -> dict[str, float]:
    """Columns that `simulation` would multiply digitally for these arguments, by site: the mean over its executions.

    Counted in a digital run of the function; on the chip its noise moves a value across the threshold now and then.
    """
    from photonsim.swap.simulation import simulate  # which knows of policies, which know of this file

    counts: dict[str, list[int]] = defaultdict(list)
    table = simulation.coverage(*args, **kwargs)
    rules = [
        Rule(f"re:{re.escape(row.name)}", _Counter(row.chip.threshold, counts[row.name]))
        for row in table.rows
        if isinstance(row.chip, OutliersDigital)
    ]
    counting = simulate(simulation.fn, simulation.chip, [*rules, Rule("*", DIGITAL)], simulation.weights)
    counting(*args, **kwargs)
    jax.effects_barrier()
    return {name: sum(found) / len(found) for name, found in counts.items() if found}


@dataclass(frozen=True)
class _Counter:
    """Multiplies exactly, and notes how many columns of its input are outliers."""

    threshold: float
    found: list[int]

    def program(self, w):
        return w

    def compact(self, programmed):
        return programmed

    def matmul(self, x, programmed, key, engine="auto", row_offset=0):
        columns = jnp.sum(outlier_mask(x, self.threshold), axis=(-2, -1))
        jax.debug.callback(lambda count: self.found.extend(count.reshape(-1).tolist()), columns)
        return jnp.matmul(x, programmed, precision=jax.lax.Precision.HIGHEST)


def measured_coverage(simulation: "Simulation", *args: Any, **kwargs: Any) -> Coverage:
    """The simulation's coverage, with outlier columns counted for these arguments where a rule takes some out."""
    table = simulation.coverage(*args, **kwargs)
    if not any(isinstance(row.chip, OutliersDigital) for row in table.rows):
        return table
    return share_out(table, outlier_columns(simulation, *args, **kwargs))


def share_out(table: Coverage, columns: Mapping[str, float]) -> Coverage:
    """The coverage with the counted columns of each site on the digital side."""
    return replace(table, rows=tuple(_shared(row, columns.get(row.name)) for row in table.rows))


def _shared(row: Placement, columns: float | None) -> Placement:
    return row if columns is None else replace(row, digital_columns=columns)
