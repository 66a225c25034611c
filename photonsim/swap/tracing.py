"""From a function and its arguments to a jaxpr whose products are named; done once for each set of shapes."""

import inspect
import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
from jax import core
from jax import numpy as jnp

from photonsim.errors import PhotonsimError
from photonsim.swap.analysis import Analysis, analyse
from photonsim.swap.naming import parameter_path
from photonsim.swap.provenance import CONSTANT, DATA, Origin, Provenance
from photonsim.swap.site import FOLDED


@dataclass(frozen=True, eq=False)
class Trace:
    """A function at given shapes: its jaxpr on the array leaves of its arguments, what was found in it, and the
    structure of its result. `parameters` marks the leaves that belong to the parameters."""

    jaxpr: Any
    analysis: Analysis
    result_tree: Any
    parameters: tuple[bool, ...]

    @property
    def sites(self):
        """Every product found, in the order of evaluation."""
        return tuple(self.analysis.sites.values())


def is_array(leaf: Any) -> bool:
    """Whether a leaf of the arguments is traced; numbers, functions and strings are left as they are."""
    return hasattr(leaf, "shape") and hasattr(leaf, "dtype")


def array_leaves(args: tuple, kwargs: dict) -> list[Any]:
    """The leaves of the arguments that a trace takes."""
    return [leaf for leaf in jax.tree.leaves((args, kwargs)) if is_array(leaf)]


class Tracer:
    """Traces one function; keeps each trace by the structure, shapes and dtypes of the arguments."""

    def __init__(self, fn: Callable, weights: tuple[int, ...]):
        self.fn = fn
        self.weights = weights
        self._traces: dict[Hashable, Trace] = {}

    def __call__(self, args: tuple, kwargs: dict) -> Trace:
        leaves, tree = jax.tree.flatten((args, kwargs))
        key = (tree, tuple(map(_signature, leaves)), jax.config.read("jax_enable_x64"))
        try:
            known = self._traces.get(key)
        except TypeError:  # an argument that cannot be hashed: traced anew every time
            return self._trace(args, kwargs)
        if known is not None:
            return known
        trace = self._trace(args, kwargs)
        if not any(isinstance(value, core.Tracer) for value in trace.jaxpr.consts):
            self._traces[key] = trace
        return trace

    def _trace(self, args: tuple, kwargs: dict) -> Trace:
        leaves, tree = jax.tree.flatten((args, kwargs))
        arrays = [i for i, leaf in enumerate(leaves) if is_array(leaf)]

        def on_arrays(*values):
            filled = list(leaves)
            for i, value in zip(arrays, values, strict=True):
                filled[i] = value
            args, kwargs = jax.tree.unflatten(tree, filled)
            return self.fn(*args, **kwargs)

        shapes = [_abstract(leaves[i]) for i in arrays]
        jaxpr, result = jax.make_jaxpr(on_arrays, return_shape=True)(*shapes)
        provenance, parameters = self._provenance(args, kwargs)
        trace = Trace(jaxpr, analyse(jaxpr, provenance), jax.tree.structure(result), parameters)
        _check(trace, self.fn)
        return trace

    def _provenance(self, args: tuple, kwargs: dict) -> tuple[list[Provenance], tuple[bool, ...]]:
        """Provenance of each array leaf, and whether it is a parameter."""
        if self.weights and max(self.weights) >= len(args):
            raise PhotonsimError(
                f"weights={self.weights}, but the function was called with {len(args)} positional arguments: "
                "pass the parameters by position, or name their positions with weights=."
            )
        values: list[Provenance] = []
        parameters: list[bool] = []
        for path, leaf in jax.tree_util.tree_flatten_with_path((args, kwargs))[0]:
            if not is_array(leaf):
                continue
            is_parameter = path[0].idx == 0 and path[1].idx in self.weights
            parameters.append(is_parameter)
            values.append(self._parameter(leaf, path) if is_parameter else DATA)
        return values, tuple(parameters)

    def _parameter(self, leaf: Any, path: Sequence) -> Provenance:
        if not jnp.issubdtype(leaf.dtype, jnp.inexact) and len(leaf.shape) < 2:
            return CONSTANT
        return Provenance(Origin.WEIGHT, frozenset([parameter_path(path[2:], self._argument_name(path[1].idx))]))

    def _argument_name(self, position: int) -> str:
        names = list(parameter_names(self.fn))
        return names[position] if position < len(names) else f"argument{position}"


def parameter_names(fn: Callable) -> tuple[str, ...]:
    """Names of a function's parameters; none where Python cannot tell."""
    try:
        return tuple(inspect.signature(fn).parameters)
    except (TypeError, ValueError):
        return ()


def _abstract(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, weak_type=getattr(leaf, "weak_type", False))


def _signature(leaf: Any) -> Hashable:
    if is_array(leaf):
        return leaf.shape, leaf.dtype, getattr(leaf, "weak_type", False)
    return type(leaf), leaf


def _check(trace: Trace, fn: Callable) -> None:
    """Refuse a function without a product a chip could take; say which ones it cannot."""
    name = getattr(fn, "__name__", type(fn).__name__)
    if not any(site.kind != FOLDED and site.obstacle is None for site in trace.sites):
        raise PhotonsimError(
            f"{name} has no matrix product of floating-point numbers that a chip could take: "
            "check that it is the model's function, and that weights= names the position of its parameters."
        )
    if sparse := trace.analysis.uncounted:
        warnings.warn(f"{sparse[0]} in {name} multiplies sparse matrices: digital, and not counted.", stacklevel=2)
    hidden = [site for site in trace.sites if site.obstacle and "taken apart" in site.obstacle]
    if hidden:
        warnings.warn(
            f"{len(hidden)} matrix products of {name} stay digital, {hidden[0].obstacle}: see its coverage.",
            stacklevel=2,
        )
