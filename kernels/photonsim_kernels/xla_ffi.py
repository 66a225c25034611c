"""Our kernels as functions that XLA calls from compiled code: typed FFI handlers, decoded by hand.

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

from photonsim_kernels.compiled import compiled, compiled_callback
from photonsim_kernels.crossbar import run_job
from photonsim_kernels.jobs import JOB, OPERANDS
from photonsim_kernels.pointers import pointer

SUPPORTED_MAJOR = 0
METADATA_EXTENSION = 1
INT8, INT16 = 2, 3  # XLA_FFI_DataType
SUCCESS = 0  # a null XLA_FFI_Error


@compiled(inline="always")
def _word(address, index):
    """The 64-bit word number `index` of a structure."""
    return pointer(address, np.int64)[index]


@compiled
def _answer_metadata(frame):
    """Whether XLA only asks for our version; if so, the answer is filled in: the version it speaks itself."""
    extension = _word(frame, 1)
    if extension == 0 or pointer(extension, np.int32)[2] != METADATA_EXTENSION:
        return False
    spoken = pointer(_word(frame, 2), np.int32)  # XLA_FFI_Api: 32 major · 36 minor
    answer = pointer(_word(extension, 3), np.int32)  # XLA_FFI_Metadata: 24 major · 28 minor · 32 traits
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
def _fill_source(source, result, buffer):
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
def _data(frame, index):
    return _word(_operand(frame, index), 3)


@compiled_callback(types.intp(types.intp))
def crossbar_handler(frame):
    """`crossbar_matmul`: its operands in its order, and the result."""
    if _answer_metadata(frame):
        return SUCCESS
    result, levels = _word(_word(frame, 14), 0), _operand(frame, 1)
    batches = _leading(result, 2)
    source = np.empty((len(OPERANDS), batches), np.int64)
    for index in range(len(OPERANDS)):
        _fill_source(source[index], result, _operand(frame, index))
    kind = pointer(levels, np.int32)[4]
    jobs = np.zeros(1, JOB)
    job = jobs[0]
    job.x, job.levels, job.gain, job.offset = (_data(frame, 0), _data(frame, 1), _data(frame, 2), _data(frame, 3))
    job.noise_variance, job.shot_variance, job.scale = (_data(frame, 4), _data(frame, 5), _data(frame, 6))
    job.square_variance, job.key = _data(frame, 7), _data(frame, 8)
    job.shared, job.settings = _data(frame, 9), _data(frame, 10)
    job.y, job.batches = _word(result, 3), batches
    job.rows, job.inner = _dimension(result, -2), _dimension(_operand(frame, 0), -1)
    job.blocks, job.tile_rows, job.width = (_dimension(levels, -3), _dimension(levels, -2), _dimension(levels, -1))
    job.level_bytes = 1 if kind == INT8 else 2 if kind == INT16 else 4
    run_job(jobs, source)
    return SUCCESS
