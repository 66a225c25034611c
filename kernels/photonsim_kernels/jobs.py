"""One product and one task of it as records of addresses and sizes, by which the functions know their operands.

So one compilation serves all types, and the two long functions, `encode_row` and `run_strip`, are called by symbol:
LLVM sees each of them once.
"""

import numpy as np

from photonsim_kernels.compiled import compiled
from photonsim_kernels.noise import GROUPS
from photonsim_kernels.pointers import carray, pointer, record

PANELS = GROUPS  # 4, packed at once, so that a cache line of 64 int8 levels is read once
ROW_BLOCK = 258  # rows of a task

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
SETTING = record([(name, np.int32) for name in SETTINGS])
SETTING_BYTES = SETTING.itemsize

# One product. Addresses of the operands (see `crossbar_matmul`), the result, and the working memory of `run_job`;
# `source` (11, batches): which batch element of an operand belongs to which of the result; sizes; bytes per number.
# Magnitudes of the codes (bytes, `byte_rows` per block) and their totals are kept where they are multiplied as bytes.
JOB = record(
    [(name, np.int64) for name in OPERANDS]
    + [(name, np.int64) for name in ("y", "source", "codes", "magnitudes", "magnitude_totals", "scales", "squares")]
    + [("keys", np.int64)]
    + [(name, np.int64) for name in ("batches", "rows", "inner", "blocks", "tile_rows", "width")]
    + [(name, np.int64) for name in ("level_bytes", "code_bytes", "code_rows", "byte_rows", "chunk", "strip", "alone")]
)

# One task: its place in the result, its own working memory, the keys of a block, and what is on. See `_start_tasks`.
PARTS = ("panels", "magnitude_panels", "scratch", "copies", "common", "light", "totals", "sums")
PARTS += ("magnitude_sums", "spreads", "deviates")
FLAGS = ("noise", "shot_noise", "square_noise", "noise_of_rows", "common_mode", "intensity_noise", "packed")
COLUMNS = OPERANDS[2:8]
PLACE = ("b", "first_row", "rows", "first_column", "panel_count", "whole", "panel_bytes", "byte_panel_bytes")
NUMBERS = PLACE + COLUMNS + PARTS + FLAGS
TASK = record([(name, np.int64) for name in NUMBERS] + [(f"key{i}", np.uint32) for i in range(2)])


@compiled
def job_at(address):
    return carray(pointer(address, JOB), 1)[0]


@compiled
def setting_of(job, b):
    """The settings of batch element `b`."""
    return carray(pointer(job.settings + SETTING_BYTES * source_of(job, 10, b), SETTING), 1)[0]


@compiled
def source_of(job, operand, b):
    return pointer(job.source, np.int64)[operand * job.batches + b]


@compiled
def inputs_of(job, t):
    """How many rows of block `t` have an input: the last block need not be full."""
    return min(job.tile_rows, job.inner - t * job.tile_rows)


@compiled
def steps_of(job, t):
    """In how many steps of four bytes of codes block `t` is multiplied."""
    side = 4 // job.code_bytes
    return (inputs_of(job, t) + side - 1) // side
