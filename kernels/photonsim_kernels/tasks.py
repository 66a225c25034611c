"""One task of a product: 64 columns and up to 258 rows of the result, all its tiles one after another."""

import numpy as np
from numba import uint32
from numba.np.numpy_support import carray

from photonsim_kernels.blocks import multiply, multiply_light, pack, stream
from photonsim_kernels.compiled import compiled, compiled_callback
from photonsim_kernels.jobs import PANELS, ROW_BLOCK, TASK, job_at, setting_of, source_of
from photonsim_kernels.noise import COMMON_MODE, INTENSITY, fill_rows, fill_rows_of_a_group, fill_shared, tile_key
from photonsim_kernels.pointers import pointer
from photonsim_kernels.products import PANEL, ROWS
from photonsim_kernels.reading import read_row, read_rows
from photonsim_kernels.threads import ON_TASK, publish


@compiled
def task_count(job):
    """(blocks of rows, blocks of columns) of one product."""
    return (job.rows + ROW_BLOCK - 1) // ROW_BLOCK, (job.width + PANELS * PANEL - 1) // (PANELS * PANEL)


@compiled
def _find_place(job, task, i):
    """Which rows and columns task `i` computes, and what is on."""
    row_blocks, column_blocks = task_count(job)
    task.b, rest = i // (row_blocks * column_blocks), i % (row_blocks * column_blocks)
    task.first_row, task.first_column = rest % row_blocks * ROW_BLOCK, rest // row_blocks * PANELS * PANEL
    task.rows = min(ROW_BLOCK, job.rows - task.first_row)
    task.panel_count = min(PANELS, (job.width - task.first_column + PANEL - 1) // PANEL)
    task.panel_bytes, task.byte_panel_bytes = job.code_bytes * job.code_rows * PANEL, job.byte_rows * PANEL
    setting = setting_of(job, task.b)
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
def _find_columns(job, task, t):
    """Where the six values of each column lie: (panels, 6) addresses of 16 numbers.

    A panel with fewer columns is copied, with zeros after them.
    """
    operands = (job.gain, job.offset, job.noise_variance, job.shot_variance, job.scale, job.square_variance)
    whole = min(task.panel_count, (job.width - task.first_column) // PANEL)
    places = pointer(task.columns, np.int64)
    for a in range(6):
        block = source_of(job, 2 + a, task.b) * job.blocks + t
        first = operands[a] + 4 * (block * job.width + task.first_column)
        for p in range(whole):
            places[6 * p + a] = first + 4 * PANEL * p
        if whole < task.panel_count:
            values, copy = pointer(first + 4 * PANEL * whole, np.float32), task.copies + 4 * PANEL * a
            for n in range(job.width - task.first_column - whole * PANEL):
                pointer(copy, np.float32)[n] = values[n]
            places[6 * whole + a] = copy


@compiled
def _share(job, task, row_number):
    """Draw what the columns of a tile share, for all rows of the task."""
    columns = setting_of(job, task.b).columns
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
    setting, spreads = setting_of(job, task.b), pointer(job.shared + 8 * source_of(job, 9, task.b), np.float32)
    row = (task.b * job.blocks + t) * job.rows + task.first_row + m
    codes = job.codes + job.code_bytes * job.code_rows * row
    scales, squares = job.scales + 4 * row, job.squares + 4 * row
    noise, shot_noise, square_noise = task.noise != 0, task.shot_noise != 0, task.square_noise != 0
    common_mode, intensity_noise = task.common_mode != 0, task.intensity_noise != 0
    if noise:
        number = uint32(uint32(setting.row_offset) + uint32(task.first_row + m))
        _draw(task, ROWS if together else 1, number)
    if not task.packed:
        stream(job, task, t, codes)
    for p in range(task.panel_count):
        own = 0 if task.packed else 4 * PANEL * p
        if task.packed:
            multiply(job, codes, task.panels + p * task.panel_bytes, together, task.sums, False)
            if shot_noise:
                multiply_light(job, task, row, p, together)
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
    job, tasks = job_at(job_address), np.empty(1, TASK)
    task = tasks[0]
    workspace = _start_task(job, tasks, i)
    key = pointer(job.key + 8 * source_of(job, 8, task.b), np.uint32)
    row_number = uint32(uint32(setting_of(job, task.b).row_offset) + uint32(task.first_row))
    for t in range(job.blocks):
        task.key0, task.key1 = tile_key(key[0], key[1], t)
        if task.packed:
            pack(job, task, t)
        _find_columns(job, task, t)
        _share(job, task, row_number)
        m = 0
        while m < task.rows:
            together = m + ROWS <= task.rows
            _read(job, task, t, m, together)
            m += ROWS if together else 1
    _write_totals(job, task)
    # A use, so that they live until all is done: the record `task` does not hold the array that it lies in.
    workspace[0], tasks[0].rows = 0, 0


run_task = publish("photonsim_run_task", _run_task)
