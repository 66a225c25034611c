"""The product of a weight-stationary crossbar: DAC, tile products, noise, ADC and accumulation in one pass.

The same numbers as `analog_matmul` in `photonsim.tiles.partial_sums`, where the equations stand. No tensor of partial
sums exists: a block of 6 rows and 16 columns of them lives for as long as it takes to read it.

    encode     every row of x becomes integer codes and one scale per block, once                     M · K
    pack       the levels of a block, 64 columns wide, are laid out as the vector unit wants them     T · R · 64
    multiply   6 rows of codes × 16 columns of levels: 12 vector registers of sums                    registers
    read       gain, noise, rounding; added to the rows' totals                                       registers, L1

Operands of at most 16 bits are multiplied as integers, two products and their sum in one instruction (`pmaddwd` on
x86): exact, and twice as fast as float32 on a processor without integer dot products. Everything else is float32.

The work is cut into tasks of 64 columns and 258 rows. A task adds its tiles up in the order t = 0, 1 … and shares
nothing with other tasks, so the answer is the same bits on any number of threads.

The functions here know their operands by address, from one record (`JOB`), so that one compilation serves all types;
and the two long ones, `encode_row` and `run_task`, are called by symbol, so that LLVM sees each of them once.
"""

import os

import llvmlite.binding
import numba
import numpy as np
from numba import float32, float64, int32, types, uint32
from numba.np.numpy_support import carray

from photonsim_kernels.compiled import compiled, compiled_callback, threads_may_overlap
from photonsim_kernels.noise import (
    COMMON_MODE,
    GROUPS,
    INTENSITY,
    fill_rows,
    fill_rows_of_a_group,
    fill_shared,
    tile_key,
)
from photonsim_kernels.pointers import bits_of, float_of_bits, pointer
from photonsim_kernels.products import (
    BYTE_STEP,
    PANEL,
    ROWS,
    byte_product_row,
    byte_product_rows,
    float_light_row,
    float_light_rows,
    float_product_row,
    float_product_rows,
    integer_light_row,
    integer_light_rows,
    integer_product_row,
    integer_product_rows,
    pack_bytes,
    pack_floats,
    pack_int8,
    pack_int8_floats,
    pack_int16,
    pack_int16_floats,
    streamed_floats,
    streamed_floats_panel,
    streamed_int8,
    streamed_int8_floats,
    streamed_int8_panel,
    streamed_int16,
    streamed_int16_floats,
    streamed_int16_panel,
)
from photonsim_kernels.reading import read_row, read_rows

PANELS = GROUPS  # 4, packed at once, so that a cache line of 64 int8 levels is read once
ROW_BLOCK = 258  # rows of a task
WORTH_THREADS = 1 << 18  # multiply-accumulates of a product, some 10 µs: less than it can take to wake a thread
SMALLEST_SCALE = float32(2.0**-100)

IDEAL = 0  # as a number of bits
RANKS = (2, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1)
OPERANDS = ("x", "levels", "gain", "offset", "noise_variance", "shot_variance", "scale", "square_variance", "key")
OPERANDS += ("shared", "settings")
SETTINGS = (
    "input_bits",
    "adc_bits",
    "columns",
    "noise",
    "shot_noise",
    "common_mode",
    "intensity_noise",
    "square_noise",
)
SETTINGS += ("row_offset",)
SETTING = np.dtype([(name, np.int32) for name in SETTINGS])
SETTING_BYTES = SETTING.itemsize

# One product. Addresses of the operands (see `crossbar_matmul`), the result, and the working memory of `run_job`;
# `source` (11, batches): which batch element of an operand belongs to which of the result; sizes; bytes per number.
# Magnitudes of the codes (bytes, `byte_rows` per block) and their totals are kept where they are multiplied as bytes.
JOB = np.dtype(
    [(name, np.int64) for name in OPERANDS]
    + [(name, np.int64) for name in ("y", "source", "codes", "magnitudes", "magnitude_totals", "scales", "squares")]
    + [(name, np.int64) for name in ("batches", "rows", "inner", "blocks", "tile_rows", "width")]
    + [(name, np.int64) for name in ("level_bytes", "code_bytes", "code_rows", "byte_rows", "chunk", "alone")]
)

