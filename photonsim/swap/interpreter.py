"""Running a traced function with some of its matrix products on a chip.

The jaxpr is evaluated equation by equation. An equation at a chosen address is done by its chip. One that holds a
chosen address somewhere inside is rebuilt from JAX's public API around its re-interpreted body. Every other equation is
issued again untouched, which is what makes unknown primitives safe. Custom derivative rules around a chosen product
give way to the derivative of what is inside; rules around anything else stay.

Noise keys: the body of a scan or loop folds in the number of the trip, a shard its place in the mesh; then see
`site_keys`. A function that is given the later rows of a longer input, as a decoding step is, says with `Scope.row`
where they begin: a weight product numbers the rows of its noise from there. The rows of a product of two activations
are not those of the input, so it takes the number into its key instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
from jax import numpy as jnp
from jaxtyping import PRNGKeyArray

from photonsim.swap.equations import CALLS, REMAT, Environment, called, opened, rebind
from photonsim.swap.products import PRODUCTS
from photonsim.swap.provenance import Address
from photonsim.swap.site import WEIGHT, AbstractMatmulUnit, Site, later_key, site_keys

Tiles = Mapping[str, Any]  # programmed operands by the name of their site


@dataclass(frozen=True)
class Scope:
    """What a jaxpr is evaluated with: the noise key, the sites' own, the tiles made beforehand, the number of the
    input's first row, and where it is."""

    key: PRNGKeyArray
    keys: Mapping[str, PRNGKeyArray]
    tiles: Tiles
    row: Any
    address: Address = ()

    def at(self, number: int) -> "Scope":
        """The scope of equation or sub-jaxpr `number`."""
        return replace(self, address=(*self.address, number))


