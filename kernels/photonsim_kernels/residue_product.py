"""The product in residue numbers for NumPy and for XLA: `residue_matmul` of `photonsim.tiles.residue`.

A task is 64 columns and up to 258 rows. Of a group of inputs it packs the weights once, and then takes 6 rows at a
time: their exact sums, in registers; the deviates of both quadratures, and of the phase, of each modulus; the angles;
and the sum that the remainders mean. Nothing as large as the partial sums is ever stored.
"""

import numpy as np
from numba import int64, types, uint32

from photonsim_kernels.compiled import compiled, compiled_callback
from photonsim_kernels.generators import HASHES
from photonsim_kernels.jobs import PANELS, ROW_BLOCK
from photonsim_kernels.noise import GROUP, fill_rows
from photonsim_kernels.pointers import carray, job_of, pointer, record
from photonsim_kernels.products import PANEL, ROWS, float_product_row, float_product_rows
from photonsim_kernels.residue import COLUMNS, DRAW_BYTES, DRAWS, MODULI, add_exact, add_read
from photonsim_kernels.threads import ON_TASK, forked, publish, run_tasks
from photonsim_kernels.xla_frame import SUCCESS, answer_metadata, data, dimension, operand, result_of, word

LARGEST_K = 7  # above it, misread steps times their numbers would not fit in 32 bits
WORTH_THREADS = 1 << 14  # readings, some 100 µs
SETTINGS = ("k", "adc_bits", "noise", "phase_noise", "row_offset")
OPERANDS = ("codes", "units", "weights", "scales", "keys", "spreads", "settings")
RESIDUE = record([(name, np.int64) for name in (*OPERANDS, "out", "rows", "groups", "group", "width", "alone")])
PLACE = ("first_row", "rows", "first_column", "columns")
PARTS = ("deviates", "sums", "panels", "scales", "constants", "totals")  # addresses of a task's working memory
TASK = record([(name, np.int64) for name in PLACE + PARTS])


@compiled
def _lay_out(job, task, i, room):
    """Which rows and columns task `i` computes, and where its working memory lies; see `_room`."""
    row_blocks = (job.rows + ROW_BLOCK - 1) // ROW_BLOCK
    task.first_row, task.first_column = i % row_blocks * ROW_BLOCK, i // row_blocks * COLUMNS
    task.rows, task.columns = min(ROW_BLOCK, job.rows - task.first_row), min(COLUMNS, job.width - task.first_column)
    task.deviates = room
    task.sums = task.deviates + DRAW_BYTES * MODULI * DRAWS
    task.panels = task.sums + 4 * ROWS * COLUMNS
    task.scales = task.panels + 4 * job.group * COLUMNS
    task.constants = task.scales + 4 * COLUMNS
    task.totals = task.constants + 4 * 3 * MODULI


@compiled
def _room(job):
    """Numbers of a task: deviates (3, 3, 6, 64), sums (4, 6, 16), panels (4, group, 16), scales, constants, totals."""
    rows = min(ROW_BLOCK, job.rows)
    return (MODULI * DRAWS * ROWS + ROWS + job.group + 1 + rows) * COLUMNS + 3 * MODULI


