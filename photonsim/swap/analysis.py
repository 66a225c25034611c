"""The dataflow pass: every matrix product of a traced function, named by where its operands come from.

Nothing is computed. The pass walks the jaxpr with a `Provenance` in place of each value, enters calls, scans, loops and
branches, and notes a `Site` for each product it meets. A scan's or loop's carry is solved by repeating the body until
its provenance no longer changes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jax import numpy as jnp

from photonsim.swap.equations import CALLS, Environment, called, inner_equations, opened
from photonsim.swap.naming import UniqueNames
from photonsim.swap.products import PRODUCTS, AbstractProduct
from photonsim.swap.provenance import CONSTANT, Address, Origin, Provenance, choice, join
from photonsim.swap.roles import role
from photonsim.swap.site import ACTIVATION, Site


@dataclass(frozen=True)
class Place:
    """Where in the program the walk is. `recording` is off while a loop is still being solved."""

    address: Address = ()
    name_stack: str = ""
    trips: int = 1
    dynamic: bool = False
    recording: bool = True

    def at(self, number: int, eqn: Any) -> "Place":
        """The place of an equation."""
        own = str(eqn.source_info.name_stack)
        stack = "/".join(part for part in (self.name_stack, own) if part)
        return replace(self, address=(*self.address, number), name_stack=stack)

    def inside(self, part: int = 0) -> "Place":
        """The place of a jaxpr that the equation holds."""
        return replace(self, address=(*self.address, part))


# Products of sparse matrices, which no chip takes: digital, and by their shapes it cannot be said how large.
SPARSE = frozenset(
    (
        "bcoo_dot_general",
        "bcoo_spdot_general",
        "bcsr_dot_general",
        "coo_matvec",
        "coo_matmat",
        "csr_matvec",
        "csr_matmat",
    )
)


@dataclass
class Analysis:
    """What the pass found: sites by the address of their equation, which carries of a scan are known early, and the
    names of products that are not counted."""

    sites: dict[Address, Site] = field(default_factory=dict)
    known_carries: dict[Address, tuple[bool, ...]] = field(default_factory=dict)
    uncounted: list[str] = field(default_factory=list)


def analyse(closed_jaxpr: Any, inputs: Sequence[Provenance]) -> Analysis:
    """Walk a function's jaxpr, given the provenance of its arguments."""
    walk = _Walk()
    walk.jaxpr(closed_jaxpr, inputs, Place())
    return walk.found


def invariant_carries(jaxpr: Any, consts: int) -> list[bool]:
    """For each carry of a loop's body with `consts` leading inputs: whether the body hands it on unchanged."""
    carries = jaxpr.invars[consts:]
    return [before is after for before, after in zip(carries, jaxpr.outvars, strict=False)]


def _constant(value: Any, place: Place, number: int) -> Provenance:
    """A closed-over matrix counts as a weight, under its number; anything smaller is a constant."""
    if getattr(value, "ndim", 0) < 2 or not jnp.issubdtype(value.dtype, jnp.floating):
        return CONSTANT
    name = ".".join(map(str, ("const", *place.address, number)))
    return Provenance(Origin.WEIGHT, frozenset([name]))


