"""Multiply and add with one rounding: what XLA's compiler makes of a product that is added to something.

Where loops are plain, they call `multiply_add`, which compiles to the processor's instruction, of vectors too; it is
defined by what Python does in its place (`interpreted.py`).
"""

from numba import types
from numba.extending import overload

from photonsim_kernels import simd
from photonsim_kernels.compiled import emitted
from photonsim_kernels.interpreted import multiply_add


@emitted
def _multiply_add(typing_context, a, b, c):
    def codegen(context, builder, signature, arguments):
        return simd.call(builder, "llvm.fmuladd.f32", simd.FLOAT, *arguments)

    return types.float32(types.float32, types.float32, types.float32), codegen


@overload(multiply_add)
def _overload(a, b, c):
    return lambda a, b, c: _multiply_add(a, b, c)
