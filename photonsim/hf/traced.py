"""The traced adapter: a PyTorch model as a JAX function, for jit, gradients, `vmap` over dies, and GPUs.

    function, weights = photonsim.hf.trace(model)
    sim = photonsim.simulate(function, chip)              # Door 1 from here on
    logits = jax.jit(sim)(weights, input_ids=ids)["logits"]

The names of the parameters are kept, so a product has the name and the noise that it has in an eager run. What the
model decides in Python by the values of its tensors cannot be traced; `generate` is one such thing.

All that photonsim knows of torchax is in this file. torchax is young and its releases lag behind PyTorch's: it is
pinned to one (the extra `torchax`), made to load beside a newer PyTorch, and given the few operations that it lacks.
"""

import contextlib
import functools
import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import torch
from jax import numpy as jnp

from photonsim.errors import PhotonsimError
from photonsim.hf.interception import AttentionInParts

MODULES = ("torchax", "torchax.decompositions", "torchax.ops.jaten", "torchax.ops.jtorch")


def trace(model: torch.nn.Module) -> tuple[Callable[..., Any], dict[str, jax.Array]]:
    """A function `f(weights, *args, **kwargs)` that does what the model's forward does, and the weights.

    Arguments and results are JAX arrays; what is called a `ModelOutput` comes back as a dictionary of its arrays. The
    weights are copied: drop the model when memory is short.
    """
    environment = _environment()
    from torchax.interop import JittableModule

    module = JittableModule(model)
    held: Any = module  # its annotations say what PyTorch's own modules have
    weights = environment.t2j_copy({**held.buffers, **held.params})

    def function(weights: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        params = {name: weights[name] for name in held.params}
        buffers = {name: weights[name] for name in held.buffers}
        params, buffers, args, kwargs = environment.j2t_iso((params, buffers, args, kwargs))
        with environment, AttentionInParts(), torch.no_grad():
            result = module.functional_call("forward", params, buffers, *args, **kwargs)
        return environment.t2j_iso(_plain(result))

    function.__name__ = type(model).__name__
    return function, weights


def _plain(result: Any) -> Any:
    """A result without the classes and caches that JAX does not know."""
    if isinstance(result, Mapping):
        found = {name: _plain(value) for name, value in result.items()}
        return {name: value for name, value in found.items() if value is not None}
    if isinstance(result, list | tuple):
        return tuple(_plain(value) for value in result)
    return result if isinstance(result, torch.Tensor) else None


@functools.cache
def _environment() -> Any:
    """torchax's environment, with the operations it lacks."""
    try:
        with _missing_overloads_are_none():
            for name in MODULES:
                importlib.import_module(name)
    except ImportError as error:
        raise PhotonsimError(f"Tracing needs torchax ({error}): pip install 'photonsim[torchax]'.") from None
    import torchax
    from torchax.ops.ops_registry import Operator

    environment = torchax.default_env()
    aten = torch.ops.aten
    for operation, function in (
        (aten.all.default, _all),
        (aten.all.dim, _all),
        (aten._grouped_mm.default, _grouped_mm),
    ):
        environment._ops[operation] = Operator(
            operation, function, is_jax_function=True, is_user_defined=True, needs_env=False, is_view_op=False
        )
    return environment


@contextlib.contextmanager
def _missing_overloads_are_none() -> Iterator[None]:
    """While torchax loads, which only files them: overloads for named tensors, gone from PyTorch, are `None`."""
    packet: Any = torch._ops.OpOverloadPacket
    before = packet.__getattr__

    def lookup(self, name):
        try:
            return before(self, name)
        except AttributeError:
            if "name" in name.lower():
                return None
            raise

    packet.__getattr__ = lookup
    try:
        yield
    finally:
        packet.__getattr__ = before


def _all(values, dim=None, keepdim=False):
    return jnp.all(values, axis=dim, keepdims=keepdim)


def _grouped_mm(rows, matrices, offs=None, bias=None, out_dtype=None):
    assert offs is not None
    sizes = jnp.diff(offs, prepend=0).astype(jnp.int32)
    return jax.lax.ragged_dot(rows, matrices, sizes).astype(out_dtype or rows.dtype)
