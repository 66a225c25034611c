"""How often each product is really executed: loops and branches run, one trip after another, and every product counted.

A `while` loop does not say beforehand how often it turns, nor a `cond` which way it goes. So the jaxpr is evaluated on
real arguments with Python's own loops in place of XLA's, digitally, and each product's executions are added up.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import jax
from jax import numpy as jnp

from photonsim.swap.equations import CALLS, Environment, called, opened, rebind
from photonsim.swap.products import PRODUCTS
from photonsim.swap.provenance import Address
from photonsim.swap.site import Site


def counted(jaxpr: Any, inputs: Sequence[Any], sites: Iterable[Site]) -> list[Site]:
    """The sites that a run executes, with the number of times; those inside what stays whole as they were."""
    count = _Count()
    count.run(jaxpr, inputs, ())
    found = []
    for site in sites:
        inside = (site.address[:depth] in count.whole for depth in range(1, len(site.address)))
        trips = count.executions[site.address]
        if any(inside):
            found.append(site)
        elif trips:
            found.append(replace(site, trips=trips, dynamic=False))
    return found


class _Count:
    """The evaluation; addresses are those of `photonsim.swap.analysis`."""

    def __init__(self):
        self.executions: Counter[Address] = Counter()
        self.whole: set[Address] = set()  # equations that are not taken apart

    def run(self, jaxpr: Any, inputs: Sequence[Any], address: Address) -> list[Any]:
        """Results of a jaxpr, closed or not."""
        inner, consts = opened(jaxpr)
        env = Environment(inner, consts, inputs)
        for number, eqn in enumerate(inner.eqns):
            env.write(eqn, self.equation(eqn, env.read(eqn.invars), (*address, number)))
        return env.read(inner.outvars)

    def equation(self, eqn: Any, inputs: list[Any], address: Address) -> list[Any]:
        """Results of an equation."""
        name = eqn.primitive.name
        if name in PRODUCTS:
            self.executions[address] += 1
        if name in CALLS:
            return self.run(called(eqn), inputs, (*address, 0))
        own = {"scan": self.scan, "while": self.loop, "cond": self.branch}.get(name)
        if own is not None:
            return own(eqn.params, inputs, address)
        self.whole.add(address)
        return rebind(eqn, inputs)

    def scan(self, params: dict[str, Any], inputs: list[Any], address: Address) -> list[Any]:
        """A scan, trip by trip."""
        split = params["num_consts"], params["num_consts"] + params["num_carry"]
        consts, carry, slices = inputs[: split[0]], inputs[split[0] : split[1]], inputs[split[1] :]
        order = range(params["length"])
        stacks = []
        for trip in reversed(order) if params["reverse"] else order:
            results = self.run(params["jaxpr"], [*consts, *carry, *(each[trip] for each in slices)], (*address, 0))
            carry = results[: len(carry)]
            stacks.append(results[len(carry) :])
        stacks = stacks[::-1] if params["reverse"] else stacks
        shapes: list[Any] = [each.aval for each in opened(params["jaxpr"])[0].outvars[len(carry) :]]
        empty = [jnp.zeros((0, *shape.shape), shape.dtype) for shape in shapes]
        return [*carry, *(map(jnp.stack, zip(*stacks, strict=True)) if stacks else empty)]

    def loop(self, params: dict[str, Any], inputs: list[Any], address: Address) -> list[Any]:
        """A while loop, as often as its test says."""
        split = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
        test, consts, carry = inputs[: split[0]], inputs[split[0] : split[1]], inputs[split[1] :]
        while bool(self.run(params["cond_jaxpr"], [*test, *carry], (*address, 0))[0]):
            carry = self.run(params["body_jaxpr"], [*consts, *carry], (*address, 1))
        return carry

    def branch(self, params: dict[str, Any], inputs: list[Any], address: Address) -> list[Any]:
        """The branch that is taken."""
        number = int(jax.lax.clamp(0, jnp.asarray(inputs[0], jnp.int32), len(params["branches"]) - 1))
        return self.run(params["branches"][number], inputs[1:], (*address, number))
