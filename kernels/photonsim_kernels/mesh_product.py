"""`mesh.propagate_rows` for NumPy and for XLA: a task is up to 16 vectors of one mesh of a batch."""

import numpy as np
from numba import types

from photonsim_kernels.compiled import compiled, compiled_callback
from photonsim_kernels.mesh import TOGETHER, propagate_rows
from photonsim_kernels.pointers import carray, job_of, pointer, record
from photonsim_kernels.threads import ON_TASK, forked, publish, run_tasks
from photonsim_kernels.xla_frame import SUCCESS, answer_metadata, data, dimension, leading, operand, result_of, word

WORTH_THREADS = 1 << 16  # blocks times vectors, some 30 µs
MESH = record(
    [(name, np.int64) for name in ("cells", "turns", "fields", "out")]
    + [(name, np.int64) for name in ("batches", "vectors", "modes", "layers", "places", "alone")]
)


@compiled
def _floats(address, first, shape):
    return carray(pointer(address + 4 * first, np.float32), shape)


@compiled_callback(ON_TASK)
def _pass_vectors(job_address, i):
    job = carray(pointer(job_address, MESH), 1)[0]
    chunks = (job.vectors + TOGETHER - 1) // TOGETHER
    b, first = i // chunks, i % chunks * TOGETHER
    count = min(TOGETHER, job.vectors - first)
    shape, start = (count, job.modes, 2), 2 * job.modes * (b * job.vectors + first)
    light = np.empty((2 * job.places, 2, TOGETHER), np.float32)
    propagate_rows(
        _floats(job.cells, 8 * b * job.layers * job.places, (job.layers, job.places, 8)),
        _floats(job.turns, 2 * b * job.modes, (job.modes, 2)),
        _floats(job.fields, start, shape),
        light,
        _floats(job.out, start, shape),
    )


pass_vectors = publish("photonsim_pass_vectors", _pass_vectors)


@compiled
def _run(jobs):
    """Fill in the result of `jobs[0]`."""
    job = jobs[0]
    tasks = job.batches * ((job.vectors + TOGETHER - 1) // TOGETHER)
    alone = job.alone != 0 or job.batches * job.vectors * job.layers * job.places < WORTH_THREADS
    run_tasks(pass_vectors(), jobs.ctypes.data, tasks, alone)
    return jobs.size  # a use, so that it lives until all is done


def propagate(blocks, turns, fields):
    """`fields` (…, vectors, N) behind meshes of `blocks` (…, layers, places, 2, 2) and output factors `turns` (…, N).

    The leading axes broadcast. Returns complex64; numbers of any other type are cast first.
    """
    batch = np.broadcast_shapes(blocks.shape[:-4], turns.shape[:-1], fields.shape[:-2])
    shapes = [(*batch, *a.shape[a.ndim - rank :]) for a, rank in ((blocks, 4), (turns, 1), (fields, 2))]
    operands = [
        np.ascontiguousarray(a if a.shape == shape else np.broadcast_to(a, shape), np.complex64)
        for a, shape in zip((blocks, turns, fields), shapes, strict=True)
    ]
    layers, places = operands[0].shape[-4:-2]
    out = _empty(operands[2].shape)
    sizes = (int(np.prod(batch)), *out.shape[-2:], layers, places, forked())
    jobs = job_of(MESH, (*operands, out), *sizes)
    if out.size:
        _run(jobs)
    return out


def _empty(shape):
    return np.empty(shape, np.complex64)


@compiled_callback(types.intp(types.intp))
def mesh_handler(frame):
    """`propagate`: blocks, turns and fields of the same leading axes, complex64, and the result."""
    if answer_metadata(frame):
        return SUCCESS
    result, blocks = result_of(frame), operand(frame, 0)
    jobs = np.zeros(1, MESH)
    job = jobs[0]
    job.cells, job.turns, job.fields = data(frame, 0), data(frame, 1), data(frame, 2)
    job.out, job.batches = word(result, 3), leading(result, 2)
    job.vectors, job.modes = dimension(result, -2), dimension(result, -1)
    job.layers, job.places = dimension(blocks, -4), dimension(blocks, -3)
    _run(jobs)
    return SUCCESS
