"""The tiles of `partial_sums.py` through the compiled kernel of `photonsim_kernels`: the same numbers, faster, on CPU.

The kernel is called from inside jit-compiled JAX as a typed FFI handler: no copy, no Python at run time (`ffi.py`). On
other platforms, the definition itself runs. Gradients are those of the definition (straight through every rounding).
"""

import functools
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, UInt32

from photonsim.tiles import ffi
from photonsim.tiles.partial_sums import Programmed, Readout, Shared, batched_analog_matmul

TARGET = "photonsim_crossbar"


def fast_engine_available() -> tuple[bool, str]:
    """Whether products on the CPU go through the compiled kernel, and how, or why not."""
    return ffi.register(TARGET)


def analog_matmul_fast(
    x: Float[Array, "*b m k"],
    programmed: Programmed,
    readout: Readout,
    shared: Shared,
    key_data: UInt32[Array, "*b 2"],
    row_offset: UInt32[Array, ""] | int = 0,
) -> Float[Array, "*b m n"]:
    """`analog_matmul`, also with one leading batch axis on `x`, `programmed` and `key_data`.

    Anything that is not float32 is cast first, and the answer is float32.
    """
    programmed = jax.tree.map(_as_kernel_number, programmed)
    common_mode, intensity = (
        jnp.asarray(each, jnp.float32) for each in (shared.common_mode_codes, shared.intensity_rms)
    )
    shared = Shared(common_mode, intensity)
    row_offset = jnp.asarray(row_offset, jnp.uint32)
    return _product(readout, x.astype(jnp.float32), programmed, shared, key_data, row_offset)


def analog_matmul_host(
    x: np.ndarray,
    programmed: Programmed,
    readout: Readout,
    shared: Shared,
    key_data: np.ndarray,
    row_offset: int = 0,
) -> np.ndarray:
    """`analog_matmul_fast` from NumPy to NumPy, without XLA: nothing is compiled for a new shape, or copied."""
    from photonsim_kernels.crossbar import crossbar_matmul

    tiles = programmed
    parts = (tiles.levels, tiles.gain, tiles.offset, tiles.noise_variance, tiles.shot_variance, tiles.scale)
    parts += (_square_variance(tiles),)
    disturbances = np.array([shared.common_mode_codes, shared.intensity_rms], np.float32)
    settings = np.array([*_settings(readout), np.uint32(row_offset).view(np.int32)], np.int32)
    if x.ndim == 3:
        disturbances, settings = disturbances[None], settings[None]
    return crossbar_matmul(x, *parts, key_data, disturbances, settings)


def _as_kernel_number(values: Array) -> Array:
    return values if values.dtype in (jnp.int8, jnp.int16) else values.astype(jnp.float32)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _product(readout, x, programmed, shared, key_data, row_offset):
    # Not `jax.lax.platform_dependent`: it would trace the definition beside every kernel call, 0.1 s for each product.
    run = _call_kernel if jax.default_backend() == "cpu" else _definition
    return run(readout, x, programmed, shared, key_data, row_offset)


def _definition(readout, x, programmed, shared, key_data, row_offset):
    """The definition, with its arguments in the order of `_product`."""
    return batched_analog_matmul(x, programmed, readout, shared, key_data, row_offset)


def _call_kernel(readout, x, programmed, shared, key_data, row_offset):
    """One call of the kernel for all batch elements."""
    offset = jax.lax.bitcast_convert_type(row_offset, jnp.int32)
    operands = (
        x,
        programmed.levels,
        programmed.gain,
        programmed.offset,
        programmed.noise_variance,
        programmed.shot_variance,
        programmed.scale,
        _square_variance(programmed),
        key_data,
        _with_batch_axis(jnp.stack([shared.common_mode_codes, shared.intensity_rms]), x),
        _with_batch_axis(jnp.stack([*_settings(readout), offset]), x),
    )
    result = jax.ShapeDtypeStruct((*x.shape[:-1], programmed.levels.shape[-1]), jnp.float32)
    return ffi.call(TARGET, _for_numpy, result, operands, vmap_method="expand_dims")


def _square_variance(tiles: Programmed) -> Any:
    """Any array of its shape will do where there is none."""
    return tiles.scale if tiles.square_variance is None else tiles.square_variance


def _with_batch_axis(values: Array, x: Array) -> Array:
    return values if x.ndim == 2 else values[None]


def _settings(readout: Readout) -> list[np.int32]:
    flags = (readout.noise, readout.shot_noise, readout.common_mode, readout.intensity_noise, readout.square_noise)
    return [np.int32(v) for v in (readout.input_bits or 0, readout.adc_bits or 0, readout.columns, *flags)]


def _for_numpy():
    from photonsim_kernels.crossbar import crossbar_matmul

    return crossbar_matmul


def _forward(readout, *operands):
    return _product(readout, *operands), operands


def _backward(readout, operands, cotangent):
    _, gradient = jax.vjp(functools.partial(_definition, readout), *operands)
    return gradient(cotangent)


_product.defvjp(_forward, _backward)
