"""Remainders of sums as they are read from angles: `read_remainders` of `photonsim.tiles.residue`, which explains.

Plain loops over some hundred sums at once, without branches, so that each becomes vector instructions. Numbers are
float32 where the definition's are, and whole ones below 2^24 so; `multiply_add` stands where a compiler would fuse.
"""

import numpy as np
from numba import float32, int32

from photonsim_kernels.compiled import compiled
from photonsim_kernels.fused import multiply_add
from photonsim_kernels.noise import COSINE_POLYNOMIAL

TURN_POLYNOMIAL = (  # atan(r) / (2π r) in r² on [0, 1]
    0.15915483236312866,
    -0.05304612219333649,
    0.03174594044685364,
    -0.022136256098747253,
    0.01534599345177412,
    -0.008898669853806496,
    0.0034795610699802637,
    -0.0006452944362536073,
)
_COSINE = tuple(np.float32(c) for c in COSINE_POLYNOMIAL)
_TURN = tuple(np.float32(c) for c in TURN_POLYNOMIAL)
ZERO, ONE, HALF, QUARTER, FOUR = (np.float32(value) for value in (0, 1, 0.5, 0.25, 4))


@compiled
def cosine_of_steps(steps, modulus, inverse):
    """cos(2π steps / modulus)."""
    away = abs(multiply_add(-modulus, np.rint(steps * inverse), steps))
    beyond = away > modulus * QUARTER
    t = (modulus * HALF - away if beyond else away) * (FOUR / modulus)
    square = t * t
    value = _COSINE[4]
    value = multiply_add(value, square, _COSINE[3])
    value = multiply_add(value, square, _COSINE[2])
    value = multiply_add(value, square, _COSINE[1])
    value = multiply_add(value, square, _COSINE[0])
    return -value if beyond else value


@compiled
def turns_of(cosine, sine):
    """atan2(sine, cosine) / 2π."""
    across, up = abs(cosine), abs(sine)
    steep = up > across
    largest, least = (up, across) if steep else (across, up)
    ratio = least / (largest if largest > ZERO else ONE)
    square = ratio * ratio
    value = _TURN[7]
    value = multiply_add(value, square, _TURN[6])
    value = multiply_add(value, square, _TURN[5])
    value = multiply_add(value, square, _TURN[4])
    value = multiply_add(value, square, _TURN[3])
    value = multiply_add(value, square, _TURN[2])
    value = multiply_add(value, square, _TURN[1])
    value = multiply_add(value, square, _TURN[0])
    turns = multiply_add(-ratio if steep else ratio, value, QUARTER if steep else ZERO)
    turns = HALF - turns if cosine < ZERO else turns
    return -turns if sine < ZERO else turns


@compiled
def convert(value, full, bits):
    """The code of a quadrature; 0 bits are ideal."""
    value = value * full
    rounded = np.rint(min(max(value, -full), full))
    sign = ONE if value >= ZERO else -ONE
    return value if bits == 0 else sign if bits == 1 else rounded


@compiled
def add_misread(sums, deviates, modulus, weight, quadrature, phase, full, bits, off):
    """`off` += weight · steps by which each remainder of `sums` by one modulus is misread; whole numbers in float32.

    `deviates` (3, n): of the cosine, the sine and the phase, whose standard deviations are `quadrature`, in amplitudes,
    and `phase`, in steps.
    """
    inverse = ONE / modulus
    cosines, sines, phases = deviates[0], deviates[1], deviates[2]
    for i in range(sums.shape[0]):
        remainder = multiply_add(-modulus, np.floor(sums[i] * inverse), sums[i])
        remainder = remainder + modulus if remainder < ZERO else remainder
        remainder = remainder - modulus if remainder >= modulus else remainder
        angle = multiply_add(phase, phases[i], remainder)
        cosine = multiply_add(quadrature, cosines[i], cosine_of_steps(angle, modulus, inverse))
        sine = multiply_add(quadrature, sines[i], cosine_of_steps(angle - modulus * QUARTER, modulus, inverse))
        turns = turns_of(convert(cosine, full, bits), convert(sine, full, bits))
        steps = np.rint(multiply_add(turns, modulus, -remainder))
        off[i] = int32(off[i] + int32(int32(steps) * weight))


@compiled
def add_read(sums, off, span, scales, units, totals):
    """`totals` (rows, columns) += (sums + off), brought within ±span/2, times the scales of columns and rows."""
    rows, columns = totals.shape
    half, inverse = int32(span // 2), ONE / float32(span)
    for m in range(rows):
        unit = units[m]
        for n in range(columns):
            i = m * columns + n
            number = int32(int32(int32(sums[i]) + off[i]) + half)
            number = int32(number - int32(int32(np.floor(float32(number) * inverse)) * span))
            number = int32(number + span) if number < 0 else number
            number = int32(number - span) if number >= span else number
            read = float32(int32(number - half))
            totals[m, n] = multiply_add(read * scales[n], unit, totals[m, n])


@compiled
def add_exact(sums, scales, units, totals):
    """`totals` (rows, columns) += sums times the scales of columns and rows."""
    rows, columns = totals.shape
    for m in range(rows):
        for n in range(columns):
            totals[m, n] = multiply_add(sums[m * columns + n] * scales[n], units[m], totals[m, n])
