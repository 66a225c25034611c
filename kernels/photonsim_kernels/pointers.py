"""Addresses and bit patterns inside compiled functions: what C writes as casts."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.np import numpy_support

from photonsim_kernels import interpreted
from photonsim_kernels.compiled import SETTINGS, compiled, emitted

carray = interpreted.carray if SETTINGS.DISABLE_JIT else numpy_support.carray  # (pointer, shape): an array


def record(fields):
    """The type of a record, which Python too knows by the names of its fields."""
    return np.dtype((np.record, fields))


@compiled
def address_of(array):
    """Where the numbers of an array lie; from Python, the array's own attribute takes five times as long."""
    return array.ctypes.data


def job_of(kind, arrays, *numbers):
    """An array of one record: the addresses of arrays, which whoever calls keeps until the job is done, and numbers."""
    return np.array((*map(address_of, arrays), *numbers), np.int64).view(kind)


@emitted
def pointer(typing_context, address, kind):
    """An address as a pointer to values of a type: `np.float32`, or a record's dtype."""
    kind_of = types.CPointer(kind.dtype)

    def codegen(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(kind_of))

    return kind_of(types.intp, kind), codegen


@emitted
def bits_of(typing_context, value):
    """The 32 bits of a float32."""

    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), codegen


@emitted
def float_of_bits(typing_context, bits):
    """The float32 of 32 bits."""

    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), codegen