@compiled
def _pack(job, task, t):
    """Weights of 64 columns of group `t` as panels, and their scales; zeros after the last column."""
    panels, scales = pointer(task.panels, np.float32), pointer(task.scales, np.float32)
    for k in range(job.group):
        weights = pointer(job.weights + 4 * (((t * job.group + k) * job.width) + task.first_column), np.float32)
        for n in range(task.columns):
            panels[(n // PANEL * job.group + k) * PANEL + n % PANEL] = weights[n]
    given = pointer(job.scales + 4 * (t * job.width + task.first_column), np.float32)
    for n in range(task.columns):
        scales[n] = given[n]


@compiled
def _multiply(job, task, codes, count):
    """Exact sums of 6 rows or one, (4, 6, 16)."""
    stride = 4 * job.group * job.groups
    for p in range(PANELS):
        panel, out = task.panels + 4 * p * job.group * PANEL, task.sums + 4 * p * ROWS * PANEL
        if count == ROWS:
            float_product_rows(codes, stride, panel, job.group, out, False)
        else:
            float_product_row(codes, stride, panel, job.group, out, False)


@compiled
def _find_constants(job, task):
    """Of each modulus: itself, the spread of its phase in steps, and the number within ±M/2 with the remainder 1 there
    and 0 in the others. Returns M."""
    k, spreads = int64(pointer(job.settings, np.int32)[0]), pointer(job.spreads, np.float32)
    constants = pointer(task.constants, np.float32)
    span = (1 << k) * ((1 << 2 * k) - 1)
    for c in range(MODULI):
        modulus = (1 << k) - 1 + c
        number = span // modulus
        while number % modulus != 1:
            number += span // modulus
        constants[3 * c], constants[3 * c + 1] = modulus, spreads[1 + c]
        constants[3 * c + 2] = number - span if number > span // 2 else number
    return span


@compiled
def _draw(job, task, t, rows, number):
    """Deviates of some rows of group `t`, those that there are."""
    settings, keys = pointer(job.settings, np.int32), pointer(job.keys + 4 * 2 * DRAWS * MODULI * t, np.uint32)
    draws = 0 if settings[2] == 0 else DRAWS if settings[3] != 0 else 2
    for i in range(MODULI * DRAWS):
        if i % DRAWS < draws:
            place, lane = task.deviates + DRAW_BYTES * i, uint32(task.first_column // GROUP * HASHES)
            fill_rows(place, rows, keys[2 * i], keys[2 * i + 1], number, lane)


@compiled
def _add_group(job, task, t, span):
    """The readings of all rows of a task and one group."""
    settings, quadrature = pointer(job.settings, np.int32), pointer(job.spreads, np.float32)[0]
    m = 0
    while m < task.rows:
        count, row = ROWS if m + ROWS <= task.rows else 1, task.first_row + m
        _multiply(job, task, job.codes + 4 * job.group * (row * job.groups + t), count)
        units, totals = job.units + 4 * (row * job.groups + t), task.totals + 4 * COLUMNS * m
        if settings[1] != 0 or settings[2] != 0:
            _draw(job, task, t, count, uint32(uint32(settings[4]) + uint32(row)))
            add_read(
                task.sums, units, 4 * job.groups, task.scales, totals, count, task.deviates, task.constants, quadrature,
                span, settings[1],
            )  # fmt: skip
        else:
            add_exact(task.sums, units, 4 * job.groups, task.scales, totals, count)
        m += count


@compiled
def _write_totals(job, task):
    for m in range(task.rows):
        place = (task.first_row + m) * job.width + task.first_column
        out, totals = pointer(job.out + 4 * place, np.float32), pointer(task.totals + 4 * COLUMNS * m, np.float32)
        for n in range(task.columns):
            out[n] = totals[n]


@compiled_callback(ON_TASK)
def _run_residue_task(job_address, i):
    job = carray(pointer(job_address, RESIDUE), 1)[0]
    room, tasks = np.zeros(_room(job), np.float32), np.zeros(1, TASK)
    task = tasks[0]
    _lay_out(job, task, i, room.ctypes.data)
    span = _find_constants(job, task)
    for t in range(job.groups):
        _pack(job, task, t)
        _add_group(job, task, t, span)
    _write_totals(job, task)
    # A use, so that they live until all is done: a task's record does not hold the array that it lies in.
    room[0], tasks[0].rows = 0, 0


run_residue_task = publish("photonsim_run_residue_task", _run_residue_task)


@compiled
def _run(jobs):
    """Fill in the result of `jobs[0]`."""
    job = jobs[0]
    tasks = ((job.rows + ROW_BLOCK - 1) // ROW_BLOCK) * ((job.width + COLUMNS - 1) // COLUMNS)
    alone = job.alone != 0 or job.rows * job.groups * job.width < WORTH_THREADS
    run_tasks(run_residue_task(), jobs.ctypes.data, tasks, alone)
    return jobs.size  # a use, so that it lives until all is done


def residue_matmul(codes, units, weights, scales, keys, spreads, settings):
    """The product from NumPy.

    Whole-numbered codes (M, T, R) and their units (M, T); weights (T, R, N) and their scales (T, N); keys (T, 3, 3, 2)
    uint32 of each group, modulus and draw; standard deviations (4,) of a quadrature and of the phase in steps of each
    modulus; settings (5,) int32: see `SETTINGS`. Returns (M, N) float32.
    """
    kinds = (np.float32,) * 4 + (np.uint32, np.float32, np.int32)
    given = (codes, units, weights, scales, keys, spreads, settings)
    operands = [np.ascontiguousarray(values, kind) for values, kind in zip(given, kinds, strict=True)]
    (rows, groups, group), width = operands[0].shape, operands[2].shape[-1]
    out = _zeros((rows, width))
    jobs = job_of(RESIDUE, (*operands, out), rows, groups, group, width, forked())
    if out.size and group:
        _run(jobs)
    return out


def _zeros(shape):
    return np.zeros(shape, np.float32)


@compiled_callback(types.intp(types.intp))
def residue_handler(frame):
    """`residue_matmul`: its operands in its order, and the result."""
    if answer_metadata(frame):
        return SUCCESS
    result, codes = result_of(frame), operand(frame, 0)
    jobs = np.zeros(1, RESIDUE)
    job = jobs[0]
    job.codes, job.units, job.weights, job.scales = data(frame, 0), data(frame, 1), data(frame, 2), data(frame, 3)
    job.keys, job.spreads, job.settings, job.out = data(frame, 4), data(frame, 5), data(frame, 6), word(result, 3)
    job.rows, job.width = dimension(result, 0), dimension(result, 1)
    job.groups, job.group = dimension(codes, 1), dimension(codes, 2)
    _run(jobs)
    return SUCCESS