# One task: its place in the result, its own working memory, the keys of a block, and what is on. See `_start_task`.
PARTS = ("panels", "magnitude_panels", "scratch", "columns", "copies", "common", "light", "totals", "sums")
PARTS += ("magnitude_sums", "deviates")
FLAGS = ("noise", "shot_noise", "square_noise", "common_mode", "intensity_noise", "packed")
PLACE = ("b", "first_row", "rows", "first_column", "panel_count", "panel_bytes", "byte_panel_bytes")
TASK = np.dtype([(name, np.int64) for name in PLACE + PARTS + FLAGS] + [(f"key{i}", np.uint32) for i in range(2)])


# Input codes


@compiled
def block_scale(x):
    """Largest magnitude, rounded to bfloat16; 0 below `SMALLEST_SCALE`, NaN where the block is not finite."""
    largest = uint32(0)
    for k in range(x.shape[0]):
        largest = max(largest, uint32(bits_of(x[k]) & uint32(0x7FFFFFFF)))  # ordered as the magnitudes are
    if largest >= uint32(0x7F800000):
        return float32(np.nan)
    rounded = uint32(largest + uint32(0x7FFF) + uint32(uint32(largest >> uint32(16)) & uint32(1)))
    scale = float_of_bits(uint32(rounded & uint32(0xFFFF0000)))
    if scale < SMALLEST_SCALE:
        return float32(0)
    return scale if scale < np.inf else float32(np.nan)


@compiled
def full_scale_code(bits):
    """The largest code of `bits`; 1 for an ideal converter."""
    return max((1 << (bits - 1)) - 1, 1) if bits else 1


@compiled
def _encode_block(x, codes, scale, bits):
    """Codes of one block under its scale; zeros after the last input."""
    limit = float32(full_scale_code(bits))
    per_unit = float32(limit / scale) if scale > 0 else float32(0)
    inputs = x.shape[0] if scale > 0 else 0
    for k in range(inputs):
        value = float32(x[k] * per_unit)
        if bits == 1:
            value = float32(1) if value >= 0 else float32(-1)
        elif bits != IDEAL:
            value = np.rint(min(max(value, -limit), limit))
        codes[k] = value
    for k in range(inputs, codes.shape[0]):
        codes[k] = 0


@compiled
def _keep_magnitudes(codes, magnitudes):
    """Magnitudes of codes of at most 8 bits as bytes, and zeros after them; their sum."""
    total = 0
    for k in range(codes.shape[0]):
        magnitude = abs(int32(codes[k]))
        magnitudes[k] = magnitude
        total += magnitude
    for k in range(codes.shape[0], magnitudes.shape[0]):
        magnitudes[k] = 0
    return total


@compiled
def _sum_of_squares(codes):
    """Σ q², exact below 2^53."""
    total = 0.0
    for k in range(codes.shape[0]):
        total += float64(codes[k]) * float64(codes[k])
    return total


@compiled
def _job(address):
    return carray(pointer(address, JOB), 1)[0]


@compiled
def _setting(job, b):
    """The settings of batch element `b`."""
    return carray(pointer(job.settings + SETTING_BYTES * _source(job, 10, b), SETTING), 1)[0]


@compiled
def _source(job, operand, b):
    return pointer(job.source, np.int64)[operand * job.batches + b]


ON_TASK = types.void(types.intp, types.intp)  # (address of the job, number of the task)


