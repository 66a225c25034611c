"""Functions of arrays as a GPU must evaluate them to give the bits of a CPU.

On a CPU, roots and quotients are IEEE's, and LLVM contracts a product and the addition that needs it into one fused
multiply-add. Triton rounds twice there, takes approximate roots and quotients, and lets a minimum drop a NaN. So the
definition is not written again for a GPU, but traced, and each of its operations that rounds in its own way is replaced
by the one instruction of PTX that rounds as on a CPU. "Which product goes into which addition" has one answer, since
every addition in `partial_sums.py` and `noise.py` has exactly one product as an operand.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
from jax import numpy as jnp
from jax.experimental.pallas import triton
from jax.extend import core
from jax.extend.core import primitives
from jaxtyping import Array, Int8

from photonsim.tiles.partial_sums import positive_root

ROUNDER = 1.5 * 2**23  # a float32 below 2^22 plus this has no bits for a fraction, and its integer in the low bits


# The root of a number that is 0, or at least 2^-100 and finite: the steps that NVIDIA's own compiler takes for
# sqrt.rn.f32 in that range, without its branch for all others, which would keep roots from being taken side by side.
_ROOT = """{
.reg .f32 root, half, inverse, error;
max.f32 inverse, $1, 0f0D800000;
rsqrt.approx.ftz.f32 inverse, inverse;
mul.rn.f32 root, $1, inverse;
mul.rn.f32 half, inverse, 0f3F000000;
neg.f32 error, root;
fma.rn.f32 error, error, root, $1;
fma.rn.f32 $0, error, half, root;
}"""


def _ptx(code: str) -> Callable[..., Array]:
    """Instructions of PTX on float32, element by element: operands `$1` and on, result `$0`."""
    count = len(set(re.findall(r"\$[1-9]", code)))

    def run(*operands: Array) -> Array:
        alike = jnp.broadcast_arrays(*operands)
        result = jax.ShapeDtypeStruct(alike[0].shape, jnp.float32)
        registers = ",".join(["=f", *"f" * count])
        return triton.elementwise_inline_asm(
            code, args=alike, constraints=registers, pack=1, result_shape_dtypes=[result]
        )[0]

    return run


_MULTIPLY_ADD = _ptx("fma.rn.f32 $0, $1, $2, $3;")
_ADD_ROUNDER = _ptx("add.rn.f32 $0, $1, 0f4B400000;")  # said in PTX, since no compiler may think that it cancels
_ROUNDED_ALIKE = {
    primitives.sqrt_p: _ptx(_ROOT),
    primitives.div_p: _ptx("div.rn.f32 $0, $1, $2;"),
    primitives.min_p: _ptx("min.NaN.f32 $0, $1, $2;"),
    primitives.max_p: _ptx("max.NaN.f32 $0, $1, $2;"),
}


# Of four bytes in a word: their signs; each that is not negative with its bits turned; 1 added there, without a carry.
_NEGATIVE_MAGNITUDES = """{
.reg .b32 signs, turned, ones;
prmt.b32 signs, $1, 0, 0xba98;
not.b32 signs, signs;
xor.b32 turned, $1, signs;
and.b32 turned, turned, 0x7f7f7f7f;
and.b32 ones, signs, 0x01010101;
add.u32 turned, turned, ones;
xor.b32 $0, turned, 0x80808080;
}"""


def _negative_magnitudes(values: Int8[Array, "..."]) -> Int8[Array, "..."]:
    """-|v|, four at a time; -128 has no magnitude in int8, but this."""
    result = jax.ShapeDtypeStruct(values.shape, jnp.int8)
    return triton.elementwise_inline_asm(
        _NEGATIVE_MAGNITUDES, args=[values], constraints="=r,r", pack=4, result_shape_dtypes=[result]
    )[0]


def as_on_cpu(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of arrays, with the instructions of a CUDA GPU that give the bits of a CPU, for a kernel in Triton.

    What it rounds to integers must be below 2^22 in magnitude; a minimum or maximum with a NaN is NaN.
    """

    def evaluate(*operands: Any) -> Any:
        traced, shape = jax.make_jaxpr(function, return_shape=True)(*operands)
        results = _evaluate(traced.jaxpr, traced.consts, jax.tree.leaves(operands), {})
        return jax.tree.unflatten(jax.tree.structure(shape), results)

    return evaluate


