"""A JAX function with its matrix products on a photonic chip.

    sim = simulate(model, chip)                   # model(params, tokens)
    logits = sim(params, tokens)                  # programs the chip on the way; differentiable in both
    tiles = sim.program(params, tokens)           # or: once per weight ...
    logits = jax.jit(sim.run)(tiles, params, tokens)        # ... and then as often as needed

Wrap what is called often in `jax.jit`: outside it every equation is dispatched on its own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import PRNGKeyArray

from photonsim.errors import PhotonsimError
from photonsim.swap.counting import counted
from photonsim.swap.coverage import Coverage, check_strict, coverage
from photonsim.swap.interpreter import Interpreter, Tiles
from photonsim.swap.programming import UNKNOWN, program_sites
from photonsim.swap.provenance import Address
from photonsim.swap.rules import Rule
from photonsim.swap.site import AbstractMatmulUnit, Site
from photonsim.swap.tracing import Trace, Tracer, array_leaves, parameter_names

Seed = int | jax.Array


class Stream(NamedTuple):
    """The noise of a function that is given rows `row`, `row` + 1, … of a longer input, such as one token after others.

    A weight product then disturbs a row as it does when it is given all of them at once.
    """

    seed: Seed
    row: int | jax.Array = 0


class Products(NamedTuple):
    """What a run executes: the sites on a chip, each with its chip, and those that stay digital."""

    on_chip: tuple[tuple[Site, AbstractMatmulUnit], ...]
    digital: tuple[Site, ...]


def noise_key(seed: Seed) -> PRNGKeyArray:
    """A JAX key from a whole number or a key; either may be traced."""
    if isinstance(seed, jax.Array) and jnp.issubdtype(seed.dtype, jax.dtypes.prng_key):
        return seed
    if getattr(seed, "shape", ()) == (2,):
        return jax.random.wrap_key_data(jnp.asarray(seed))
    try:
        return jax.random.key(seed)
    except (TypeError, OverflowError):
        raise PhotonsimError(f"seed = {seed!r}: give a whole number or a JAX key.") from None


class Simulation:
    """`fn` on a chip; see `simulate`. `seed=` in a call replaces the simulation's own, or is a `Stream`."""

    def __init__(
        self,
        fn: Callable,
        chip: AbstractMatmulUnit,
        rules: Sequence[Rule],
        weights: tuple[int, ...],
        seed: Seed,
        strict: bool,
        engine: str,
    ):
        self.fn = fn
        self.chip = chip
        self.rules = tuple(rules)
        self.weights = weights
        self.seed = seed
        self.strict = strict
        self.engine = engine
        self._trace = Tracer(fn, weights)

    def __call__(self, *args, seed: Seed | Stream | None = None, **kwargs) -> Any:
        """`fn(*args, **kwargs)` with its products on the chip, which is programmed on the way."""
        return self.run({}, *args, seed=seed, **kwargs)

    def run(self, programmed: Tiles, /, *args, seed: Seed | Stream | None = None, **kwargs) -> Any:
        """The same with the tiles that `program` made. A site that has none there is programmed on the way."""
        trace = self._trace(args, kwargs)
        unknown = set(programmed) - {site.name for site in trace.sites}
        if unknown:
            raise PhotonsimError(
                f"The programmed tiles hold {min(unknown)}, which the model does not have: "
                "run them with the simulation that programmed them."
            )
        interpreter = Interpreter(self._placed(trace), self.engine)
        given = self.seed if seed is None else seed
        stream = given if isinstance(given, Stream) else Stream(given)
        scope = interpreter.scope(noise_key(stream.seed), programmed, stream.row)
        results = interpreter.run(trace.jaxpr, array_leaves(args, kwargs), scope)
        return jax.tree.unflatten(trace.result_tree, results)

    def program(self, *args, **kwargs) -> dict[str, Any]:
        """Tiles of every weight, stored narrowly, by the name of their site.

        Only the parameters are read: of the other arguments the shapes suffice (`jax.ShapeDtypeStruct`).
        """
        trace = self._trace(args, kwargs)
        leaves = array_leaves(args, kwargs)
        inputs = [leaf if known else UNKNOWN for leaf, known in zip(leaves, trace.parameters, strict=True)]
        return program_sites(trace.jaxpr, inputs, self._placed(trace), trace.analysis.known_carries)

    def coverage(self, *args, **kwargs) -> Coverage:
        """Where every product runs, and why. Arguments may be shapes (`jax.ShapeDtypeStruct`); nothing is computed, so
        a product in a loop of unknown length counts once (see `executed`)."""
        return coverage(self._trace(args, kwargs).sites, self.rules, self.chip)

    def executed(self, *args, **kwargs) -> Coverage:
        """The coverage of a call that is really made, digitally: a loop of unknown length is counted while it runs, and
        of branches the one that is taken."""
        trace = self._trace(args, kwargs)
        sites = counted(trace.jaxpr, array_leaves(args, kwargs), trace.sites)
        return coverage(sites, self.rules, self.chip)

    def products(self, *args, **kwargs) -> Products:
        """The products of a run, as a price list needs them."""
        rows = self.coverage(*args, **kwargs).products
        on_chip = tuple((row.site, row.chip) for row in rows if row.chip is not None)
        return Products(on_chip, tuple(row.site for row in rows if not row.on_chip))

    def _placed(self, trace: Trace) -> Mapping[Address, tuple[Site, AbstractMatmulUnit]]:
        table = coverage(trace.sites, self.rules, self.chip)
        if self.strict:
            check_strict(table, trace.analysis.uncounted)
        return {row.site.address: (row.site, row.chip) for row in table.rows if row.chip is not None}


def simulate(
    fn: Callable,
    chip: AbstractMatmulUnit,
    rules: Sequence[Rule] | None = None,
    weights: int | Sequence[int] = 0,
    seed: Seed = 0,
    strict: bool = False,
    engine: str = "auto",
) -> Simulation:
    """Put the matrix products of a JAX function on a chip.

    - `fn`: any JAX function. `weights`: positions of its arguments that hold parameters.
    - `chip`: a `photonsim.Chip`, or anything with its `program`, `compact` and `matmul`.
    - `rules`: see `photonsim.swap.rules`; before the default ones.
    - `seed`: whole number or JAX key of the noise. A site's noise depends on it and on the site's name alone. Under
      `jax.vmap` over inputs every element sees the same noise; map over seeds too where it should not.
    - `strict`: refuse a product that stays digital though no rule says so, and a rule that decides nothing.
    - `engine`: handed to the chip.

    A product's operands are cast to float32 for the chip, its result to what the function had.
    """
    if not callable(fn):
        raise PhotonsimError(f"simulate takes a JAX function, not a {type(fn).__name__}: pass fn, not fn(params, x).")
    if "seed" in parameter_names(fn):
        raise PhotonsimError("The function has a parameter `seed`, the name of the noise seed: rename it.")
    positions = (weights,) if isinstance(weights, int) else tuple(weights)
    return Simulation(fn, chip, () if rules is None else tuple(rules), positions, seed, strict, engine)
