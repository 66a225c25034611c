"""What the rings of a weight bank leave of each other's channels: `bank_drop` of `photonsim.devices.microring`.

Every ring acts on every channel, so it is R² times for R rings. 256 banks together: what is left of a channel stays in
the first cache while ring after ring passes, and the innermost loop is vector instructions. A division takes as long as
ten multiplications, so rings pass in pairs that share one:

    (1 − H₁)(1 − H₂) = z₁ z₂ / ((1 + z₁)(1 + z₂))        z = (2 (λ_c − λ_i − δ_i) / FWHM)²
"""

import numpy as np

from photonsim_kernels.compiled import compiled
from photonsim_kernels.fused import multiply_add

TOGETHER = 256  # banks; 64 took half as long again
ONE, TWO = np.float32(1), np.float32(2)


@compiled
def pass_rings(detunings, spacing, per_width, channel, left):
    """`left` (banks,) of one channel after all rings at `detunings` (rings, banks); `per_width` is 2 / FWHM."""
    rings, banks = detunings.shape
    for n in range(banks):
        left[n] = ONE
    for ring in range(0, rings - 1, 2):
        away1, away2 = np.float32(channel - ring), np.float32(channel - ring - 1)
        detuning1, detuning2 = detunings[ring], detunings[ring + 1]
        for n in range(banks):
            widths1 = multiply_add(away1, spacing, -detuning1[n]) * per_width
            widths2 = multiply_add(away2, spacing, -detuning2[n]) * per_width
            squares = (widths1 * widths1) * (widths2 * widths2)
            both = multiply_add(widths1, widths1, ONE) * multiply_add(widths2, widths2, ONE)
            left[n] = left[n] * (squares / both)
    if rings % 2:
        away, detuning = np.float32(channel - rings + 1), detunings[rings - 1]
        for n in range(banks):
            widths = multiply_add(away, spacing, -detuning[n]) * per_width
            left[n] = left[n] * (widths * widths / multiply_add(widths, widths, ONE))


@compiled
def drop_banks(detunings, spacing, width, left, dropped):
    """`dropped` (rings, banks), the share of each channel that banks drop; `left` (banks,) is working memory."""
    per_width = TWO / width
    for channel in range(detunings.shape[0]):
        pass_rings(detunings, spacing, per_width, channel, left)
        for n in range(left.shape[0]):
            dropped[channel, n] = ONE - left[n]
