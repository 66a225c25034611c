"""Multiply and add with one rounding: what XLA's compiler makes of a product that is added to something.

Where loops are plain, they call `multiply_add`, which compiles to the processor's instruction, of vectors too. Python
itself (`NUMBA_DISABLE_JIT=1`) finds the same number: a product of two float32 is exact in float64, and the sum, rounded
to odd there, rounds to the right float32 (Boldo and Melquiond, IEEE Trans. Computers 57:462, 2008).
"""

import numpy as np
from numba import types
from numba.extending import overload

from photonsim_kernels import simd
from photonsim_kernels.compiled import emitted


def multiply_add(a, b, c):
    """a · b + c in float32, rounded once."""
    product, added = np.float64(a) * np.float64(b), np.float64(c)
    total = product + added
    rest = total - product
    error = (product - (total - rest)) + (added - rest)
    if error != 0 and np.isfinite(total) and not int(total.view(np.int64)) & 1:
        total = np.nextafter(total, np.inf if error > 0 else -np.inf)
    return np.float32(total)


@emitted
def _multiply_add(typing_context, a, b, c):
    def codegen(context, builder, signature, arguments):
        return simd.call(builder, "llvm.fmuladd.f32", simd.FLOAT, *arguments)

    return types.float32(types.float32, types.float32, types.float32), codegen


@overload(multiply_add)
def _overload(a, b, c):
    return lambda a, b, c: _multiply_add(a, b, c)
