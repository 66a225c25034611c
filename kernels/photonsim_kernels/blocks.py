"""The product of rows of codes with the levels of one block: packed for many rows, streamed for a few."""

import numpy as np

from photonsim_kernels.compiled import compiled
from photonsim_kernels.jobs import PANELS, inputs_of, source_of, steps_of
from photonsim_kernels.packing import (
    pack_bytes,
    pack_floats,
    pack_int8,
    pack_int8_floats,
    pack_int16,
    pack_int16_floats,
)
from photonsim_kernels.pointers import pointer
from photonsim_kernels.products import (
    BYTE_STEP,
    PANEL,
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
)
from photonsim_kernels.streams import (
    STRIP_ROWS,
    add_strip,
    finish_strip,
    streamed_bytes_panel,
    streamed_floats,
    streamed_floats_panel,
    streamed_int8,
    streamed_int8_floats,
    streamed_int8_panel,
    streamed_int16,
    streamed_int16_floats,
    streamed_int16_panel,
)


@compiled
def _find_levels(job, task, t, p):
    """(address, bytes from row to row) of panel `p` of block `t`; of a copy with zeros if it has no 16 columns."""
    row_bytes, column = job.level_bytes * job.width, task.first_column + p * PANEL
    block = (source_of(job, 1, task.b) * job.blocks + t) * job.tile_rows
    address = job.levels + row_bytes * block + job.level_bytes * column
    if job.width - column >= PANEL:
        return address, row_bytes
    there, here, copy = pointer(address, np.uint8), job.level_bytes * PANEL, pointer(task.scratch, np.uint8)
    for k in range(job.tile_rows):
        for i in range(job.level_bytes * (job.width - column)):
            copy[here * k + i] = there[row_bytes * k + i]
    return task.scratch, here


@compiled
def _byte_steps(job, t):
    return (inputs_of(job, t) + BYTE_STEP - 1) // BYTE_STEP


@compiled
def pack(job, task, t):
    """Levels of block `t` as panels (steps, 16, inputs of a step), and their magnitudes."""
    if task.whole > 0:
        _pack_panels(job, task, t, 0, task.whole)
    if task.whole < task.panel_count:
        _pack_panels(job, task, t, task.whole, 1)


@compiled
def _pack_panels(job, task, t, p, panels):
    """`panels` of them, from panel `p` on."""
    side, last, keep, size = 4 // job.code_bytes, job.tile_rows - 1, task.shot_noise != 0, task.panel_bytes
    steps, as_words = steps_of(job, t), keep and job.byte_rows == 0
    levels, row_bytes = _find_levels(job, task, t, p)
    to, also = task.panels + p * size, task.magnitude_panels + p * (task.byte_panel_bytes or size)
    if keep and not as_words:
        pack_bytes(levels, row_bytes, last, _byte_steps(job, t), also, task.byte_panel_bytes, panels)
    if job.level_bytes == 1:
        if side == 2:
            pack_int8(levels, row_bytes, last, steps, to, also, size, panels, as_words)
        else:
            pack_int8_floats(levels, row_bytes, last, steps, to, also, size, panels, as_words)
    elif job.level_bytes == 2:
        if side == 2:
            pack_int16(levels, row_bytes, last, steps, to, also, size, panels, as_words)
        else:
            pack_int16_floats(levels, row_bytes, last, steps, to, also, size, panels, as_words)
    else:
        pack_floats(levels, row_bytes, last, steps, to, also, size, panels, as_words)


@compiled
def stream_strip(job, task, t, groups, stride):
    """Sums of all rows with unpacked int8 levels, of `groups` whole tasks from `task` on, their sums `stride` apart.

    A few rows of levels at a time, along all columns, so that memory is read in the order in which it lies.
    """
    both, last = task.shot_noise != 0, job.tile_rows - 1
    block = (task.b * job.blocks + t) * job.rows
    levels = job.levels + job.width * (source_of(job, 1, task.b) * job.blocks + t) * job.tile_rows + task.first_column
    for k in range(0, inputs_of(job, t), STRIP_ROWS):
        for m in range(job.rows):
            codes, place = job.codes + job.code_rows * (block + m) + k, 4 * PANELS * PANEL * m
            sums, light = task.sums + place, task.magnitude_sums + place
            start = levels + job.width * k
            add_strip(codes, start, job.width, last - k, groups, sums, light, stride, k > 0, both)
    for m in range(job.rows):
        place = 4 * PANELS * PANEL * m
        finish_strip(groups, task.sums + place, stride)
        if both:
            finish_strip(groups, task.magnitude_sums + place, stride)


@compiled
def stream(job, task, t, codes, place):
    """Sums (panels, 16) of one row of codes with unpacked levels, and of the magnitudes under shot noise, at a `place`.

    A whole cache line of int8 levels at once where all four panels are there: rows of a matrix whose width is a
    multiple of 1024 share a few places of the first cache, so a line that is come back to would be gone.
    """
    together = task.whole == PANELS and (job.code_bytes < 4 or job.level_bytes == 4)
    p = 0
    while p < task.panel_count:
        levels, row_bytes = _find_levels(job, task, t, p)
        _stream_panels(job, task, t, codes, levels, row_bytes, place + 4 * PANEL * p, together)
        p += PANELS if together else 1


@compiled
def _stream_panels(job, task, t, codes, levels, row_bytes, place, together):
    """Sums of one panel, or of `PANELS` together; in the same chunks as in `multiply`."""
    side, both = 4 // job.code_bytes, task.shot_noise != 0
    sums, magnitude_sums = task.sums + place, task.magnitude_sums + place
    steps = steps_of(job, t)
    if side == 4:
        streamed_bytes_panel(codes, levels, row_bytes, job.tile_rows - 1, steps, sums, magnitude_sums, both)
        return
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
def multiply(job, t, codes, panel, together, out, light):
    """Sums (6 or 1, 16) of the rows of block `t` at the address `codes`, or of their magnitudes if it is the `light`.

    In chunks of inputs whose integer sums fit in 32 bits.
    """
    stride, steps = job.code_bytes * job.code_rows, steps_of(job, t)
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
def multiply_light(job, task, t, row, p, together, out):
    """Sums of magnitudes of panel `p` and of the rows from row `row` (block included) of the codes."""
    if job.byte_rows == 0:
        codes = job.codes + job.code_bytes * job.code_rows * row
        panel = task.magnitude_panels + p * task.panel_bytes
        multiply(job, t, codes, panel, together, out, True)
        return
    q, stride, steps = job.magnitudes + job.byte_rows * row, job.byte_rows, _byte_steps(job, t)
    panel, totals = task.magnitude_panels + p * task.byte_panel_bytes, job.magnitude_totals + 4 * row
    if together:
        byte_product_rows(q, stride, panel, steps, totals, 4, out)
    else:
        byte_product_row(q, stride, panel, steps, totals, 0, out)
