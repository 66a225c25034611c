"""Programming every weight once: the part of a function that follows from its parameters alone.

The jaxpr is walked with the parameters in hand and `UNKNOWN` in place of everything else. An equation whose inputs are
all known is evaluated, any other gives `UNKNOWN`; where a chosen product is met whose weight operand is known, that
operand is programmed. So a weight reaches its tiles through the same casts, transposes and slices as in the model.
Inside a scan, a weight that differs from trip to trip is programmed by a scan of its own and has a leading axis of
trips; one that does not is programmed before it.

What the parameters determine beside the tiles, such as a cast norm gain, is not kept: it is cheap to do again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax

from photonsim.swap.analysis import invariant_carries
from photonsim.swap.equations import CALLS, Environment, called, opened, rebind
from photonsim.swap.products import PRODUCTS
from photonsim.swap.provenance import Address
from photonsim.swap.site import AbstractMatmulUnit, Site

UNKNOWN = object()  # a value that only a run will tell


@eqx.filter_jit
def _write(chip: AbstractMatmulUnit, matrix: jax.Array) -> Any:
    return chip.compact(chip.program(matrix))


@dataclass(frozen=True, eq=False)
class Programmer:
    """Walks a jaxpr and hands the tiles of each site it can program to `keep(name, tiles)`."""

    placed: Mapping[Address, tuple[Site, AbstractMatmulUnit]]
    known_carries: Mapping[Address, tuple[bool, ...]]
    keep: Callable[[str, Any], None]
    within: frozenset[Address] = frozenset()  # scans whose trips are being followed: sites that vary over them only

    def run(self, jaxpr: Any, inputs: Sequence[Any], address: Address = ()) -> list[Any]:
        """Results of a jaxpr, `UNKNOWN` where they depend on one."""
        inner, consts = opened(jaxpr)
        env = Environment(inner, consts, inputs)
        for number, eqn in enumerate(inner.eqns):
            env.write(eqn, self.equation(eqn, env.read(eqn.invars), (*address, number)))
        return env.read(inner.outvars)

    def equation(self, eqn: Any, inputs: list[Any], address: Address) -> list[Any]:
        """Results of an equation."""
        if address in self.placed:
            self.program(eqn, inputs, address)
        elif all(value is not UNKNOWN for value in inputs):
            return rebind(eqn, inputs)
        elif eqn.primitive.name in CALLS:
            return self.run(called(eqn), inputs, (*address, 0))
        elif eqn.primitive.name == "scan":
            self.scan(eqn, inputs, address)
        elif eqn.primitive.name == "while":
            self.while_body(eqn, inputs, address)
        elif eqn.primitive.name == "cond":
            for number, branch in enumerate(eqn.params["branches"]):
                self.run(branch, inputs[1:], (*address, number))
        return [UNKNOWN] * len(eqn.outvars)

    def program(self, eqn: Any, inputs: list[Any], address: Address) -> None:
        """Program a chosen product's operand, if it is known and not programmed elsewhere."""
        site, chip = self.placed[address]
        operand = inputs[site.tile_operand]
        if site.known and operand is not UNKNOWN and self.within <= set(site.loops):
            product = PRODUCTS[site.primitive](eqn, site.tile_operand)
            self.keep(site.name, _write(chip, product.matrix(operand)))

    def while_body(self, eqn: Any, inputs: list[Any], address: Address) -> None:
        """Weights that a loop hands on unchanged are known in its body."""
        params = eqn.params
        start, split = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
        fixed = invariant_carries(params["body_jaxpr"].jaxpr, params["body_nconsts"])
        carry = _only(inputs[split:], fixed)
        self.run(params["cond_jaxpr"], [*inputs[:start], *carry], (*address, 0))
        self.run(params["body_jaxpr"], [*inputs[start:split], *carry], (*address, 1))

    def scan(self, eqn: Any, inputs: list[Any], address: Address) -> None:
        """First the weights all trips share, then those of each trip."""
        params = eqn.params
        split = params["num_consts"], params["num_consts"] + params["num_carry"]
        consts, carry, slices = inputs[: split[0]], inputs[split[0] : split[1]], inputs[split[1] :]
        fixed = invariant_carries(params["jaxpr"].jaxpr, len(consts))[: len(carry)]
        shared = _only(carry, fixed)
        self.run(params["jaxpr"], [*consts, *shared, *[UNKNOWN] * len(slices)], (*address, 0))
        if any(address in site.loops for site, _ in self.placed.values()):
            known = self.known_carries[address]
            for name, tiles in self.trips(params, consts, _only(carry, known), slices, address).items():
                self.keep(name, tiles)

    def trips(self, params: Mapping, consts: list, carry: list, slices: list, address: Address) -> dict[str, Any]:
        """Tiles of the weights that vary over a scan's trips, stacked along a leading axis."""

        def body(known_carry, known_slices):
            tiles: dict[str, Any] = {}
            inner = Programmer(self.placed, self.known_carries, tiles.__setitem__, self.within | {address})
            inputs = [*consts, *_fill(carry, known_carry), *_fill(slices, known_slices)]
            results = inner.run(params["jaxpr"], inputs, (*address, 0))
            handed_on = [after for before, after in zip(carry, results, strict=False) if before is not UNKNOWN]
            return handed_on, tiles

        known_slices = [value for value in slices if value is not UNKNOWN]
        known_carry = [value for value in carry if value is not UNKNOWN]
        return jax.lax.scan(body, known_carry, known_slices, length=params["length"], reverse=params["reverse"])[1]


def _only(values: Sequence[Any], kept: Sequence[bool]) -> list[Any]:
    """`values` with those not to be kept made `UNKNOWN`."""
    return [value if keep else UNKNOWN for value, keep in zip(values, kept, strict=True)]


def _fill(pattern: Sequence[Any], known: Sequence[Any]) -> list[Any]:
    """`pattern` with its known places taken from `known`, in order."""
    remaining = iter(known)
    return [UNKNOWN if value is UNKNOWN else next(remaining) for value in pattern]


def program_sites(jaxpr: Any, inputs: Sequence[Any], placed: Mapping, known_carries: Mapping) -> dict[str, Any]:
    """Tiles of every placed site whose weight is known, by the site's name."""
    tiles: dict[str, Any] = {}
    Programmer(placed, known_carries, tiles.__setitem__).run(jaxpr, inputs)
    return tiles
