"""The product in residue numbers for NumPy and for XLA: `residue_matmul` of `photonsim.tiles.residue`.

A task is 64 columns and up to 258 rows. Of a group of inputs it packs the weights once, and then takes 6 rows at a
time: their exact sums, in registers; the deviates of both quadratures, and of the phase, of each modulus; the angles;
and the sum that the remainders mean. Nothing as large as the partial sums is ever stored.
"""

import numpy as np
from numba import float32, int32, types, uint32

from photonsim_kernels.compiled import compiled, compiled_callback
from photonsim_kernels.jobs import PANELS, ROW_BLOCK
from photonsim_kernels.noise import fill_rows
from photonsim_kernels.pointers import carray, job_of, pointer, record
from photonsim_kernels.products import PANEL, ROWS, float_product_row, float_product_rows
from photonsim_kernels.residue import add_exact, add_misread, add_read
from photonsim_kernels.threads import ON_TASK, forked, publish, run_tasks
from photonsim_kernels.xla_frame import SUCCESS, answer_metadata, data, dimension, operand, result_of, word

COLUMNS = PANELS * PANEL
LARGEST_K = 7  # above it, misread steps times their numbers would not fit in 32 bits
WORTH_THREADS = 1 << 14  # readings, some 100 µs
SETTINGS = ("k", "adc_bits", "noise", "phase_noise", "row_offset")
OPERANDS = ("codes", "units", "weights", "scales", "keys", "spreads", "settings")
RESIDUE = record([(name, np.int64) for name in (*OPERANDS, "out", "rows", "groups", "group", "width", "alone")])


@compiled
def _floats(address, first, count):
    return carray(pointer(address + 4 * first, np.float32), count)


@compiled
def _pack(job, t, first, panels):
    """Weights of 64 columns of group `t` as panels (4, group, 16), zeros after the last column."""
    columns = min(COLUMNS, job.width - first)
    for k in range(job.group):
        row = _floats(job.weights, (t * job.group + k) * job.width + first, columns)
        for n in range(columns):
            panels[n // PANEL, k, n % PANEL] = row[n]
        for n in range(columns, COLUMNS):
            panels[n // PANEL, k, n % PANEL] = 0


@compiled
def _multiply(job, t, row, count, panels, block, sums):
    """Exact sums of 6 rows or one, (count, 64); `block` (6, 16) is working memory."""
    codes, stride = job.codes + 4 * job.group * (row * job.groups + t), 4 * job.group * job.groups
    for p in range(PANELS):
        panel = panels.ctypes.data + 4 * p * job.group * PANEL
        if count == ROWS:
            float_product_rows(codes, stride, panel, job.group, block.ctypes.data, False)
        else:
            float_product_row(codes, stride, panel, job.group, block.ctypes.data, False)
        for m in range(count):
            for n in range(PANEL):
                sums[m * COLUMNS + p * PANEL + n] = block[m, n]


@compiled
def _find_weights(k):
    """Of each modulus, the number within ±M/2 with the remainder 1 there and 0 in the others."""
    weights = np.empty(3, np.int32)
    span = (1 << k) * ((1 << 2 * k) - 1)
    for c in range(3):
        modulus = (1 << k) - 1 + c
        number = span // modulus
        while number % modulus != 1:
            number += span // modulus
        weights[c] = number - span if number > span // 2 else number
    return weights


@compiled
def _add_group(job, t, first, rows, panels, weights, totals):
    """The readings of all rows of a task and one group."""
    settings = carray(pointer(job.settings, np.int32), len(SETTINGS))
    k, bits, noise, phase_noise = settings[0], settings[1], settings[2] != 0, settings[3] != 0
    spreads, keys = _floats(job.spreads, 0, 4), carray(pointer(job.keys, np.uint32), (job.groups, 3, 3, 2))
    columns = min(COLUMNS, job.width - first[1])
    given_scales, scales = _floats(job.scales, t * job.width + first[1], columns), np.zeros(COLUMNS, np.float32)
    for n in range(columns):
        scales[n] = given_scales[n]
    full = float32(max((1 << (bits - 1)) - 1, 1) if bits else 1)
    block, all_sums = np.empty((ROWS, PANEL), np.float32), np.empty(ROWS * COLUMNS, np.float32)
    off, deviates = np.empty(ROWS * COLUMNS, np.int32), np.zeros((3, ROWS * COLUMNS), np.float32)
    units = np.empty(ROWS, np.float32)
    m = 0
    while m < rows:
        count = ROWS if m + ROWS <= rows else 1
        size, row = count * COLUMNS, first[0] + m
        sums = all_sums[:size]
        _multiply(job, t, row, count, panels, block, sums)
        for i in range(count):
            units[i] = _floats(job.units, (row + i) * job.groups + t, 1)[0]
        if noise or bits != 0:
            for i in range(size):
                off[i] = 0
            for c in range(3):
                for d in range((3 if phase_noise else 2) if noise else 0):
                    number, key = uint32(uint32(settings[4]) + uint32(row)), keys[t, c, d]
                    place = deviates.ctypes.data + 4 * d * ROWS * COLUMNS
                    fill_rows(place, count, key[0], key[1], number, uint32(first[1] // 2))
                modulus, phase = float32((1 << k) - 1 + c), spreads[1 + c]
                add_misread(sums, deviates, modulus, weights[c], spreads[0], phase, full, bits, off)
            span = int32((1 << k) * ((1 << 2 * k) - 1))
            add_read(sums, off, span, scales, units, totals[m : m + count])
        else:
            add_exact(sums, scales, units, totals[m : m + count])
        m += count
    # A use, so that what is known by its address only lives until here.
    return block.size + deviates.size


@compiled_callback(ON_TASK)
def _run_residue_task(job_address, i):
    job = carray(pointer(job_address, RESIDUE), 1)[0]
    row_blocks = (job.rows + ROW_BLOCK - 1) // ROW_BLOCK
    first = (i % row_blocks * ROW_BLOCK, i // row_blocks * COLUMNS)
    rows = min(ROW_BLOCK, job.rows - first[0])
    panels, totals = np.empty((PANELS, job.group, PANEL), np.float32), np.zeros((rows, COLUMNS), np.float32)
    weights = _find_weights(carray(pointer(job.settings, np.int32), 1)[0])
    for t in range(job.groups):
        _pack(job, t, first[1], panels)
        _add_group(job, t, first, rows, panels, weights, totals)
    columns = min(COLUMNS, job.width - first[1])
    for m in range(rows):
        out = _floats(job.out, (first[0] + m) * job.width + first[1], columns)
        for n in range(columns):
            out[n] = totals[m, n]


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
