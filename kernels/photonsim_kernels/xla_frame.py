"""What XLA hands to a kernel that it calls from compiled code: a typed FFI handler, decoded by hand.

XLA hands a handler one pointer, to a *call frame*: plain C structures that hold the addresses, types and shapes of the
operands and results. Their layout is fixed by `xla/ffi/api/c_api.h`, which is shipped with jaxlib; major version 0 of
it, 64-bit. Whoever registers a handler checks that version (`SUPPORTED_MAJOR`). No copy is made, and no Python runs.
Byte offsets:

    XLA_FFI_CallFrame   8 extension · 16 api · 40 args { 56 count · 72 pointers } · 80 results { 112 pointers }
    XLA_FFI_Buffer      16 type · 24 data · 32 rank · 40 dimensions

When a handler is registered, XLA calls it once with a metadata extension instead, to ask which version it speaks.
A handler cannot raise: shapes are checked by the caller, when the program is traced.
"""

import numpy as np
from numba import types

from photonsim_kernels.compiled import compiled
from photonsim_kernels.pointers import pointer

SUPPORTED_MAJOR = 0
METADATA_EXTENSION = 1
SUCCESS = 0  # a null XLA_FFI_Error


@compiled(inline="always")
def word(address, index):
    """The 64-bit word number `index` of a structure."""
    return pointer(address, np.int64)[index]


@compiled
def answer_metadata(frame):
    """Whether XLA only asks for our version; if so, the answer is filled in: the version it speaks itself."""
    extension = word(frame, 1)
    if extension == 0 or pointer(extension, np.int32)[2] != METADATA_EXTENSION:
        return False
    spoken = pointer(word(frame, 2), np.int32)  # XLA_FFI_Api: 32 major · 36 minor
    answer = pointer(word(extension, 3), np.int32)  # XLA_FFI_Metadata: 24 major · 28 minor · 32 traits
    answer[6] = SUPPORTED_MAJOR
    answer[7] = spoken[9]
    answer[8] = 0
    return True


@compiled(signature=types.intp(types.intp, types.intp))
def operand(frame, index):
    """The buffer of an operand."""
    return word(word(frame, 9), index)


@compiled(signature=types.intp(types.intp, types.intp))
def dimension(buffer, axis):
    """A dimension of a buffer; negative axes count from the end."""
    rank = word(buffer, 4)
    return word(word(buffer, 5), axis + rank if axis < 0 else axis)


@compiled(signature=types.intp(types.intp, types.intp))
def leading(buffer, rank):
    """The product of all dimensions before the last `rank`."""
    count = 1
    for axis in range(word(buffer, 4) - rank):
        count *= dimension(buffer, axis)
    return count


@compiled(signature=types.intp(types.intp, types.intp))
def data(frame, index):
    """The address of an operand's numbers."""
    return word(operand(frame, index), 3)


@compiled(signature=types.intp(types.intp))
def result_of(frame):
    """The buffer of the one result."""
    return word(word(frame, 14), 0)
