"""`patches.gather_rows` for NumPy and for XLA: a task is up to 32 rows."""

import math

import numpy as np
from numba import types

from photonsim_kernels.compiled import compiled, compiled_callback
from photonsim_kernels.patches import gather_rows
from photonsim_kernels.pointers import carray, job_of, pointer, record
from photonsim_kernels.threads import ON_TASK, forked, publish, run_tasks
from photonsim_kernels.xla_frame import SUCCESS, answer_metadata, data, dimension, operand, result_of, word

TOGETHER = 32  # rows
WORTH_THREADS = 1 << 16  # numbers, some 50 µs
ADDRESSES = ("images", "sources_z", "sources_y", "sources_x", "first", "out")
SIZES = ("batch", "channels", "planes", "lines", "columns", "deep", "depth", "down", "height", "across", "width")
SIZES += ("inner", "rows", "alone")
PATCHES = record([(name, np.int64) for name in ADDRESSES + SIZES])


@compiled_callback(ON_TASK)
def _gather_some(job_address, i):
    job = carray(pointer(job_address, PATCHES), 1)[0]
    start = i * TOGETHER
    count = min(TOGETHER, job.rows - start)
    gather_rows(
        carray(pointer(job.images, np.float32), (job.batch, job.channels, job.planes, job.lines, job.columns)),
        carray(pointer(job.sources_z, np.int32), (job.deep, job.depth)),
        carray(pointer(job.sources_y, np.int32), (job.down, job.height)),
        carray(pointer(job.sources_x, np.int32), (job.across, job.width)),
        pointer(job.first, np.int32)[0] + start,
        carray(pointer(job.out + 4 * start * job.inner, np.float32), (count, job.inner)),
    )


gather_some = publish("photonsim_gather_some", _gather_some)


@compiled
def _run(jobs):
    """Fill in the result of `jobs[0]`."""
    job = jobs[0]
    alone = job.alone != 0 or job.rows * job.inner < WORTH_THREADS
    run_tasks(gather_some(), jobs.ctypes.data, (job.rows + TOGETHER - 1) // TOGETHER, alone)
    return jobs.size  # a use, so that it lives until all is done


def patch_rows(images, sources_z, sources_y, sources_x, first, count):
    """`count` rows of patches from number `first`, (count, inner) float32: see `gather_rows`."""
    images = np.ascontiguousarray(images, np.float32)
    given = (sources_z, sources_y, sources_x, np.reshape(first, 1))
    sources = [np.ascontiguousarray(values, np.int32) for values in given]
    inner = images.shape[1] * math.prod(values.shape[1] for values in sources[:3])
    out = _empty((count, inner))
    sizes = [size for values in sources[:3] for size in values.shape]
    jobs = job_of(PATCHES, (images, *sources, out), *images.shape, *sizes, inner, count, forked())
    if out.size and all(values.shape[0] for values in sources):
        _run(jobs)
    return out


def _empty(shape):
    return np.empty(shape, np.float32)


@compiled_callback(types.intp(types.intp))
def patch_handler(frame):
    """`patch_rows`: images, sources of planes, lines and columns, the first row, and the result."""
    if answer_metadata(frame):
        return SUCCESS
    result, images = result_of(frame), operand(frame, 0)
    planes, lines, columns = operand(frame, 1), operand(frame, 2), operand(frame, 3)
    jobs = np.zeros(1, PATCHES)
    job = jobs[0]
    job.images, job.sources_z, job.sources_y = data(frame, 0), data(frame, 1), data(frame, 2)
    job.sources_x, job.first, job.out = data(frame, 3), data(frame, 4), word(result, 3)
    job.rows, job.inner = dimension(result, 0), dimension(result, 1)
    job.batch, job.channels, job.planes = dimension(images, 0), dimension(images, 1), dimension(images, 2)
    job.lines, job.columns = dimension(images, 3), dimension(images, 4)
    job.deep, job.depth = dimension(planes, 0), dimension(planes, 1)
    job.down, job.height = dimension(lines, 0), dimension(lines, 1)
    job.across, job.width = dimension(columns, 0), dimension(columns, 1)
    _run(jobs)
    return SUCCESS