@compiled_callback(ON_TASK)
def _encode_row(job_address, i):
    """Codes, scales and, as bytes, magnitudes of one row of x: (T, R'), (T,), (T, R'')."""
    job = _job(job_address)
    b, m = i // job.rows, i % job.rows
    bits, squared = _setting(job, b).input_bits, _setting(job, b).square_noise != 0
    for t in range(job.blocks):
        start = t * job.tile_rows
        count = min(job.tile_rows, job.inner - start)
        address = job.x + 4 * ((_source(job, 0, b) * job.rows + m) * job.inner + start)
        x = carray(pointer(address, np.float32), count)
        scale = block_scale(x)
        block = (b * job.blocks + t) * job.rows + m
        pointer(job.scales, np.float32)[block] = scale
        place = job.code_bytes * job.code_rows * block
        if job.code_bytes == 2:
            codes = carray(pointer(job.codes + place, np.int16), job.code_rows)
            _encode_block(x, codes, scale, bits)
            if job.byte_rows > 0:
                magnitudes = carray(pointer(job.magnitudes + job.byte_rows * block, np.uint8), job.byte_rows)
                pointer(job.magnitude_totals, np.int32)[block] = _keep_magnitudes(codes, magnitudes)
            if squared:
                pointer(job.squares, np.float32)[block] = _sum_of_squares(codes)
        else:
            float_codes = carray(pointer(job.codes + place, np.float32), job.code_rows)
            _encode_block(x, float_codes, scale, bits)
            if squared:
                pointer(job.squares, np.float32)[block] = _sum_of_squares(float_codes)


# One task


@compiled
def _task_count(job):
    """(blocks of rows, blocks of columns) of one product."""
    return (job.rows + ROW_BLOCK - 1) // ROW_BLOCK, (job.width + PANELS * PANEL - 1) // (PANELS * PANEL)


