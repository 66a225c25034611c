"""Where a value comes from: the dataflow facts by which a matrix product is named and its weight is found.

Every value of a traced function carries a `Provenance`. Its `origin` is the strongest of what it was computed from,

    CONSTANT < WEIGHT < PICKED < DATA

so a transposed, cast, dequantised, concatenated or sliced parameter is still a WEIGHT. PICKED is a weight that data
chose at run time: an embedding row, a gathered expert. CONSTANT and WEIGHT values are known as soon as the parameters
are, which is what "once per weight" rests on; PICKED and DATA are known only while the model runs.
"""

import enum
from dataclasses import dataclass, replace

Address = tuple[int, ...]  # of an equation: its number in the jaxpr, the sub-jaxpr entered, its number there, ...


class Origin(enum.IntEnum):
    """What a value was computed from; the join of two is the larger."""

    CONSTANT = 0
    WEIGHT = 1
    PICKED = 2
    DATA = 3


@dataclass(frozen=True)
class Provenance:
    """`paths`: parameters a WEIGHT or PICKED value was made from. `upstream`: names of the nearest weight products
    above a value. `mixed`: whether a product of two activations lies in between, as it does for attention
    probabilities. `loops`: addresses of the scans over whose trips the value varies."""

    origin: Origin
    paths: frozenset[str] = frozenset()
    upstream: frozenset[str] = frozenset()
    mixed: bool = False
    loops: frozenset[Address] = frozenset()

    @property
    def known(self) -> bool:
        """Whether the value follows from parameters and constants alone."""
        return self.origin <= Origin.WEIGHT

    def at_run_time(self) -> "Provenance":
        """The same value where control flow hides it until the model runs."""
        later = {Origin.CONSTANT: Origin.DATA, Origin.WEIGHT: Origin.PICKED}
        return replace(self, origin=later.get(self.origin, self.origin))

    def varying_over(self, loop: Address) -> "Provenance":
        """The same value inside a scan that hands out another slice of it on every trip."""
        return replace(self, loops=self.loops | {loop})

    def leaving(self, loop: Address) -> "Provenance":
        """The same value after the scan."""
        return replace(self, loops=self.loops - {loop})


CONSTANT = Provenance(Origin.CONSTANT)
DATA = Provenance(Origin.DATA)


def join(*values: Provenance) -> Provenance:
    """Provenance of something computed from all of `values`."""
    if not values:
        return CONSTANT
    origin = max(value.origin for value in values)
    is_weight = origin in (Origin.WEIGHT, Origin.PICKED)
    return Provenance(
        origin,
        frozenset().union(*(value.paths for value in values)) if is_weight else frozenset(),
        frozenset().union(*(value.upstream for value in values)),
        any(value.mixed for value in values),
        frozenset().union(*(value.loops for value in values)),
    )


def choice(selector: Provenance, *candidates: Provenance) -> Provenance:
    """Provenance of one of `candidates`, or of a part of one, chosen by `selector`."""
    chosen = join(*candidates)
    if selector.known:
        return replace(chosen, loops=chosen.loops | selector.loops)
    return replace(chosen.at_run_time(), upstream=chosen.upstream | selector.upstream)