@dataclass(frozen=True, eq=False)
class Interpreter:
    """Evaluates a jaxpr with the products at `placed` addresses on their chips."""

    placed: Mapping[Address, tuple[Site, AbstractMatmulUnit]]
    engine: str

    def scope(self, key: PRNGKeyArray, tiles: Tiles, row: Any = 0, address: Address = ()) -> Scope:
        """The scope of an address, with the keys of the sites below it."""
        below = [site.name for place, (site, _) in self.placed.items() if place[: len(address)] == address]
        return Scope(key, site_keys(key, below), tiles, row, address)

    def run(self, jaxpr: Any, inputs: Sequence[Any], scope: Scope) -> list[Any]:
        """Results of a jaxpr, closed or not."""
        inner, consts = opened(jaxpr)
        env = Environment(inner, consts, inputs)
        for number, eqn in enumerate(inner.eqns):
            env.write(eqn, self.equation(eqn, env.read(eqn.invars), scope.at(number)))
        return env.read(inner.outvars)

    def equation(self, eqn: Any, inputs: list[Any], scope: Scope) -> list[Any]:
        """Results of an equation."""
        if scope.address in self.placed:
            return [self.product(eqn, inputs, scope)]
        if not self.holds_a_site(scope.address):
            return rebind(eqn, inputs)
        if eqn.primitive.name in CALLS:
            return self.call(eqn, inputs, scope.at(0))
        return getattr(self, f"_{eqn.primitive.name}")(eqn, inputs, scope)

    def holds_a_site(self, address: Address) -> bool:
        """Whether any chosen product lies below an address."""
        return address in self._containers

    @cached_property
    def _containers(self) -> frozenset[Address]:
        return frozenset(place[:depth] for place in self.placed for depth in range(1, len(place)))

    def product(self, eqn: Any, inputs: list[Any], scope: Scope) -> Any:
        """A chosen product on its chip, with the tiles programmed beforehand or else programmed now."""
        site, chip = self.placed[scope.address]
        product = PRODUCTS[site.primitive](eqn, site.tile_operand)
        with jax.named_scope(f"photonsim[{site.name}]"):
            tiles = scope.tiles.get(site.name)
            if tiles is None:
                tiles = chip.program(product.matrix(inputs[site.tile_operand]))

            key, row = scope.keys[site.name], scope.row
            if site.kind != WEIGHT:
                key, row = later_key(key, row), 0

            def multiply(x, tiles, key, first=0):
                return chip.matmul(x, tiles, key, engine=self.engine, row_offset=row + first)

            return product.multiply(inputs, tiles, multiply, key)

    def call(self, eqn: Any, inputs: list[Any], scope: Scope) -> list[Any]:
        """A call, inlined; rematerialised where it was."""
        if eqn.primitive.name not in REMAT:
            return self.run(called(eqn), inputs, scope)

        def body(key, tiles, row, *args):
            return self.run(called(eqn), args, self.scope(key, tiles, row, scope.address))

        params = eqn.params
        body = jax.checkpoint(body, prevent_cse=params["prevent_cse"], policy=params["policy"])
        return body(scope.key, dict(scope.tiles), scope.row, *inputs)

    def _scan(self, eqn: Any, inputs: list[Any], scope: Scope) -> list[Any]:
        params, loop = eqn.params, scope.address
        split = params["num_consts"], params["num_consts"] + params["num_carry"]
        consts, carry, slices = inputs[: split[0]], inputs[split[0] : split[1]], inputs[split[1] :]
        varying = {site.name for site, _ in self.placed.values() if loop in site.loops}
        stacked = {name: tiles for name, tiles in scope.tiles.items() if name in varying}
        inside = scope.at(0)

        def body(carry, trip):
            number, tiles, own = trip
            key = jax.random.fold_in(scope.key, number)
            own_scope = self.scope(key, {**scope.tiles, **tiles}, scope.row, inside.address)
            results = self.run(params["jaxpr"], [*consts, *carry, *own], own_scope)
            return results[: len(carry)], results[len(carry) :]

        trips = (jnp.arange(params["length"]), stacked, slices)
        carry, stacks = jax.lax.scan(
            body, carry, trips, length=params["length"], reverse=params["reverse"], unroll=params["unroll"]
        )
        return [*carry, *stacks]

    def _while(self, eqn: Any, inputs: list[Any], scope: Scope) -> list[Any]:
        params = eqn.params
        split = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
        test_consts, consts, carry = inputs[: split[0]], inputs[split[0] : split[1]], inputs[split[1] :]

        def keyed(state, part):
            return self.scope(jax.random.fold_in(scope.key, state[0]), scope.tiles, scope.row, scope.at(part).address)

        def test(state):
            return self.run(params["cond_jaxpr"], [*test_consts, *state[1]], keyed(state, 0))[0]

        def body(state):
            return state[0] + 1, self.run(params["body_jaxpr"], [*consts, *state[1]], keyed(state, 1))

        return jax.lax.while_loop(test, body, (jnp.uint32(0), carry))[1]

    def _cond(self, eqn: Any, inputs: list[Any], scope: Scope) -> list[Any]:
        def branch(number, jaxpr):
            return lambda *args: self.run(jaxpr, args, scope.at(number))

        branches = [branch(number, jaxpr) for number, jaxpr in enumerate(eqn.params["branches"])]
        return jax.lax.switch(inputs[0], branches, *inputs[1:])

    def _shard_map(self, eqn: Any, inputs: list[Any], scope: Scope) -> list[Any]:
        params = eqn.params
        axes = (
            params["newly_manual_axes"] if "newly_manual_axes" in params else params["manual_axes"]
        )  # before JAX 0.10

        def body(key, row, *args):
            for axis in params["mesh"].axis_names:
                if axis in axes:
                    key = jax.random.fold_in(key, jax.lax.axis_index(axis))
            return self.run(params["jaxpr"], args, self.scope(key, scope.tiles, row, scope.at(0).address))

        whole = jax.sharding.PartitionSpec()
        mapped = jax.shard_map(
            body,
            mesh=params["mesh"],
            in_specs=(whole, whole, *params["in_specs"]),
            out_specs=list(params["out_specs"]),
            check_vma=False,  # an inlined chip may use primitives without a replication rule
            axis_names=set(axes),
        )
        return mapped(scope.key, jnp.asarray(scope.row), *inputs)
