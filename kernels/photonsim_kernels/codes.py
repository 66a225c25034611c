"""Input codes: every row of x, block by block, as integers under one scale per block. `encode` in `partial_sums.py`."""

import numpy as np
from numba import float32, float64, int32, uint32

from photonsim_kernels.compiled import compiled, compiled_callback
from photonsim_kernels.jobs import IDEAL, job_at, setting_of, source_of
from photonsim_kernels.pointers import bits_of, carray, float_of_bits, pointer
from photonsim_kernels.threads import ON_TASK, publish

SMALLEST_SCALE = float32(2.0**-100)


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
    total = int32(0)
    for k in range(codes.shape[0]):
        magnitude = abs(int32(codes[k]))
        magnitudes[k] = magnitude
        total = int32(total + magnitude)
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
def _encode_whole(job, setting, block, x, codes, scale):
    """Codes of block number `block`, and the sum of their squares where noise goes by it."""
    _encode_block(x, codes, scale, setting.input_bits)
    if setting.square_noise:
        pointer(job.squares, np.float32)[block] = _sum_of_squares(codes)


@compiled_callback(ON_TASK)
def _encode_row(job_address, i):
    """Codes, scales and, as bytes, magnitudes of one row of x: (T, R'), (T,), (T, R'')."""
    job = job_at(job_address)
    b, m = i // job.rows, i % job.rows
    setting = setting_of(job, b)
    for t in range(job.blocks):
        start = t * job.tile_rows
        count = min(job.tile_rows, job.inner - start)
        address = job.x + 4 * ((source_of(job, 0, b) * job.rows + m) * job.inner + start)
        x = carray(pointer(address, np.float32), count)
        scale = block_scale(x)
        block = (b * job.blocks + t) * job.rows + m
        pointer(job.scales, np.float32)[block] = scale
        place = job.codes + job.code_bytes * job.code_rows * block
        if job.code_bytes == 1:
            _encode_whole(job, setting, block, x, carray(pointer(place, np.int8), job.code_rows), scale)
        elif job.code_bytes == 2:
            codes = carray(pointer(place, np.int16), job.code_rows)
            _encode_whole(job, setting, block, x, codes, scale)
            if job.byte_rows > 0:
                magnitudes = carray(pointer(job.magnitudes + job.byte_rows * block, np.uint8), job.byte_rows)
                pointer(job.magnitude_totals, np.int32)[block] = _keep_magnitudes(codes, magnitudes)
        else:
            _encode_whole(job, setting, block, x, carray(pointer(place, np.float32), job.code_rows), scale)


encode_row = publish("photonsim_encode_row", _encode_row)
