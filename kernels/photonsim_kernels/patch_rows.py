"""`patches.gather_rows` for NumPy and for XLA: a task is up to 32 rows."""

import numpy as np
from numba import types

from photonsim_kernels.compiled import compiled, compiled_callback
from photonsim_kernels.patches import gather_rows
from photonsim_kernels.pointers import carray, job_of, pointer, record
from photonsim_kernels.threads import ON_TASK, forked, publish, run_tasks
from photonsim_kernels.xla_frame import SUCCESS, answer_metadata, data, dimension, operand, result_of, word

TOGETHER = 32  # rows
WORTH_THREADS = 1 << 16  # numbers, some 50 µs
ADDRESSES = ("images", "sources_y", "sources_x", "first", "out")
SIZES = ("batch", "channels", "lines", "columns", "down", "height", "across", "width", "rows", "alone")
PATCHES = record([(name, np.int64) for name in ADDRESSES + SIZES])


@compiled_callback(ON_TASK)
def _gather_some(job_address, i):
    job = carray(pointer(job_address, PATCHES), 1)[0]
    start = i * TOGETHER
    count, inner = min(TOGETHER, job.rows - start), job.channels * job.height * job.width
    gather_rows(
        carray(pointer(job.images, np.float32), (job.batch, job.channels, job.lines, job.columns)),
        carray(pointer(job.sources_y, np.int32), (job.down, job.height)),
        carray(pointer(job.sources_x, np.int32), (job.across, job.width)),
        pointer(job.first, np.int32)[0] + start,
        carray(pointer(job.out + 4 * start * inner, np.float32), (count, inner)),
    )


gather_some = publish("photonsim_gather_some", _gather_some)


@compiled
def _run(jobs):
    """Fill in the result of `jobs[0]`."""
    job = jobs[0]
    alone = job.alone != 0 or job.rows * job.channels * job.height * job.width < WORTH_THREADS
    run_tasks(gather_some(), jobs.ctypes.data, (job.rows + TOGETHER - 1) // TOGETHER, alone)
    return jobs.size  # a use, so that it lives until all is done


def patch_rows(images, sources_y, sources_x, first, count):
    """`count` rows of patches from number `first`, (count, channels · height · width) float32: see `gather_rows`."""
    images = np.ascontiguousarray(images, np.float32)
    sources = [np.ascontiguousarray(values, np.int32) for values in (sources_y, sources_x, np.reshape(first, 1))]
    (down, height), (across, width) = (values.shape for values in sources[:2])
    out = _empty((count, images.shape[1] * height * width))
    jobs = job_of(PATCHES, (images, *sources, out), *images.shape, down, height, across, width, count, forked())
    if out.size and down and across:
        _run(jobs)
    return out


def _empty(shape):
    return np.empty(shape, np.float32)


@compiled_callback(types.intp(types.intp))
def patch_handler(frame):
    """`patch_rows`: images, sources of lines and columns, the first row, and the result."""
    if answer_metadata(frame):
        return SUCCESS
    result, images, lines, columns = result_of(frame), operand(frame, 0), operand(frame, 1), operand(frame, 2)
    jobs = np.zeros(1, PATCHES)
    job = jobs[0]
    job.images, job.sources_y, job.sources_x = data(frame, 0), data(frame, 1), data(frame, 2)
    job.first, job.out, job.rows = data(frame, 3), word(result, 3), dimension(result, 0)
    job.batch, job.channels = dimension(images, 0), dimension(images, 1)
    job.lines, job.columns = dimension(images, 2), dimension(images, 3)
    job.down, job.height = dimension(lines, 0), dimension(lines, 1)
    job.across, job.width = dimension(columns, 0), dimension(columns, 1)
    _run(jobs)
    return SUCCESS