@compiled
def _find_place(job, task, i):
    """Which rows and columns task `i` computes, and what is on."""
    row_blocks, column_blocks = _task_count(job)
    task.b, rest = i // (row_blocks * column_blocks), i % (row_blocks * column_blocks)
    task.first_row, task.first_column = rest % row_blocks * ROW_BLOCK, rest // row_blocks * PANELS * PANEL
    task.rows = min(ROW_BLOCK, job.rows - task.first_row)
    task.panel_count = min(PANELS, (job.width - task.first_column + PANEL - 1) // PANEL)
    task.panel_bytes, task.byte_panel_bytes = job.code_bytes * job.code_rows * PANEL, job.byte_rows * PANEL
    setting = _setting(job, task.b)
    task.shot_noise, task.common_mode, task.intensity_noise = (
        setting.shot_noise, setting.common_mode, setting.intensity_noise
    )  # fmt: skip
    task.square_noise = setting.square_noise
    task.noise = setting.noise | setting.shot_noise | setting.square_noise
    task.packed = task.rows >= ROWS  # else each row is multiplied by the levels as they are stored


@compiled
def _part_sizes(job, task):
    """Bytes of each of the `PARTS`."""
    count, block = task.panel_count, 4 * PANEL * task.panel_count
    panels = count * task.panel_bytes * task.packed
    light_panels = count * (task.byte_panel_bytes or task.panel_bytes) * task.packed * task.shot_noise
    scratch = job.tile_rows * job.level_bytes * PANEL if job.width % PANEL else 0
    rows = block * task.rows
    return (
        panels, light_panels, scratch, 8 * 6 * count, 4 * 6 * PANEL, rows * task.common_mode,
        rows * task.intensity_noise, rows, ROWS * block, ROWS * block, 4 * ROWS * PANELS * PANEL
    )  # fmt: skip


@compiled
def _take(workspace, sizes, part):
    """The address of a part of the working memory, at a multiple of 64."""
    address = (workspace.ctypes.data + 63) // 64 * 64
    for before in range(part):
        address += (sizes[before] + 63) // 64 * 64
    return address


@compiled
def _clear(address, size):
    values = carray(pointer(address, np.uint8), size)
    values[:] = 0


@compiled
def _start_task(job, tasks, i):
    """Fill in the record of task `i`; returns its working memory."""
    task = tasks[0]
    _find_place(job, task, i)
    sizes = _part_sizes(job, task)
    workspace = np.empty(64 * (len(sizes) + 1) + sum(sizes), np.uint8)
    task.panels, task.magnitude_panels = _take(workspace, sizes, 0), _take(workspace, sizes, 1)
    task.scratch, task.columns, task.copies = (
        _take(workspace, sizes, 2), _take(workspace, sizes, 3), _take(workspace, sizes, 4)
    )  # fmt: skip
    task.common, task.light, task.totals = (
        _take(workspace, sizes, 5), _take(workspace, sizes, 6), _take(workspace, sizes, 7)
    )  # fmt: skip
    task.sums, task.magnitude_sums = _take(workspace, sizes, 8), _take(workspace, sizes, 9)
    task.deviates = _take(workspace, sizes, 10)
    for part in (2, 4, 7):  # scratch, copies, totals
        _clear(_take(workspace, sizes, part), sizes[part])
    return workspace


@compiled
def _find_levels(job, task, t, p):
    """(address, bytes from row to row) of panel `p` of block `t`; of a copy with zeros if it has no 16 columns."""
    row_bytes, column = job.level_bytes * job.width, task.first_column + p * PANEL
    block = (_source(job, 1, task.b) * job.blocks + t) * job.tile_rows
    address = job.levels + row_bytes * block + job.level_bytes * column
    if job.width - column >= PANEL:
        return address, row_bytes
    there, here, copy = pointer(address, np.uint8), job.level_bytes * PANEL, pointer(task.scratch, np.uint8)
    for k in range(job.tile_rows):
        for i in range(job.level_bytes * (job.width - column)):
            copy[here * k + i] = there[row_bytes * k + i]
    return task.scratch, here


@compiled
def _pack(job, task, t):
    """Levels of block `t` as panels (steps, 16, inputs of a step), and their magnitudes."""
    side, last, keep = 4 // job.code_bytes, job.tile_rows - 1, task.shot_noise != 0
    steps, as_words = job.code_rows // side, keep and job.byte_rows == 0
    for p in range(task.panel_count):
        levels, row_bytes = _find_levels(job, task, t, p)
        to = task.panels + p * task.panel_bytes
        also = task.magnitude_panels + p * (task.byte_panel_bytes or task.panel_bytes)
        if keep and not as_words:
            pack_bytes(levels, row_bytes, last, job.byte_rows // BYTE_STEP, also)
        if job.level_bytes == 1:
            if side == 2:
                pack_int8(levels, row_bytes, last, steps, to, also, as_words)
            else:
                pack_int8_floats(levels, row_bytes, last, steps, to, also, as_words)
        elif job.level_bytes == 2:
            if side == 2:
                pack_int16(levels, row_bytes, last, steps, to, also, as_words)
            else:
                pack_int16_floats(levels, row_bytes, last, steps, to, also, as_words)
        else:
            pack_floats(levels, row_bytes, last, steps, to, also, as_words)


@compiled
def _stream(job, task, t, codes):
    """Sums (panels, 16) of one row of codes with unpacked levels, and of the magnitudes under shot noise.

    A whole cache line of int8 levels at once where all four panels are there: rows of a matrix whose width is a
    multiple of 1024 share a few places of the first cache, so a line that is come back to would be gone.
    """
    full = job.width - task.first_column >= PANELS * PANEL
    together = full and (job.code_bytes == 2 or job.level_bytes == 4)
    p = 0
    while p < task.panel_count:
        levels, row_bytes = _find_levels(job, task, t, p)
        _stream_panels(job, task, codes, levels, row_bytes, 4 * PANEL * p, together)
        p += PANELS if together else 1


@compiled
def _stream_panels(job, task, codes, levels, row_bytes, place, together):
    """Sums of one panel, or of `PANELS` together; in the same chunks as in `_multiply`."""
    side, both = 4 // job.code_bytes, task.shot_noise != 0
    sums, magnitude_sums = task.sums + place, task.magnitude_sums + place
    steps = job.code_rows // side
    start = 0
    while start < steps:
        count = min(job.chunk, steps - start)
        q, more = codes + 4 * start, start > 0
        here, last = levels + row_bytes * side * start, job.tile_rows - 1 - side * start
        if job.level_bytes == 1:
            if side == 1:
                streamed_int8_floats(q, here, row_bytes, last, count, sums, magnitude_sums, more, both)
            elif together:
                streamed_int8(q, here, row_bytes, last, count, sums, magnitude_sums, more, both)
            else:
                streamed_int8_panel(q, here, row_bytes, last, count, sums, magnitude_sums, more, both)
        elif job.level_bytes == 2:
            if side == 1:
                streamed_int16_floats(q, here, row_bytes, last, count, sums, magnitude_sums, more, both)
            elif together:
                streamed_int16(q, here, row_bytes, last, count, sums, magnitude_sums, more, both)
            else:
                streamed_int16_panel(q, here, row_bytes, last, count, sums, magnitude_sums, more, both)
        elif together:
            streamed_floats(q, here, row_bytes, last, count, sums, magnitude_sums, more, both)
        else:
            streamed_floats_panel(q, here, row_bytes, last, count, sums, magnitude_sums, more, both)
        start += count


@compiled
def _find_columns(job, task, t):
    """Where the six values of each column lie: (panels, 6) addresses of 16 numbers.

    A panel with fewer columns is copied, with zeros after them.
    """
    operands = (job.gain, job.offset, job.noise_variance, job.shot_variance, job.scale, job.square_variance)
    whole = min(task.panel_count, (job.width - task.first_column) // PANEL)
    places = pointer(task.columns, np.int64)
    for a in range(6):
        block = _source(job, 2 + a, task.b) * job.blocks + t
        first = operands[a] + 4 * (block * job.width + task.first_column)
        for p in range(whole):
            places[6 * p + a] = first + 4 * PANEL * p
        if whole < task.panel_count:
            values, copy = pointer(first + 4 * PANEL * whole, np.float32), task.copies + 4 * PANEL * a
            for n in range(job.width - task.first_column - whole * PANEL):
                pointer(copy, np.float32)[n] = values[n]
            places[6 * whole + a] = copy


@compiled
def _multiply(job, codes, panel, together, out, light):
    """Sums (6 or 1, 16) of the rows at the address `codes`, in chunks of inputs whose integer sums fit in 32 bits.

    Of their magnitudes, if it is the `light` that is wanted.
    """
    stride = job.code_bytes * job.code_rows
    steps = job.code_rows * job.code_bytes // 4
    start = 0
    while start < steps:
        count = min(job.chunk, steps - start)
        q, levels = codes + 4 * start, panel + 4 * PANEL * start
        if job.code_bytes == 2:
            if together:
                if light:
                    integer_light_rows(q, stride, levels, count, out, start > 0)
                else:
                    integer_product_rows(q, stride, levels, count, out, start > 0)
            elif light:
                integer_light_row(q, stride, levels, count, out, start > 0)
            else:
                integer_product_row(q, stride, levels, count, out, start > 0)
        elif together:
            if light:
                float_light_rows(q, stride, levels, count, out, start > 0)
            else:
                float_product_rows(q, stride, levels, count, out, start > 0)
        elif light:
            float_light_row(q, stride, levels, count, out, start > 0)
        else:
            float_product_row(q, stride, levels, count, out, start > 0)
        start += count


@compiled
def _multiply_light(job, task, row, p, together):
    """Sums of magnitudes of panel `p` and of the rows from row `row` (block included) of the codes."""
    if job.byte_rows == 0:
        codes = job.codes + job.code_bytes * job.code_rows * row
        panel = task.magnitude_panels + p * task.panel_bytes
        _multiply(job, codes, panel, together, task.magnitude_sums, True)
        return
    q, stride, steps = job.magnitudes + job.byte_rows * row, job.byte_rows, job.byte_rows // BYTE_STEP
    panel, totals = task.magnitude_panels + p * task.byte_panel_bytes, job.magnitude_totals + 4 * row
    if together:
        byte_product_rows(q, stride, panel, steps, totals, 4, task.magnitude_sums)
    else:
        byte_product_row(q, stride, panel, steps, totals, 0, task.magnitude_sums)


@compiled
def _share(job, task, row_number):
    """Draw what the columns of a tile share, for all rows of the task."""
    columns = _setting(job, task.b).columns
    for p in range(task.panel_count):
        first, place = task.first_column + p * PANEL, 4 * PANEL * task.rows * p
        if task.common_mode:
            values = carray(pointer(task.common + place, np.float32), (task.rows, PANEL))
            fill_shared(values, task.key0, task.key1, COMMON_MODE, row_number, first, columns)
        if task.intensity_noise:
            values = carray(pointer(task.light + place, np.float32), (task.rows, PANEL))
            fill_shared(values, task.key0, task.key1, INTENSITY, row_number, first, columns)


@compiled
def _draw(task, rows, number):
    """Deviates of some rows and of the task's columns: (rows, 4, 16)."""
    lane = uint32(task.first_column // 2)
    if task.panel_count == PANELS:
        fill_rows(task.deviates, rows, task.key0, task.key1, number, lane)
        return
    for p in range(task.panel_count):
        here = uint32(lane + uint32(PANEL // 2 * p))
        fill_rows_of_a_group(task.deviates + 4 * PANEL * p, rows, task.key0, task.key1, number, here)


@compiled
def _read(job, task, t, m, together):
    """Six rows or one of one block: multiplied, read, and added to the totals."""
    setting, spreads = _setting(job, task.b), pointer(job.shared + 8 * _source(job, 9, task.b), np.float32)
    row = (task.b * job.blocks + t) * job.rows + task.first_row + m
    codes = job.codes + job.code_bytes * job.code_rows * row
    scales, squares = job.scales + 4 * row, job.squares + 4 * row
    noise, shot_noise, square_noise = task.noise != 0, task.shot_noise != 0, task.square_noise != 0
    common_mode, intensity_noise = task.common_mode != 0, task.intensity_noise != 0
    if noise:
        number = uint32(uint32(setting.row_offset) + uint32(task.first_row + m))
        _draw(task, ROWS if together else 1, number)
    if not task.packed:
        _stream(job, task, t, codes)
    for p in range(task.panel_count):
        own = 0 if task.packed else 4 * PANEL * p
        if task.packed:
            _multiply(job, codes, task.panels + p * task.panel_bytes, together, task.sums, False)
            if shot_noise:
                _multiply_light(job, task, row, p, together)
        columns = pointer(task.columns + 48 * p, np.int64)
        place = 4 * PANEL * (p * task.rows + m)
        common, light, total = task.common + place, task.light + place, task.totals + place
        deviates = task.deviates + 4 * PANEL * p
        if together:
            read_rows(
                columns[0], columns[1], columns[2], columns[3], columns[4], columns[5], task.sums, task.magnitude_sums,
                common, light, total, deviates, scales, squares, 4, spreads[0], spreads[1],
                setting.adc_bits, noise, shot_noise, common_mode, intensity_noise, square_noise,
            )  # fmt: skip
        else:
            read_row(
                columns[0], columns[1], columns[2], columns[3], columns[4], columns[5], task.sums + own,
                task.magnitude_sums + own, common, light, total, deviates, scales, squares, 0, spreads[0], spreads[1],
                setting.adc_bits, noise, shot_noise, common_mode, intensity_noise, square_noise,
            )  # fmt: skip


@compiled
def _write_totals(job, task):
    totals = carray(pointer(task.totals, np.float32), (task.panel_count, task.rows, PANEL))
    for p in range(task.panel_count):
        start = task.first_column + p * PANEL
        for m in range(task.rows):
            row = task.b * job.rows + task.first_row + m
            y = pointer(job.y + 4 * (row * job.width + start), np.float32)
            for n in range(min(PANEL, job.width - start)):
                y[n] = totals[p, m, n]


@compiled_callback(ON_TASK)
def _run_task(job_address, i):
    """One block of rows and columns of the result, all its tiles one after another."""
    job, tasks = _job(job_address), np.empty(1, TASK)
    task = tasks[0]
    workspace = _start_task(job, tasks, i)
    key = pointer(job.key + 8 * _source(job, 8, task.b), np.uint32)
    row_number = uint32(uint32(_setting(job, task.b).row_offset) + uint32(task.first_row))
    for t in range(job.blocks):
        task.key0, task.key1 = tile_key(key[0], key[1], t)
        if task.packed:
            _pack(job, task, t)
        _find_columns(job, task, t)
        _share(job, task, row_number)
        m = 0
        while m < task.rows:
            together = m + ROWS <= task.rows
            _read(job, task, t, m, together)
            m += ROWS if together else 1
    _write_totals(job, task)
    workspace[0] = 0  # a use, so that it lives until all is done


# All tasks

_KEPT = (_encode_row, _run_task)
llvmlite.binding.add_symbol("photonsim_encode_row", _encode_row.address)
llvmlite.binding.add_symbol("photonsim_run_task", _run_task.address)
encode_row = types.ExternalFunction("photonsim_encode_row", ON_TASK)
run_task = types.ExternalFunction("photonsim_run_task", ON_TASK)


def _job_runner(parallel):
    loop = numba.prange if parallel else range

    @compiled(parallel=parallel)
    def run(job_address, row_count, task_count, stage):
        if stage == 0:
            for i in loop(row_count):
                encode_row(job_address, i)
        else:
            for i in loop(task_count):
                run_task(job_address, i)

    return run


_run, _run_alone = _job_runner(parallel=True), _job_runner(parallel=False)


@compiled_callback(types.intp())
def _yes():
    return 1


@compiled_callback(types.intp())
def _no():
    return 0


# Asked at run time, by symbol: code that was compiled under one threading layer is found again under another.
_ANSWERS = (_yes, _no)
llvmlite.binding.add_symbol("photonsim_alone", (_no if threads_may_overlap() else _yes).address)
must_run_alone = types.ExternalFunction("photonsim_alone", types.intp())


@compiled
def run_job(jobs, source):
    """Fill in the result of `jobs[0]`, whose addresses and sizes are set; the rest of it is set here."""
    job = jobs[0]
    job.source = source.ctypes.data
    setting = _setting(job, 0)
    integers = setting.input_bits != IDEAL and job.level_bytes < 4
    job.code_bytes = 2 if integers else 4
    job.code_rows = job.tile_rows + (job.tile_rows % 2 if integers else 0)
    job.chunk = job.code_rows
    if integers:
        largest_level = 128 if job.level_bytes == 1 else 32768
        job.chunk = max(((1 << 31) - 1) // (full_scale_code(setting.input_bits) * largest_level) // 2, 1)
    whole = job.chunk >= job.code_rows // 2  # no sum of a block can exceed 32 bits
    as_bytes = setting.shot_noise and integers and setting.input_bits <= 8 and job.level_bytes == 1 and whole
    job.byte_rows = (job.tile_rows + BYTE_STEP - 1) // BYTE_STEP * BYTE_STEP if as_bytes and job.rows >= ROWS else 0
    rows = job.batches * job.rows
    codes = np.empty(job.code_bytes * job.code_rows * job.blocks * rows, np.uint8)
    magnitudes = np.empty(job.byte_rows * job.blocks * rows, np.uint8)
    totals, scales = np.empty(job.blocks * rows, np.int32), np.empty(job.blocks * rows, np.float32)
    job.codes, job.magnitudes = codes.ctypes.data, magnitudes.ctypes.data
    squares = np.empty(job.blocks * rows * setting.square_noise, np.float32)
    job.magnitude_totals, job.scales, job.squares = totals.ctypes.data, scales.ctypes.data, squares.ctypes.data
    row_blocks, column_blocks = _task_count(job)
    address = jobs.ctypes.data
    tasks = job.batches * row_blocks * column_blocks
    if job.alone or must_run_alone() or rows * job.inner * job.width < WORTH_THREADS:
        _run_alone(address, rows, 0, 0)
        _run_alone(address, 0, tasks, 1)
    else:
        _run(address, rows, 0, 0)
        _run(address, 0, tasks, 1)
    # A use, so that they live until all is done.
    return source.size + codes.size + magnitudes.size + totals.size + scales.size + squares.size


def crossbar_matmul(*operands):
    """The product from NumPy: operands in the order of `OPERANDS`, each with leading batch axes or 1 in their place.

    x (…, M, K), levels (…, T, R, N) int8, int16 or float32, gain, offset, noise variance, shot variance, scale and
    square variance (…, T, N), key (…, 2) uint32, the standard deviations of what columns share (…, 2): the common mode
    in codes, and of the light relative to it; settings (…, 9): see `settings`.
    Returns (…, M, N) float32. Numbers of any other type are cast first.
    """
    operands = [_at_the_door(i, operand) for i, operand in enumerate(operands)]
    leading = [a.shape[: a.ndim - rank] for a, rank in zip(operands, RANKS, strict=True)]
    batch, source = _sources(leading)
    (rows, inner), (blocks, tile_rows, width) = (operands[0].shape[-2:], operands[1].shape[-3:])
    y = _zeros((*batch, rows, width))
    addresses = [_address(operand) for operand in (*operands, y)]
    sizes = (source.shape[1], rows, inner, blocks, tile_rows, width, operands[1].itemsize)
    jobs = np.array((*addresses, *[0] * 6, *sizes, *[0] * 4, _forked), np.int64).view(JOB)
    if y.size and blocks:
        run_job(jobs, source)
    return y


@compiled
def _address(array):
    """Where the numbers of an array lie; from Python, its attribute takes six times as long."""
    return array.ctypes.data


def _note_fork():
    global _forked
    _forked = True


# Threads do not survive a fork, and GNU's OpenMP ends a child that asks for them: so a child works alone.
_forked = False
os.register_at_fork(after_in_child=_note_fork)


def _sources(leading):
    """The batch axes of the result, and which element of each operand belongs to which of its elements."""
    if not any(leading):
        return (), np.zeros((len(leading), 1), np.int64)
    batch = np.broadcast_shapes(*leading)
    numbers = [np.arange(np.prod(own, dtype=int)).reshape(own) for own in leading]
    return batch, np.ascontiguousarray([np.broadcast_to(number, batch).ravel() for number in numbers], np.int64)


def _zeros(shape):
    return np.zeros(shape, np.float32)


def _at_the_door(index: int, operand):
    operand = np.asarray(operand)
    if index == 1:
        kind = operand.dtype if operand.dtype in (np.int8, np.int16) else np.float32
    else:
        kind = {8: np.uint32, 10: np.int32}.get(index, np.float32)
    return np.ascontiguousarray(operand, kind)


def settings(
    input_bits: int | None, adc_bits: int | None, columns: int, noise: bool, shot_noise: bool, common_mode: bool,
    intensity_noise: bool = False, square_noise: bool = False, row_offset: int = 0,
):  # fmt: skip
    """The settings of a product as the kernel takes them (9,) int32; the row offset keeps its 32 bits."""
    offset = int(np.uint32(row_offset).view(np.int32))
    flags = [int(noise), int(shot_noise), int(common_mode), int(intensity_noise), int(square_noise)]
    return np.array([input_bits or IDEAL, adc_bits or IDEAL, columns, *flags, offset], np.int32)
