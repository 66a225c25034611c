"""Products to try the kernel on: programmed tiles with random levels, gains, offsets and noises, of any shape."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.converters.quantizer import full_scale_code
from photonsim.tiles.partial_sums import Programmed, Readout, analog_matmul


def draw_problem(
    m, k, n, rows, *, input_bits=8, weight_bits=8, adc_bits=8, columns=64, noise=True, shot_noise=False,
    common_mode=False, intensity_noise=False, square_noise=False, level_type=np.int8, seed=0,
):  # fmt: skip
    """Inputs (m, k), tiles of (k, n) in blocks of `rows`, and a readout; the partial sums fill the ADC's range."""
    random = np.random.default_rng(seed)
    blocks = -(-k // rows)
    full_scale = full_scale_code(weight_bits)
    levels = np.clip(
        np.rint(random.standard_normal((blocks * rows, n)) * max(full_scale / 3, 1)), -full_scale, full_scale
    )
    levels[k:] = 0
    levels = levels.reshape(blocks, rows, n)
    per_product = full_scale_code(input_bits) * full_scale * np.sqrt(rows)

    def columns_of(low, high):
        return jnp.asarray(random.uniform(low, high, (blocks, n)), jnp.float32)

    programmed = Programmed(
        levels=jnp.asarray(levels.astype(level_type)),
        gain=columns_of(1.5, 2.5) * full_scale_code(adc_bits) / per_product,
        offset=columns_of(-1, 1),
        noise_variance=columns_of(0, 1),
        shot_variance=columns_of(0, 1) / per_product,
        scale=columns_of(-1, 1),
        square_variance=columns_of(0, 1) / per_product,
    )
    x = jnp.asarray(random.standard_normal((m, k)), jnp.float32)
    flags = (noise, shot_noise, common_mode, intensity_noise, square_noise)
    return x, programmed, Readout(input_bits, adc_bits, columns, *flags)


@pytest.fixture(scope="session")
def problem():
    return draw_problem


@pytest.fixture(scope="session")
def definition():
    """`analog_matmul`, compiled: as it runs inside a model."""
    return jax.jit(analog_matmul, static_argnums=2)


@pytest.fixture(scope="session")
def key():
    return jax.random.key_data(jax.random.key(20251))
