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

import llvmlite.binding
import numba
import numpy as np
from numba import float32, types, uint32
from numba.np.numpy_support import carray

from photonsim_kernels.compiled import compiled, compiled_callback, threads_may_overlap
from photonsim_kernels.noise import COMMON_MODE, INTENSITY, fill_shared, tile_key
from photonsim_kernels.pointers import bits_of, float_of_bits, pointer
from photonsim_kernels.products import (
    PANEL,
    ROWS,
    float_product_row,
    float_product_rows,
    integer_product_row,
    integer_product_rows,
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

PANELS = 4  # packed at once, so that a cache line of 64 int8 levels is read once
ROW_BLOCK = 258  # rows of a task
WORTH_THREADS = 1 << 18  # multiply-accumulates of a product, some 10 µs: less than it can take to wake a thread
SMALLEST_SCALE = float32(2.0**-100)

IDEAL = 0  # as a number of bits
RANKS = (2, 3, 2, 2, 2, 2, 2, 1, 1, 1)
OPERANDS = ("x", "levels", "gain", "offset", "noise_variance", "shot_variance", "scale", "key", "shared", "settings")
SETTINGS = ("input_bits", "adc_bits", "columns", "noise", "shot_noise", "common_mode", "intensity_noise", "row_offset")
SETTING = np.dtype([(name, np.int32) for name in SETTINGS])
SETTING_BYTES = SETTING.itemsize

# One product. Addresses of the operands (see `crossbar_matmul`), the result, and the working memory of `run_job`;
# `source` (10, batches): which batch element of an operand belongs to which of the result; sizes; bytes per number.
JOB = np.dtype(
    [(name, np.int64) for name in OPERANDS]
    + [(name, np.int64) for name in ("y", "source", "codes", "magnitudes", "scales")]
    + [(name, np.int64) for name in ("batches", "rows", "inner", "blocks", "tile_rows", "width")]
    + [(name, np.int64) for name in ("level_bytes", "code_bytes", "code_rows", "chunk")]
)


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
def _encode_block(x, codes, magnitudes, scale, bits, keep_magnitudes):
    """Codes of one block under its scale, and their magnitudes; zeros after the last input."""
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
    if keep_magnitudes:
        for k in range(codes.shape[0]):
            magnitudes[k] = abs(codes[k])


@compiled
def _job(address):
    return carray(pointer(address, JOB), 1)[0]


@compiled
def _setting(job, b):
    """The settings of batch element `b`."""
    return carray(pointer(job.settings + SETTING_BYTES * _source(job, 9, b), SETTING), 1)[0]


@compiled
def _source(job, operand, b):
    return pointer(job.source, np.int64)[operand * job.batches + b]


TASK = types.void(types.intp, types.intp)  # (address of the job, number of the task)


@compiled_callback(TASK)
def _encode_row(job_address, i):
    """Codes, magnitudes and scales of one row of x: (T, R'), (T, R'), (T,)."""
    job = _job(job_address)
    b, m = i // job.rows, i % job.rows
    setting = _setting(job, b)
    for t in range(job.blocks):
        start = t * job.tile_rows
        count = min(job.tile_rows, job.inner - start)
        address = job.x + 4 * ((_source(job, 0, b) * job.rows + m) * job.inner + start)
        x = carray(pointer(address, np.float32), count)
        scale = block_scale(x)
        pointer(job.scales, np.float32)[i * job.blocks + t] = scale
        place = job.code_bytes * job.code_rows * (i * job.blocks + t)
        bits, keep = setting.input_bits, setting.shot_noise != 0
        if job.code_bytes == 2:
            codes = carray(pointer(job.codes + place, np.int16), job.code_rows)
            magnitudes = carray(pointer(job.magnitudes + place, np.int16), job.code_rows)
            _encode_block(x, codes, magnitudes, scale, bits, keep)
        else:
            float_codes = carray(pointer(job.codes + place, np.float32), job.code_rows)
            float_magnitudes = carray(pointer(job.magnitudes + place, np.float32), job.code_rows)
            _encode_block(x, float_codes, float_magnitudes, scale, bits, keep)


# One task


@compiled
def _scratch(job):
    """Room for the levels of one block of 16 columns, zero."""
    return np.zeros(job.tile_rows * job.level_bytes * PANEL, np.uint8)


@compiled
def _find_levels(job, b, t, column, scratch):
    """(address, bytes from row to row) of 16 columns of block `t`: a copy with zeros beside them if there are fewer."""
    row_bytes = job.level_bytes * job.width
    block = (_source(job, 1, b) * job.blocks + t) * job.tile_rows
    address = job.levels + row_bytes * block + job.level_bytes * column
    if job.width - column >= PANEL:
        return address, row_bytes
    there, here = pointer(address, np.uint8), job.level_bytes * PANEL
    for k in range(job.tile_rows):
        for i in range(job.level_bytes * (job.width - column)):
            scratch[here * k + i] = there[row_bytes * k + i]
    return scratch.ctypes.data, here


@compiled
def _pack(job, b, t, start, count, panels, magnitudes, keep, scratch):
    """Levels of block `t` from column `start` as `count` panels (steps, 16, inputs of a step), and their magnitudes."""
    side, last = 4 // job.code_bytes, job.tile_rows - 1
    steps = job.code_rows // side
    for p in range(count):
        levels, row_bytes = _find_levels(job, b, t, start + p * PANEL, scratch)
        to, also = panels + 64 * p * steps, magnitudes + 64 * p * steps
        if job.level_bytes == 1:
            if side == 2:
                pack_int8(levels, row_bytes, last, steps, to, also, keep)
            else:
                pack_int8_floats(levels, row_bytes, last, steps, to, also, keep)
        elif job.level_bytes == 2:
            if side == 2:
                pack_int16(levels, row_bytes, last, steps, to, also, keep)
            else:
                pack_int16_floats(levels, row_bytes, last, steps, to, also, keep)
        else:
            pack_floats(levels, row_bytes, last, steps, to, also, keep)


@compiled
def _stream(job, b, t, column, count, codes, magnitudes, sums, magnitude_sums, both, scratch):
    """Sums (count, 16) of one row of codes with unpacked levels, and of the magnitudes if `both`.

    A whole cache line of int8 levels at once where all four panels are there: rows of a matrix whose width is a
    multiple of 1024 share a few places of the first cache, so a line that is come back to would be gone.
    """
    together = job.width - column >= PANELS * PANEL and (job.code_bytes == 2 or job.level_bytes == 4)
    p = 0
    while p < count:
        levels, row_bytes = _find_levels(job, b, t, column + p * PANEL, scratch)
        place = 4 * PANEL * p
        _stream_panels(job, codes, magnitudes, levels, row_bytes, sums + place, magnitude_sums + place, both, together)
        p += PANELS if together else 1


@compiled
def _stream_panels(job, codes, magnitudes, levels, row_bytes, sums, magnitude_sums, both, together):
    """Sums of one panel, or of `PANELS` together; in the same chunks as in `_multiply`."""
    side = 4 // job.code_bytes
    steps = job.code_rows // side
    start = 0
    while start < steps:
        count = min(job.chunk, steps - start)
        q, a, more = codes + 4 * start, magnitudes + 4 * start, start > 0
        here, last = levels + row_bytes * side * start, job.tile_rows - 1 - side * start
        if job.level_bytes == 1:
            if side == 1:
                streamed_int8_floats(q, a, here, row_bytes, last, count, sums, magnitude_sums, more, both)
            elif together:
                streamed_int8(q, a, here, row_bytes, last, count, sums, magnitude_sums, more, both)
            else:
                streamed_int8_panel(q, a, here, row_bytes, last, count, sums, magnitude_sums, more, both)
        elif job.level_bytes == 2:
            if side == 1:
                streamed_int16_floats(q, a, here, row_bytes, last, count, sums, magnitude_sums, more, both)
            elif together:
                streamed_int16(q, a, here, row_bytes, last, count, sums, magnitude_sums, more, both)
            else:
                streamed_int16_panel(q, a, here, row_bytes, last, count, sums, magnitude_sums, more, both)
        elif together:
            streamed_floats(q, a, here, row_bytes, last, count, sums, magnitude_sums, more, both)
        else:
            streamed_floats_panel(q, a, here, row_bytes, last, count, sums, magnitude_sums, more, both)
        start += count


@compiled
def _find_columns(job, b, t, start, count, copies, places):
    """Where the five values of each column lie, for `count` panels from `start`: (count, 5) addresses of 16 numbers.

    A panel with fewer columns is copied, with zeros after them.
    """
    operands = (job.gain, job.offset, job.noise_variance, job.shot_variance, job.scale)
    whole = min(count, (job.width - start) // PANEL)
    for a in range(5):
        first = operands[a] + 4 * ((_source(job, 2 + a, b) * job.blocks + t) * job.width + start)
        for p in range(whole):
            places[p, a] = first + 4 * PANEL * p
        if whole < count:
            values = pointer(first + 4 * PANEL * whole, np.float32)
            for n in range(job.width - start - whole * PANEL):
                copies[a, n] = values[n]
            places[whole, a] = copies[a].ctypes.data


@compiled
def _multiply(job, codes, panel, together, out):
    """Sums (6 or 1, 16) of the rows at the address `codes`, in chunks of inputs whose integer sums fit in 32 bits."""
    stride = job.code_bytes * job.code_rows * job.blocks
    steps = job.code_rows * job.code_bytes // 4
    start = 0
    while start < steps:
        count = min(job.chunk, steps - start)
        q, levels = codes + 4 * start, panel + 4 * PANEL * start
        if job.code_bytes == 2:
            if together:
                integer_product_rows(q, stride, levels, count, out, start > 0)
            else:
                integer_product_row(q, stride, levels, count, out, start > 0)
        elif together:
            float_product_rows(q, stride, levels, count, out, start > 0)
        else:
            float_product_row(q, stride, levels, count, out, start > 0)
        start += count


@compiled_callback(TASK)
def _run_task(job_address, i):
    """One block of rows and columns of the result, all its tiles one after another."""
    job = _job(job_address)
    row_blocks = (job.rows + ROW_BLOCK - 1) // ROW_BLOCK
    column_blocks = (job.width + PANELS * PANEL - 1) // (PANELS * PANEL)
    b, rest = i // (row_blocks * column_blocks), i % (row_blocks * column_blocks)
    first_row, first_column = (rest % row_blocks * ROW_BLOCK, rest // row_blocks * PANELS * PANEL)
    rows = min(ROW_BLOCK, job.rows - first_row)
    count = min(PANELS, (job.width - first_column + PANEL - 1) // PANEL)
    setting = _setting(job, b)
    shot_noise, common_mode, intensity = setting.shot_noise != 0, setting.common_mode != 0, setting.intensity_noise != 0
    noise = setting.noise != 0 or shot_noise
    key = carray(pointer(job.key + 8 * _source(job, 7, b), np.uint32), 2)
    spreads = pointer(job.shared + 8 * _source(job, 8, b), np.float32)
    row_number = uint32(uint32(setting.row_offset) + uint32(first_row))

    block_bytes = job.code_bytes * job.code_rows
    panel_bytes = block_bytes * PANEL
    packed = rows >= ROWS  # else each row is multiplied by the levels as they are stored
    panels = np.empty(count * panel_bytes if packed else 0, np.uint8)
    panel_magnitudes = np.empty(count * panel_bytes if packed and shot_noise else 0, np.uint8)
    columns, copies = np.empty((count, 5), np.intp), np.zeros((5, PANEL), np.float32)
    scratch = _scratch(job)
    common = np.empty((count, rows if common_mode else 0, PANEL), np.float32)
    light = np.empty((count, rows if intensity else 0, PANEL), np.float32)
    totals = np.zeros((count, rows, PANEL), np.float32)
    sums, magnitude_sums = np.empty((ROWS, PANEL), np.float32), np.empty((ROWS, PANEL), np.float32)
    for t in range(job.blocks):
        key0, key1 = tile_key(key[0], key[1], t)
        if packed:
            _pack(job, b, t, first_column, count, panels.ctypes.data, panel_magnitudes.ctypes.data, shot_noise, scratch)
        _find_columns(job, b, t, first_column, count, copies, columns)
        for p in range(count):
            if common_mode:
                fill_shared(common[p], key0, key1, COMMON_MODE, row_number, first_column + p * PANEL, setting.columns)
            if intensity:
                fill_shared(light[p], key0, key1, INTENSITY, row_number, first_column + p * PANEL, setting.columns)
        m = 0
        while m < rows:
            together = m + ROWS <= rows
            row = (b * job.rows + first_row + m) * job.blocks + t
            codes, magnitudes = job.codes + block_bytes * row, job.magnitudes + block_bytes * row
            row_scales, number = job.scales + 4 * row, uint32(row_number + uint32(m))
            if not packed:
                _stream(
                    job, b, t, first_column, count, codes, magnitudes, sums.ctypes.data, magnitude_sums.ctypes.data,
                    shot_noise, scratch,
                )  # fmt: skip
            for p in range(count):
                own = 0 if packed else 4 * PANEL * p
                if packed:
                    _multiply(job, codes, panels.ctypes.data + p * panel_bytes, together, sums.ctypes.data)
                    if shot_noise:
                        panel = panel_magnitudes.ctypes.data + p * panel_bytes
                        _multiply(job, magnitudes, panel, together, magnitude_sums.ctypes.data)
                lane = uint32((first_column + p * PANEL) // 2)
                gain, offset, noise_variance = columns[p, 0], columns[p, 1], columns[p, 2]
                shot_variance, scale = columns[p, 3], columns[p, 4]
                place = 4 * PANEL * (p * rows + m)
                here, all_light = sums.ctypes.data + own, magnitude_sums.ctypes.data + own
                shared, lights, total = (
                    common.ctypes.data + place,
                    light.ctypes.data + place,
                    totals.ctypes.data + place,
                )
                if together:
                    read_rows(
                        here, all_light, gain, offset, noise_variance, shot_variance, scale, shared, lights, total,
                        row_scales, 4 * job.blocks, key0, key1, number, lane,
                        spreads[0], spreads[1], setting.adc_bits, noise, shot_noise, common_mode, intensity,
                    )  # fmt: skip
                else:
                    read_row(
                        here, all_light, gain, offset, noise_variance, shot_variance, scale, shared, lights, total,
                        row_scales, 0, key0, key1, number, lane,
                        spreads[0], spreads[1], setting.adc_bits, noise, shot_noise, common_mode, intensity,
                    )  # fmt: skip
            m += ROWS if together else 1
    for p in range(count):
        start = first_column + p * PANEL
        for m in range(rows):
            y = pointer(job.y + 4 * ((b * job.rows + first_row + m) * job.width + start), np.float32)
            for n in range(min(PANEL, job.width - start)):
                y[n] = totals[p, m, n]


# All tasks

_KEPT = (_encode_row, _run_task)
llvmlite.binding.add_symbol("photonsim_encode_row", _encode_row.address)
llvmlite.binding.add_symbol("photonsim_run_task", _run_task.address)
encode_row = types.ExternalFunction("photonsim_encode_row", TASK)
run_task = types.ExternalFunction("photonsim_run_task", TASK)


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


_run, _run_alone = _job_runner(parallel=threads_may_overlap()), _job_runner(parallel=False)


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
    rows = job.batches * job.rows
    codes = np.empty(job.code_bytes * job.code_rows * job.blocks * rows, np.uint8)
    magnitudes = np.empty(codes.size if setting.shot_noise else 0, np.uint8)
    scales = np.empty(job.blocks * rows, np.float32)
    job.codes, job.magnitudes, job.scales = (codes.ctypes.data, magnitudes.ctypes.data, scales.ctypes.data)
    row_blocks = (job.rows + ROW_BLOCK - 1) // ROW_BLOCK
    column_blocks = (job.width + PANELS * PANEL - 1) // (PANELS * PANEL)
    address = jobs.ctypes.data
    tasks = job.batches * row_blocks * column_blocks
    if rows * job.inner * job.width < WORTH_THREADS:
        _run_alone(address, rows, 0, 0)
        _run_alone(address, 0, tasks, 1)
    else:
        _run(address, rows, 0, 0)
        _run(address, 0, tasks, 1)
    return source.size + codes.size + magnitudes.size + scales.size  # a use, so that they live until all is done


def crossbar_matmul(*operands):
    """The product from NumPy: operands in the order of `OPERANDS`, each with leading batch axes or 1 in their place.

    x (…, M, K), levels (…, T, R, N) int8, int16 or float32, gain, offset, noise variance, shot variance and scale
    (…, T, N), key (…, 2) uint32, the standard deviations of what columns share (…, 2): the common mode in codes, and of
    the light relative to it; settings (…, 8): see `settings`.
    Returns (…, M, N) float32. Numbers of any other type are cast first.
    """
    operands = [_at_the_door(i, operand) for i, operand in enumerate(operands)]
    leading = [a.shape[: a.ndim - rank] for a, rank in zip(operands, RANKS, strict=True)]
    batch, source = _sources(leading)
    (rows, inner), (blocks, tile_rows, width) = (operands[0].shape[-2:], operands[1].shape[-3:])
    y = _zeros((*batch, rows, width))
    addresses = [operand.ctypes.data for operand in operands]
    sizes = (source.shape[1], rows, inner, blocks, tile_rows, width, operands[1].itemsize)
    jobs = np.array([(*addresses, y.ctypes.data, *[0] * 4, *sizes, *[0] * 3)], JOB)
    if y.size and blocks:
        run_job(jobs, source)
    return y


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
        kind = {7: np.uint32, 9: np.int32}.get(index, np.float32)
    return np.ascontiguousarray(operand, kind)


def settings(
    input_bits: int | None, adc_bits: int | None, columns: int, noise: bool, shot_noise: bool, common_mode: bool,
    intensity_noise: bool = False, row_offset: int = 0,
):  # fmt: skip
    """The settings of a product as the kernel takes them (8,) int32; the row offset keeps its 32 bits."""
    offset = int(np.uint32(row_offset).view(np.int32))
    flags = [int(noise), int(shot_noise), int(common_mode), int(intensity_noise)]
    return np.array([input_bits or IDEAL, adc_bits or IDEAL, columns, *flags, offset], np.int32)