class _Walk:
    """The walk itself; a method `_name` knows how the primitive `name` passes provenance on."""

    def __init__(self):
        self.found = Analysis()
        self.unique = UniqueNames()

    def jaxpr(self, jaxpr: Any, inputs: Sequence[Provenance], place: Place) -> list[Provenance]:
        """Provenance of a jaxpr's results."""
        inner, consts = opened(jaxpr)
        env = Environment(inner, [_constant(value, place, i) for i, value in enumerate(consts)], inputs)
        for number, eqn in enumerate(inner.eqns):
            operands = env.read(eqn.invars, literal=lambda _: CONSTANT)
            env.write(eqn, self.equation(eqn, operands, place.at(number, eqn)))
        return env.read(inner.outvars, literal=lambda _: CONSTANT)

    def equation(self, eqn: Any, operands: list[Provenance], place: Place) -> list[Provenance]:
        """Provenance of an equation's results."""
        name = eqn.primitive.name
        if name in PRODUCTS:
            return [self.product(eqn, operands, place)]
        if name in CALLS:
            return self.jaxpr(called(eqn), operands, place.inside())
        rule = getattr(self, f"_{name}", None)
        if rule is not None:
            return rule(eqn, operands, place)
        self.note_opaque(eqn, place)
        if name in SPARSE and place.recording:
            self.found.uncounted.append(name)
        return [join(*operands)] * len(eqn.outvars)

    # Control flow

    def _scan(self, eqn: Any, operands: list[Provenance], place: Place) -> list[Provenance]:
        params, loop = eqn.params, place.address
        split = params["num_consts"], params["num_consts"] + params["num_carry"]
        consts, carry, slices = operands[: split[0]], operands[split[0] : split[1]], operands[split[1] :]
        slices = [value.varying_over(loop) for value in slices]
        fixed = invariant_carries(params["jaxpr"].jaxpr, split[0])[: len(carry)]
        carry = [value if same else value.varying_over(loop) for value, same in zip(carry, fixed, strict=True)]
        body = replace(place.inside(), trips=place.trips * params["length"])
        carry = self.solve(params["jaxpr"], consts, carry, slices, body)
        self.found.known_carries[loop] = tuple(value.known for value in carry)
        results = self.jaxpr(params["jaxpr"], [*consts, *carry, *slices], body)
        return self.leave([value.leaving(loop) for value in results], operands)

    def _while(self, eqn: Any, operands: list[Provenance], place: Place) -> list[Provenance]:
        params = eqn.params
        split = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
        consts, carry = operands[split[0] : split[1]], operands[split[1] :]
        fixed = invariant_carries(params["body_jaxpr"].jaxpr, params["body_nconsts"])
        carry = [value if same else value.at_run_time() for value, same in zip(carry, fixed, strict=True)]
        place = replace(place, dynamic=True)
        carry = self.solve(params["body_jaxpr"], consts, carry, [], place.inside(1))
        self.jaxpr(params["cond_jaxpr"], [*operands[: split[0]], *carry], place.inside(0))
        results = self.jaxpr(params["body_jaxpr"], [*consts, *carry], place.inside(1))
        return [value.at_run_time() for value in results]

    def _cond(self, eqn: Any, operands: list[Provenance], place: Place) -> list[Provenance]:
        place = replace(place, dynamic=True)
        branches = [
            self.jaxpr(branch, operands[1:], place.inside(number))
            for number, branch in enumerate(eqn.params["branches"])
        ]
        return self.leave([choice(operands[0], *results) for results in zip(*branches, strict=True)], operands)

    def _shard_map(self, eqn: Any, operands: list[Provenance], place: Place) -> list[Provenance]:
        # A shard of a weight is programmed where it is: nothing inside counts as known early.
        return self.jaxpr(eqn.params["jaxpr"], [value.at_run_time() for value in operands], place.inside())

    def solve(self, jaxpr: Any, consts, carry, slices, place: Place) -> list[Provenance]:
        """The carry of a loop's body at its fixed point. It is reached, as provenance only grows and is finite."""
        while True:
            results = self.jaxpr(jaxpr, [*consts, *carry, *slices], replace(place, recording=False))
            grown = [join(before, after) for before, after in zip(carry, results, strict=False)]
            if grown == carry:
                return carry
            carry = grown

    @staticmethod
    def leave(results: list[Provenance], operands: list[Provenance]) -> list[Provenance]:
        """Results of control flow count as known early only if all of its inputs do: it is not taken apart."""
        if all(value.known for value in operands):
            return results
        return [value.at_run_time() for value in results]

    # Choices, by which data picks a weight

    def _gather(self, eqn: Any, operands: list[Provenance], place: Place) -> list[Provenance]:
        return [choice(join(*operands[1:]), operands[0])]

    _dynamic_slice = _gather

    def _select_n(self, eqn: Any, operands: list[Provenance], place: Place) -> list[Provenance]:
        return [choice(*operands)]

    # Products

    def product(self, eqn: Any, operands: list[Provenance], place: Place) -> Provenance:
        """Note a site, and say where its result comes from."""
        kind = PRODUCTS[eqn.primitive.name]
        found = role(operands[0], operands[1], either=eqn.primitive.name == "dot_general")
        product = kind(eqn, found.tile_operand)
        self.note(eqn, product, found.kind, found.name, operands[found.tile_operand], place)
        return found.result

    def note(self, eqn: Any, product: AbstractProduct, kind: str, name: str, tile: Provenance, place: Place) -> None:
        """Record a site; a product of nothing is none."""
        size = product.size
        if not place.recording or not math.prod((size.batch, size.m, size.k, size.n, place.trips)):
            return
        self.found.sites[place.address] = Site(
            name=self.unique(name),
            kind=kind,
            primitive=eqn.primitive.name,
            batch=size.batch,
            m=size.m,
            k=size.k,
            n=size.n,
            trips=place.trips,
            dynamic=place.dynamic,
            paths=tuple(sorted(tile.paths)),
            tile_operand=product.tile_operand,
            known=tile.known,
            loops=tuple(sorted(tile.loops, key=len)),
            obstacle=product.obstacle,
            name_stack=place.name_stack,
            dtypes=tuple(str(operand.aval.dtype) for operand in eqn.invars[:2]),
            address=place.address,
            ragged_rows=size.ragged_rows,
        )

    def note_opaque(self, eqn: Any, place: Place) -> None:
        """Record the products inside a primitive that is not taken apart; they stay digital."""
        obstacle = f"inside {eqn.primitive.name}, which cannot be taken apart"
        place = replace(place, dynamic=True)
        products = (inner for inner in inner_equations(eqn) if inner.primitive.name in PRODUCTS)
        for number, inner in enumerate(products):
            product = PRODUCTS[inner.primitive.name](inner)
            name = f"{eqn.primitive.name}:product"
            inside = place.inside(number)
            self.note(inner, product, ACTIVATION, name, CONSTANT, inside)
            if inside.address in self.found.sites:
                site = self.found.sites[inside.address]
                self.found.sites[inside.address] = replace(site, obstacle=obstacle, known=False)
