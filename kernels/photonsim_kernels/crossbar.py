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

`codes.py` encodes, `blocks.py` packs and multiplies, `reading.py` reads, `tasks.py` is one task of all of it.
"""

import numpy as np

from photonsim_kernels.codes import encode_row, full_scale_code
from photonsim_kernels.compiled import compiled
from photonsim_kernels.generators import tile_key
from photonsim_kernels.jobs import IDEAL, JOB, OPERANDS, RANKS, job_at, setting_of, source_of
from photonsim_kernels.pointers import address_of, job_of, pointer
from photonsim_kernels.products import BYTE_STEP, ROWS
from photonsim_kernels.streams import STRIP_ROWS
from photonsim_kernels.tasks import run_strip, task_count
from photonsim_kernels.threads import forked, must_run_alone, run_tasks

WORTH_THREADS = 1 << 18  # multiply-accumulates of a product, some 10 µs: less than it can take to wake a thread
# Tasks of a few rows that go along rows of levels together. Memory is read in pieces as long as they are wide, 64 bytes
# each; their sums are to stay in the second cache.
FEWEST_OF_A_STRIP, MOST_OF_A_STRIP = 6, 128


@compiled
def _fill_keys(job, keys):
    """The key of each block, where anything is drawn."""
    for b in range(job.batches):
        setting, key = setting_of(job, b), pointer(job.key + 8 * source_of(job, 8, b), np.uint32)
        noise = setting.noise | setting.shot_noise | setting.square_noise
        if noise | setting.common_mode | setting.intensity_noise:
            for t in range(job.blocks):
                keys[b, t, 0], keys[b, t, 1] = tile_key(key[0], key[1], t)


@compiled
def _tasks_of_a_strip(tasks, alone):
    """How many tasks of a few rows go along the levels together: all, or a few strips' worth for threads to share."""
    return min(tasks if alone else max(tasks // 4, FEWEST_OF_A_STRIP), MOST_OF_A_STRIP)


@compiled
def run_job(jobs, source):
    """Fill in the result of the job in `jobs`, whose addresses and sizes are set; the rest of it is set here."""
    address = jobs.ctypes.data
    job = job_at(address)
    job.source = source.ctypes.data
    setting = setting_of(job, 0)
    integers = setting.input_bits != IDEAL and job.level_bytes < 4
    job.code_bytes, job.chunk = 2 if integers else 4, job.tile_rows
    if integers:
        largest_level = 128 if job.level_bytes == 1 else 32768
        job.chunk = max(((1 << 31) - 1) // (full_scale_code(setting.input_bits) * largest_level) // 2, 1)
    whole = job.chunk >= (job.tile_rows + 1) // 2  # no sum of a block can exceed 32 bits
    as_bytes = integers and setting.input_bits <= 8 and job.level_bytes == 1 and whole
    if as_bytes and job.rows < ROWS:
        job.code_bytes = 1
    side = STRIP_ROWS if job.code_bytes == 1 else 4 // job.code_bytes
    job.code_rows = (job.tile_rows + side - 1) // side * side
    job.byte_rows = 0
    if as_bytes and job.rows >= ROWS and setting.shot_noise:
        job.byte_rows = (job.tile_rows + BYTE_STEP - 1) // BYTE_STEP * BYTE_STEP
    rows = job.batches * job.rows
    codes = np.empty(job.code_bytes * job.code_rows * job.blocks * rows, np.uint8)
    magnitudes = np.empty(job.byte_rows * job.blocks * rows, np.uint8)
    totals, scales = np.empty(job.blocks * rows, np.int32), np.empty(job.blocks * rows, np.float32)
    job.codes, job.magnitudes = codes.ctypes.data, magnitudes.ctypes.data
    squares = np.empty(job.blocks * rows * setting.square_noise, np.float32)
    job.magnitude_totals, job.scales, job.squares = totals.ctypes.data, scales.ctypes.data, squares.ctypes.data
    keys = np.empty((job.batches, job.blocks, 2), np.uint32)
    job.keys = keys.ctypes.data
    _fill_keys(job, keys)
    row_blocks, column_blocks = task_count(job)
    tasks = job.batches * row_blocks * column_blocks
    alone = job.alone != 0 or rows * job.inner * job.width < WORTH_THREADS or must_run_alone()
    job.strip = _tasks_of_a_strip(tasks, alone) if job.rows < ROWS else 1
    run_tasks(encode_row(), address, rows, alone or rows == 1)
    run_tasks(run_strip(), address, (tasks + job.strip - 1) // job.strip, alone)
    # A use, so that they live until all is done.
    return jobs.size + source.size + codes.size + magnitudes.size + totals.size + scales.size + squares.size + keys.size


def crossbar_matmul(*operands):
    """The product from NumPy: operands in the order of `OPERANDS`, each with leading batch axes or 1 in their place.

    x (…, M, K), levels (…, T, R, N) int8, int16 or float32, gain, offset, noise variance, shot variance, scale and
    square variance (…, T, N), key (…, 2) uint32, the standard deviations of what columns share (…, 2): the common mode
    in codes, and of the light relative to it; settings (…, 9): see `settings`.
    Returns (…, M, N) float32. Numbers of any other type are cast first.
    """
    operands = [_at_the_door(name, operand) for name, operand in zip(OPERANDS, operands, strict=True)]
    leading = [a.shape[: a.ndim - rank] for a, rank in zip(operands, RANKS, strict=True)]
    batch, source = _sources(leading)
    (rows, inner), (blocks, tile_rows, width) = (operands[0].shape[-2:], operands[1].shape[-3:])
    y = _result((*batch, rows, width))
    sizes = (source.shape[1], rows, inner, blocks, tile_rows, width, operands[1].itemsize)
    jobs = job_of(np.int64, (*operands, y), *[0] * 7, *sizes, *[0] * 5, forked())
    if y.size:
        run_job(jobs, source)
    return y


class Crossbar:
    """A crossbar that is programmed once and read often: `crossbar(x, key)`, x (M, K), is `crossbar_matmul`.

    All other operands are given by name, without batch axes, and are cast and found once. A call costs 3 µs beside the
    product, where `crossbar_matmul` costs 16, as much as a row of 256 × 1024.
    """

    def __init__(self, **operands):
        self._operands = {name: _at_the_door(name, operands[name]) for name in OPERANDS if name not in ("x", "key")}
        self._source = np.zeros((len(OPERANDS), 1), np.int64)
        levels = self._operands["levels"]
        self._width, sizes = levels.shape[-1], np.zeros(1, JOB)
        for name, operand in self._operands.items():
            sizes[name] = address_of(operand)
        sizes["batches"], sizes["level_bytes"] = 1, levels.itemsize
        sizes["blocks"], sizes["tile_rows"], sizes["width"] = levels.shape
        self._job = sizes.view(np.int64)  # whose type Numba knows sooner than a record's

    def __call__(self, x, key):
        """x (M, K), in tiles as the levels are; key (2,) uint32. Returns (M, N) float32."""
        x, key, jobs = _at_the_door("x", x), _at_the_door("key", key), self._job.copy()
        y = _result((x.shape[0], self._width))
        _read_once(jobs, self._source, x, key, y, forked())
        return y


@compiled
def _read_once(jobs, source, x, key, y, alone):
    """Run a job that lacks the addresses of x, the key and the result; they are passed along, so that they live."""
    job = job_at(jobs.ctypes.data)
    job.x, job.key, job.y, job.rows, job.inner = x.ctypes.data, key.ctypes.data, y.ctypes.data, x.shape[0], x.shape[1]
    job.alone = alone
    if y.size > 0:
        run_job(jobs, source)
    return x.size + key.size + y.size


def _result(shape):
    return np.empty(shape, np.float32)


def _sources(leading):
    """The batch axes of the result, and which element of each operand belongs to which of its elements."""
    if not any(leading):
        return (), np.zeros((len(leading), 1), np.int64)
    batch = np.broadcast_shapes(*leading)
    numbers = [np.arange(np.prod(own, dtype=int)).reshape(own) for own in leading]
    return batch, np.ascontiguousarray([np.broadcast_to(number, batch).ravel() for number in numbers], np.int64)


def _at_the_door(name: str, operand):
    operand = np.asarray(operand)
    kind = {"key": np.uint32, "settings": np.int32}.get(name, np.float32)
    if name == "levels" and operand.dtype in (np.int8, np.int16):
        return np.ascontiguousarray(operand)
    return np.ascontiguousarray(operand, kind)


def settings(
    input_bits: int | None, adc_bits: int | None, columns: int, noise: bool, shot_noise: bool, common_mode: bool,
    intensity_noise: bool = False, square_noise: bool = False, row_offset: int = 0,
):  # fmt: skip
    """The settings of a product as the kernel takes them (9,) int32; the row offset keeps its 32 bits."""
    offset = int(np.uint32(row_offset).view(np.int32))
    flags = [int(noise), int(shot_noise), int(common_mode), int(intensity_noise), int(square_noise)]
    return np.array([input_bits or IDEAL, adc_bits or IDEAL, columns, *flags, offset], np.int32)
