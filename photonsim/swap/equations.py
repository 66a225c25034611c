"""Reading and re-issuing the equations of a jaxpr: the few places where JAX's internals, and their drift, show."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax
from jax.extend import core

# Primitives that run one jaxpr once on their own operands; which parameter holds it depends on the primitive.
CUSTOM_CALLS = frozenset(("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"))
REMAT = frozenset(("remat2", "checkpoint", "remat"))
CALLS = frozenset(("jit", "pjit", "closed_call", "core_call")) | REMAT | CUSTOM_CALLS


def opened(jaxpr: Any) -> tuple[core.Jaxpr, Sequence[Any]]:
    """The jaxpr and its constants, whether it came closed or not."""
    return (jaxpr.jaxpr, jaxpr.consts) if isinstance(jaxpr, core.ClosedJaxpr) else (jaxpr, ())


def called(eqn: Any) -> core.Jaxpr | core.ClosedJaxpr:
    """The jaxpr of one of the `CALLS`."""
    names = ("jaxpr", "call_jaxpr", "fun_jaxpr")
    return next(eqn.params[name] for name in names if name in eqn.params)


def inner_equations(eqn: Any) -> Iterator[Any]:
    """Every equation in the jaxprs among an equation's parameters, at any depth."""
    for value in eqn.params.values():
        for jaxpr in value if isinstance(value, tuple | list) else (value,):
            if isinstance(jaxpr, core.Jaxpr | core.ClosedJaxpr):
                for inner in opened(jaxpr)[0].eqns:
                    yield inner
                    yield from inner_equations(inner)


def rebind(eqn: Any, inputs: Sequence[Any]) -> list[Any]:
    """Issue an equation again, unchanged, on other inputs."""
    bind_params = eqn.primitive.get_bind_params(eqn.params)
    functions, params = bind_params if isinstance(bind_params, tuple) else ((), bind_params)  # a pair before JAX 0.9
    stack = str(eqn.source_info.name_stack)
    context = getattr(eqn, "ctx", None)
    with (
        jax.named_scope(stack) if stack else contextlib.nullcontext(),
        context.manager if context is not None else contextlib.nullcontext(),
    ):
        outputs = eqn.primitive.bind(*functions, *inputs, **params)
    return list(outputs) if eqn.primitive.multiple_results else [outputs]


class Environment:
    """Values of a jaxpr's variables while it is walked; each is dropped after its last use, to free its memory."""

    def __init__(self, jaxpr: core.Jaxpr, consts: Sequence[Any], inputs: Sequence[Any]):
        self._values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *inputs], strict=True))
        kept = {v for v in jaxpr.outvars if not isinstance(v, core.Literal)}
        self._last_use = {v: eqn for eqn in jaxpr.eqns for v in eqn.invars if not isinstance(v, core.Literal)}
        self._last_use = {v: eqn for v, eqn in self._last_use.items() if v not in kept}

    def read(self, variables: Sequence[Any], literal=lambda value: value) -> list[Any]:
        """Values of variables; a literal's is what `literal` makes of it."""
        return [literal(v.val) if isinstance(v, core.Literal) else self._values[v] for v in variables]

    def write(self, eqn: Any, outputs: Sequence[Any]) -> None:
        """Store an equation's results and forget the inputs it was the last to need."""
        self._values.update(zip(eqn.outvars, outputs, strict=True))
        for v in eqn.invars:
            if not isinstance(v, core.Literal) and self._last_use.get(v) is eqn:
                self._values.pop(v, None)
