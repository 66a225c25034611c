"""The product of a crossbar as a function that XLA calls from compiled code; see `xla_frame.py`."""

import numpy as np
from numba import types

from photonsim_kernels.compiled import compiled, compiled_callback
from photonsim_kernels.crossbar import run_job
from photonsim_kernels.jobs import JOB, OPERANDS
from photonsim_kernels.pointers import pointer
from photonsim_kernels.xla_frame import SUCCESS, answer_metadata, data, dimension, leading, operand, result_of, word

INT8, INT16 = 2, 3  # XLA_FFI_DataType


@compiled
def _fill_source(source, result, buffer):
    """For each batch element of the result, the number of the element of an operand whose axes may be 1 instead."""
    axes = word(result, 4) - 2
    for b in range(source.shape[0]):
        number, rest, step = 0, b, 1
        for axis in range(axes - 1, -1, -1):
            size = dimension(result, axis)
            own = dimension(buffer, axis)
            number += (rest % size if own > 1 else 0) * step
            rest //= size
            step *= own
        source[b] = number


@compiled_callback(types.intp(types.intp))
def crossbar_handler(frame):
    """`crossbar_matmul`: its operands in its order, and the result."""
    if answer_metadata(frame):
        return SUCCESS
    result, levels = result_of(frame), operand(frame, 1)
    batches = leading(result, 2)
    source = np.empty((len(OPERANDS), batches), np.int64)
    for index in range(len(OPERANDS)):
        _fill_source(source[index], result, operand(frame, index))
    kind = pointer(levels, np.int32)[4]
    jobs = np.zeros(1, JOB)
    job = jobs[0]
    job.x, job.levels, job.gain, job.offset = (data(frame, 0), data(frame, 1), data(frame, 2), data(frame, 3))
    job.noise_variance, job.shot_variance, job.scale = (data(frame, 4), data(frame, 5), data(frame, 6))
    job.square_variance, job.key = data(frame, 7), data(frame, 8)
    job.shared, job.settings = data(frame, 9), data(frame, 10)
    job.y, job.batches = word(result, 3), batches
    job.rows, job.inner = dimension(result, -2), dimension(operand(frame, 0), -1)
    job.blocks, job.tile_rows, job.width = (dimension(levels, -3), dimension(levels, -2), dimension(levels, -1))
    job.level_bytes = 1 if kind == INT8 else 2 if kind == INT16 else 4
    run_job(jobs, source)
    return SUCCESS