def _evaluate(jaxpr: core.Jaxpr, constants: Any, operands: Any, shifted: dict[int, Any]) -> list[Array]:
    """`shifted`: what was rounded, with its integer in the low bits; under its name, beside what it was rounded to."""
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *operands], strict=True))
    atoms = [atom for equation in jaxpr.eqns for atom in equation.invars] + list(jaxpr.outvars)
    uses = Counter(atom for atom in atoms if not isinstance(atom, core.Literal))
    products: dict[core.Var, Any] = {}  # their factors, where one operation needs them

    def read(atom):
        return atom.val if isinstance(atom, core.Literal) else values[atom]

    for equation in jaxpr.eqns:
        operands = [read(atom) for atom in equation.invars]
        real = getattr(equation.outvars[0].aval, "dtype", None) == jnp.float32
        factors = [products.get(atom) for atom in equation.invars if isinstance(atom, core.Var)]
        if inner := _inner(equation):
            results = _evaluate(inner.jaxpr, inner.consts, operands, shifted)
        elif real and equation.primitive is primitives.add_p and any(factors):
            results = [_multiply_add(equation.invars, operands, products)]
        elif real and equation.primitive is primitives.round_p:
            whole = _ADD_ROUNDER(operands[0])
            results = [whole - ROUNDER]
            shifted[id(results[0])] = results[0], whole
        elif equation.primitive is primitives.convert_element_type_p and equation.params["new_dtype"] == jnp.int8:
            _, low_bits = shifted.get(id(operands[0]), (None, _ADD_ROUNDER(operands[0])))
            results = [jax.lax.bitcast_convert_type(low_bits, jnp.int32).astype(jnp.int8)]
        elif real and equation.primitive in _ROUNDED_ALIKE:
            results = [_ROUNDED_ALIKE[equation.primitive](*operands)]
        else:
            results = _bind(equation, operands)
        if real and equation.primitive is primitives.mul_p and uses[equation.outvars[0]] == 1:
            products[equation.outvars[0]] = operands
        values.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _inner(equation: core.JaxprEqn) -> core.ClosedJaxpr | None:
    """The function that an equation calls, if it does nothing else."""
    name = {primitives.jit_p: "jaxpr", primitives.custom_jvp_call_p: "call_jaxpr"}.get(equation.primitive)
    return equation.params[name] if name else None


def _multiply_add(atoms: Any, operands: Any, products: dict) -> Array:
    """The sum of two operands of which one is a product, or both: then the second is rounded first."""
    first = 0 if not isinstance(atoms[0], core.Literal) and atoms[0] in products else 1
    return _MULTIPLY_ADD(*products[atoms[first]], operands[1 - first])


def _bind(equation: core.JaxprEqn, operands: Any) -> Any:
    results = equation.primitive.bind(*operands, **equation.params)
    return results if equation.primitive.multiple_results else [results]


@dataclasses.dataclass(frozen=True)
class Arithmetic:
    """What a kernel computes with: instructions of a GPU, or JAX where a kernel is interpreted.

    `alike` of a function rounds as a CPU does; `root` is 0 where there is no variance; `negative_magnitudes`: -|v|.
    """

    alike: Callable[[Callable[..., Any]], Callable[..., Any]]
    root: Callable[[Array], Array]
    negative_magnitudes: Callable[[Int8[Array, "..."]], Int8[Array, "..."]]


COMPILED = Arithmetic(as_on_cpu, lambda variance: jnp.sqrt(jnp.maximum(variance, 0.0)), _negative_magnitudes)
INTERPRETED = Arithmetic(lambda function: function, positive_root, lambda values: jnp.minimum(values, -values))
