"""`rings.drop_banks` for NumPy and for XLA: a task is up to 256 banks of a batch."""

import numpy as np
from numba import types

from photonsim_kernels.compiled import compiled, compiled_callback
from photonsim_kernels.pointers import carray, job_of, pointer, record
from photonsim_kernels.rings import TOGETHER, drop_banks
from photonsim_kernels.threads import ON_TASK, forked, publish, run_tasks
from photonsim_kernels.xla_frame import SUCCESS, answer_metadata, data, dimension, leading, result_of, word

WORTH_THREADS = 1 << 16  # rings times channels of all banks, some 100 µs
BANKS = record([(name, np.int64) for name in ("detunings", "places", "out", "batches", "rings", "banks", "alone")])


@compiled_callback(ON_TASK)
def _drop_some_banks(job_address, i):
    job = carray(pointer(job_address, BANKS), 1)[0]
    chunks = (job.banks + TOGETHER - 1) // TOGETHER
    start = i // chunks * job.rings * job.banks
    first = i % chunks * TOGETHER
    count = min(TOGETHER, job.banks - first)
    given = carray(pointer(job.detunings + 4 * start, np.float32), (job.rings, job.banks))
    out = carray(pointer(job.out + 4 * start, np.float32), (job.rings, job.banks))
    places = carray(pointer(job.places, np.float32), 2)
    detunings, dropped = np.empty((job.rings, count), np.float32), np.empty((job.rings, count), np.float32)
    for ring in range(job.rings):
        for n in range(count):
            detunings[ring, n] = given[ring, first + n]
    drop_banks(detunings, places[0], places[1], np.empty(count, np.float32), dropped)
    for ring in range(job.rings):
        for n in range(count):
            out[ring, first + n] = dropped[ring, n]


drop_some_banks = publish("photonsim_drop_some_banks", _drop_some_banks)


@compiled
def _run(jobs):
    """Fill in the result of `jobs[0]`."""
    job = jobs[0]
    tasks = job.batches * ((job.banks + TOGETHER - 1) // TOGETHER)
    alone = job.alone != 0 or job.batches * job.banks * job.rings * job.rings < WORTH_THREADS
    run_tasks(drop_some_banks(), jobs.ctypes.data, tasks, alone)
    return jobs.size  # a use, so that it lives until all is done


def bank_drop(detunings, places):
    """Shares (…, rings, banks) that banks drop of their channels, at detunings (…, rings, banks).

    `places` (2,): the spacing of the channels and the width of a ring, in the detunings' unit. Returns float32; numbers
    of any other type are cast first.
    """
    detunings, places = np.ascontiguousarray(detunings, np.float32), np.ascontiguousarray(places, np.float32)
    out = _empty(detunings.shape)
    *lead, rings, banks = detunings.shape
    jobs = job_of(BANKS, (detunings, places, out), int(np.prod(lead)), rings, banks, forked())
    if out.size:
        _run(jobs)
    return out


def _empty(shape):
    return np.empty(shape, np.float32)


@compiled_callback(types.intp(types.intp))
def bank_handler(frame):
    """`bank_drop`: its operands in its order, and the result."""
    if answer_metadata(frame):
        return SUCCESS
    result = result_of(frame)
    jobs = np.zeros(1, BANKS)
    job = jobs[0]
    job.detunings, job.places, job.out = data(frame, 0), data(frame, 1), word(result, 3)
    job.batches, job.rings, job.banks = leading(result, 2), dimension(result, -2), dimension(result, -1)
    if job.banks > 0:
        _run(jobs)
    return SUCCESS
