"""Our kernels as functions that XLA calls from compiled code: typed FFI handlers, decoded by hand.

XLA hands a handler one pointer, to a *call frame*: plain C structures that hold the addresses, types and shapes of the
operands and results. Their layout is fixed by `xla/ffi/api/c_api.h`, which is shipped with jaxlib; major version 0 of it,
64-bit. Whoever registers a handler checks that version (`SUPPORTED_MAJOR`). No copy is made, and Python is not involved.

    XLA_FFI_CallFrame   8 extension · 16 api · 40 args { 56 count · 72 pointers } · 80 rets { 96 count · 112 pointers }
    XLA_FFI_Buffer      16 type · 24 data · 32 rank · 40 dimensions

When a handler is registered, XLA calls it once with a metadata extension instead, to ask which version it speaks.
A handler cannot raise: shapes are checked by the caller, when the program is traced.
"""

import numpy as np
from numba import carray, types
from numba.extending import intrinsic

from photonsim_kernels.compiled import compiled, compiled_callback
from photonsim_kernels.crossbar import crossbar_of_floats, crossbar_of_integers

SUPPORTED_MAJOR = 0
METADATA_EXTENSION = 1
INT8, INT16 = 2, 3  # XLA_FFI_DataType
OPERANDS = 10
SUCCESS = 0  # a null XLA_FFI_Error


@intrinsic
def _pointer(typing_context, address, kind):
    """An address as a pointer to values of a type, such as `np.float32`."""
    pointer = types.CPointer(kind.dtype)

    def codegen(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(types.intp, kind), codegen


@compiled(inline="always")
def _word(address, index):
    """The 64-bit word number `index` of a structure."""
    return _pointer(address, np.int64)[index]


@compiled
def _answer_metadata(frame):
    """Whether XLA only asks for our version; if so, the answer is filled in: the version it speaks itself."""
    extension = _word(frame, 1)
    if extension == 0 or _pointer(extension, np.int32)[2] != METADATA_EXTENSION:
        return False
    spoken = _pointer(_word(frame, 2), np.int32)  # XLA_FFI_Api: 32 major · 36 minor
    answer = _pointer(_word(extension, 3), np.int32)  # XLA_FFI_Metadata: 24 major · 28 minor · 32 traits
    answer[6] = SUPPORTED_MAJOR
    answer[7] = spoken[9]
    answer[8] = 0
    return True


@compiled
def _operand(frame, index):
    """The buffer of an operand."""
    return _word(_word(frame, 9), index)


@compiled
def _dimension(buffer, axis):
    """A dimension of a buffer; negative axes count from the end."""
    rank = _word(buffer, 4)
    return _word(_word(buffer, 5), axis + rank if axis < 0 else axis)


@compiled
def _leading(buffer, rank):
    """The product of all dimensions before the last `rank`."""
    count = 1
    for axis in range(_word(buffer, 4) - rank):
        count *= _dimension(buffer, axis)
    return count


@compiled
def _fill_source(source, result, buffer, rank):
    """For each batch element of the result, the number of the element of an operand whose axes may be 1 instead."""
    axes = _word(result, 4) - 2
    for b in range(source.shape[0]):
        number, rest, step = 0, b, 1
        for axis in range(axes - 1, -1, -1):
            size = _dimension(result, axis)
            own = _dimension(buffer, axis)
            number += (rest % size if own > 1 else 0) * step
            rest //= size
            step *= own
        source[b] = number


@compiled
def _columns(frame, index):
    """A (…, T, N) operand as (B, T, N)."""
    buffer = _operand(frame, index)
    shape = (_leading(buffer, 2), _dimension(buffer, -2), _dimension(buffer, -1))
    return carray(_pointer(_word(buffer, 3), np.float32), shape)


@compiled_callback(types.intp(types.intp))
def crossbar_handler(frame):
    """`crossbar_matmul`: its operands in its order, and the result."""
    if _answer_metadata(frame):
        return SUCCESS
    result = _word(_word(frame, 14), 0)
    y_shape = (_leading(result, 2), _dimension(result, -2), _dimension(result, -1))
    y = carray(_pointer(_word(result, 3), np.float32), y_shape)
    source = np.empty((OPERANDS, y_shape[0]), np.int64)
    for index in range(OPERANDS):
        rank = 2 if index == 0 or 2 <= index <= 6 else 3 if index == 1 else 1
        _fill_source(source[index], result, _operand(frame, index), rank)
    x = _columns(frame, 0)
    arrays = (_columns(frame, 2), _columns(frame, 3), _columns(frame, 4), _columns(frame, 5), _columns(frame, 6))
    key_buffer, common_buffer, settings_buffer = _operand(frame, 7), _operand(frame, 8), _operand(frame, 9)
    key = carray(_pointer(_word(key_buffer, 3), np.uint32), (_leading(key_buffer, 1), 2))
    common = carray(_pointer(_word(common_buffer, 3), np.float32), (_leading(common_buffer, 1), 1))
    settings = carray(_pointer(_word(settings_buffer, 3), np.int32), (_leading(settings_buffer, 1), 7))
    buffer = _operand(frame, 1)
    data, kind = _word(buffer, 3), _pointer(buffer, np.int32)[4]
    shape = (_leading(buffer, 3), _dimension(buffer, -3), _dimension(buffer, -2), _dimension(buffer, -1))
    if kind == INT8:
        crossbar_of_integers(x, carray(_pointer(data, np.int8), shape), arrays, key, common, settings, source, y)
    elif kind == INT16:
        crossbar_of_integers(x, carray(_pointer(data, np.int16), shape), arrays, key, common, settings, source, y)
    else:
        crossbar_of_floats(x, carray(_pointer(data, np.float32), shape), arrays, key, common, settings, source, y)
    return SUCCESS
