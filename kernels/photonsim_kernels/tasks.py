"""One task of a product: 64 columns and up to 258 rows of the result, all its tiles one after another.

A few rows alone are bound by the levels they read. So neighbouring tasks go through a tile together, eight rows of
levels at a time from one end to the other, which is the order in which they lie in memory.
"""

import numpy as np
from numba import uint32

from photonsim_kernels.blocks import multiply, multiply_light, pack, stream, stream_strip
from photonsim_kernels.compiled import compiled, compiled_callback
from photonsim_kernels.generators import HASHES
from photonsim_kernels.jobs import PANELS, ROW_BLOCK, TASK, job_at, setting_of, source_of
from photonsim_kernels.noise import COMMON_MODE, GROUP, INTENSITY, fill_rows, fill_rows_of_a_group, fill_shared
from photonsim_kernels.packing import ask_for
from photonsim_kernels.pointers import carray, pointer
from photonsim_kernels.products import PANEL, ROWS
from photonsim_kernels.reading import read_row, read_row_of_panels, read_rows, spread_panel, spread_panels
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
    task.whole = min(task.panel_count, (job.width - task.first_column) // PANEL)
    task.panel_bytes, task.byte_panel_bytes = job.code_bytes * job.code_rows * PANEL, job.byte_rows * PANEL
    setting = setting_of(job, task.b)
    task.shot_noise, task.common_mode, task.intensity_noise = (
        setting.shot_noise, setting.common_mode, setting.intensity_noise
    )  # fmt: skip
    task.square_noise = setting.square_noise
    task.noise_of_rows = setting.shot_noise | setting.square_noise
    task.noise = setting.noise | task.noise_of_rows
    task.packed = task.rows >= ROWS  # else each row is multiplied by the levels as they are stored


@compiled
def _part_sizes(job, task):
    """Bytes of each of the `PARTS`, of the widest task of the job: all tasks of a strip have the same room."""
    count = min(PANELS, (job.width + PANEL - 1) // PANEL)
    block = 4 * PANEL * count
    panels = count * task.panel_bytes * task.packed
    light_panels = count * (task.byte_panel_bytes or task.panel_bytes) * task.packed * task.shot_noise
    scratch = job.tile_rows * job.level_bytes * PANEL if job.width % PANEL else 0
    rows = block * task.rows
    return (
        panels, light_panels, scratch, 4 * 6 * PANEL, rows * task.common_mode,
        rows * task.intensity_noise, rows, ROWS * block, ROWS * block, block, 4 * ROWS * PANELS * PANEL
    )  # fmt: skip


@compiled
def _places(address, sizes):
    """The addresses of the parts, one behind another, each at a multiple of 64; and where the last ends."""
    places = np.empty(len(sizes) + 1, np.int64)
    places[0] = (address + 63) // 64 * 64
    for part in range(len(sizes)):
        places[part + 1] = places[part] + (sizes[part] + 63) // 64 * 64
    return places


@compiled
def _clear(address, size):
    values = carray(pointer(address, np.uint8), size)
    values[:] = 0


@compiled
def _start_tasks(job, tasks, first):
    """Fill in the records of the tasks from number `first`; returns their working memory."""
    for s in range(tasks.shape[0]):
        _find_place(job, tasks[s], first + s)
    sizes = _part_sizes(job, tasks[0])
    room = _places(0, sizes)[-1]
    workspace = np.empty(64 + room * tasks.shape[0], np.uint8)
    for s in range(tasks.shape[0]):
        _lay_out(tasks[s], _places(workspace.ctypes.data + s * room, sizes), sizes)
    return workspace


@compiled
def _lay_out(task, places, sizes):
    """Give a task the parts of its working memory."""
    task.panels, task.magnitude_panels, task.scratch, task.copies = places[0], places[1], places[2], places[3]
    task.common, task.light, task.totals, task.sums = places[4], places[5], places[6], places[7]
    task.magnitude_sums, task.spreads, task.deviates = places[8], places[9], places[10]
    for part in (2, 3, 6):  # scratch, copies, totals
        _clear(places[part], sizes[part])


@compiled
def _find_columns(job, task, t):
    """Where the values of the first column lie; those of a panel of fewer columns are copied, with zeros after them."""
    first = 4 * task.first_column
    task.gain = job.gain + 4 * job.width * (source_of(job, 2, task.b) * job.blocks + t) + first
    task.offset = job.offset + 4 * job.width * (source_of(job, 3, task.b) * job.blocks + t) + first
    task.noise_variance = job.noise_variance + 4 * job.width * (source_of(job, 4, task.b) * job.blocks + t) + first
    task.shot_variance = job.shot_variance + 4 * job.width * (source_of(job, 5, task.b) * job.blocks + t) + first
    task.scale = job.scale + 4 * job.width * (source_of(job, 6, task.b) * job.blocks + t) + first
    task.square_variance = job.square_variance + 4 * job.width * (source_of(job, 7, task.b) * job.blocks + t) + first
    if task.whole < task.panel_count:
        columns = (task.gain, task.offset, task.noise_variance, task.shot_variance, task.scale, task.square_variance)
        for a in range(6):
            values = pointer(columns[a] + 4 * PANEL * task.whole, np.float32)
            copy = pointer(task.copies + 4 * PANEL * a, np.float32)
            for n in range(job.width - task.first_column - task.whole * PANEL):
                copy[n] = values[n]


@compiled
def _columns(task, p):
    """Where the six values of the columns of panel `p` lie, in the order of the operands."""
    copies, place = task.copies, 4 * PANEL * p
    if p < task.whole:
        return (
            task.gain + place, task.offset + place, task.noise_variance + place, task.shot_variance + place,
            task.scale + place, task.square_variance + place,
        )  # fmt: skip
    step = 4 * PANEL
    return copies, copies + step, copies + 2 * step, copies + 3 * step, copies + 4 * step, copies + 5 * step


@compiled
def _share(job, task):
    """Draw what the columns of a tile share, for all rows of the task."""
    setting = setting_of(job, task.b)
    columns, row_number = setting.columns, uint32(uint32(setting.row_offset) + uint32(task.first_row))
    for p in range(task.panel_count):
        first, place = task.first_column + p * PANEL, 4 * PANEL * task.rows * p
        if task.common_mode:
            values = carray(pointer(task.common + place, np.float32), (task.rows, PANEL))
            fill_shared(values, task.key0, task.key1, COMMON_MODE, row_number, first, columns)
        if task.intensity_noise:
            values = carray(pointer(task.light + place, np.float32), (task.rows, PANEL))
            fill_shared(values, task.key0, task.key1, INTENSITY, row_number, first, columns)


@compiled
def _draw(task, place, key0, key1, number):
    """Deviates of one row, a `number` in the stream, and of the task's columns: (4, 16)."""
    lane = uint32(task.first_column // GROUP * HASHES)
    if task.panel_count == PANELS:
        fill_rows(place, 1, key0, key1, number, lane)
        return
    for p in range(task.panel_count):
        here = uint32(lane + uint32(HASHES * p))
        fill_rows_of_a_group(place + 4 * PANEL * p, 1, key0, key1, number, here)


@compiled
def _spread(task, place, panel_bytes, square, shot_noise, square_noise):
    """Standard deviations of the noise of one row, in place of its sums of magnitudes; `square`: where its Σ q² is."""
    if task.whole == PANELS:
        _, _, noise, shot, _, square_variance = _columns(task, 0)
        spread_panels(place, panel_bytes, noise, shot, square_variance, square, shot_noise, square_noise)
        return
    for p in range(task.panel_count):
        _, _, noise, shot, _, square_variance = _columns(task, p)
        spread_panel(place + p * panel_bytes, 0, noise, shot, square_variance, square, shot_noise, square_noise)


@compiled
def _disturb(job, task, t, row, m, rows, light):
    """Deviates of some rows, and the spreads that they are to have where those depend on the signal.

    Row by row, since the roots keep a unit busy that the deviates do not need.
    """
    number = uint32(uint32(setting_of(job, task.b).row_offset) + uint32(task.first_row + m))
    shot_noise, square_noise = task.shot_noise != 0, task.square_noise != 0
    key0, key1 = task.key0, task.key1  # as numbers, so that what goes by them is found once for all rows
    if task.packed and shot_noise:
        for p in range(task.panel_count):
            multiply_light(job, task, t, row, p, rows > 1, light + 4 * PANEL * rows * p)
    for i in range(rows):
        _draw(task, task.deviates + 4 * PANELS * PANEL * i, key0, key1, uint32(number + uint32(i)))
        if shot_noise or square_noise:
            place, square = light + 4 * PANEL * i, job.squares + 4 * (row + i)
            _spread(task, place, 4 * PANEL * rows, square, shot_noise, square_noise)


@compiled
def _ask_for_next(job, task, row, codes):
    """Ask for the codes of the six rows after these, which may have to come from the last cache."""
    size = job.code_bytes * job.code_rows * ROWS
    ask_for(codes + size, size)
    if task.shot_noise:
        ask_for(job.magnitudes + job.byte_rows * (row + ROWS), job.byte_rows * ROWS)


@compiled
def _in_strip(job, task):
    """Whether `stream_strip` multiplies what this task reads."""
    return job.code_bytes == 1 and task.whole == PANELS


@compiled
def _stream(job, tasks, t):
    """Multiply block `t` for all tasks that can go along rows of levels together: neighbours of one matrix."""
    first, stride = 0, tasks[1].sums - tasks[0].sums if tasks.shape[0] > 1 else 0
    while first < tasks.shape[0]:
        end = first + 1
        if _in_strip(job, tasks[first]):
            while end < tasks.shape[0] and tasks[end].b == tasks[first].b and _in_strip(job, tasks[end]):
                end += 1
            stream_strip(job, tasks[first], t, end - first, stride)
        first = end


@compiled
def _read(job, task, t, m, together):
    """Six rows or one of one block: multiplied, read, and added to the totals."""
    setting, shares = setting_of(job, task.b), pointer(job.shared + 8 * source_of(job, 9, task.b), np.float32)
    row, rows = (task.b * job.blocks + t) * job.rows + task.first_row + m, ROWS if together else 1
    codes, scales = job.codes + job.code_bytes * job.code_rows * row, job.scales + 4 * row
    noise, common_mode, intensity_noise = task.noise != 0, task.common_mode != 0, task.intensity_noise != 0
    place = 0 if task.packed else 4 * PANEL * task.panel_count * m
    all_sums, all_magnitudes = task.sums + place, task.magnitude_sums + place
    if together:
        _ask_for_next(job, task, row, codes)
    elif not (task.packed or _in_strip(job, task)):
        stream(job, task, t, codes, place)
    if noise:
        _disturb(job, task, t, row, m, rows, all_magnitudes)
    of_rows = task.noise_of_rows
    spreads, spread_stride = all_magnitudes if of_rows else task.spreads, 4 * PANEL * of_rows
    if task.rows == 1 and task.whole == PANELS:
        read_row_of_panels(
            task.gain, task.offset, task.scale, all_sums, spreads, 0, task.deviates, task.common, task.light,
            task.totals, scales, 0, shares[0], shares[1], setting.adc_bits, noise, common_mode, intensity_noise,
        )  # fmt: skip
        return
    for p in range(task.panel_count):
        if task.packed:
            multiply(job, t, codes, task.panels + p * task.panel_bytes, together, task.sums, False)
        sums, spread = all_sums + 4 * PANEL * p * (not task.packed), spreads + 4 * PANEL * p * (rows if of_rows else 1)
        gain, offset, _, _, scale, _ = _columns(task, p)
        place, deviates = 4 * PANEL * (p * task.rows + m), task.deviates + 4 * PANEL * p
        common, light, total = task.common + place, task.light + place, task.totals + place
        if together:
            read_rows(
                gain, offset, scale, sums, spread, spread_stride, deviates, common, light, total, scales, 4,
                shares[0], shares[1], setting.adc_bits, noise, common_mode, intensity_noise,
            )  # fmt: skip
        else:
            read_row(
                gain, offset, scale, sums, spread, 0, deviates, common, light, total, scales, 0,
                shares[0], shares[1], setting.adc_bits, noise, common_mode, intensity_noise,
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


@compiled
def _add_block(job, task, t):
    """One block of levels: multiplied by all rows of the task, read, and added to the totals."""
    key = pointer(job.keys + 8 * (task.b * job.blocks + t), np.uint32)
    task.key0, task.key1 = key[0], key[1]
    if task.packed:
        pack(job, task, t)
    _find_columns(job, task, t)
    if task.noise and not task.noise_of_rows:
        _spread(task, task.spreads, 4 * PANEL, 0, False, False)
    if task.common_mode or task.intensity_noise:
        _share(job, task)
    m = 0
    while m < task.rows:
        together = m + ROWS <= task.rows
        _read(job, task, t, m, together)
        m += ROWS if together else 1


@compiled_callback(ON_TASK)
def _run_strip(job_address, i):
    """A strip of neighbouring tasks, all their tiles one after another."""
    job = job_at(job_address)
    row_blocks, column_blocks = task_count(job)
    first = i * job.strip
    tasks = np.empty(min(job.strip, job.batches * row_blocks * column_blocks - first), TASK)
    workspace = _start_tasks(job, tasks, first)
    for t in range(job.blocks):
        _stream(job, tasks, t)
        for s in range(tasks.shape[0]):
            _add_block(job, tasks[s], t)
    for s in range(tasks.shape[0]):
        _write_totals(job, tasks[s])
    # A use, so that they live until all is done: a task's record does not hold the array that it lies in.
    workspace[0], tasks[0].rows = 0, 0


run_strip = publish("photonsim_run_strip", _run_strip)
