"""The tiles of `partial_sums.py` through a compiled kernel: the same numbers, faster.

On a CPU the kernel is that of `photonsim_kernels`, called from inside jit-compiled JAX as a typed FFI handler: no copy,
no Python at run time (`ffi.py`). On a GPU of NVIDIA's it is that of `gpu_product.py`. On other platforms the definition
runs. Gradients are those of the definition (straight through every rounding).
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, UInt32

from photonsim.tiles import ffi
from photonsim.tiles.partial_sums import Programmed, Readout, Shared, batched_analog_matmul

TARGET = "photonsim_crossbar"
OLDEST_GPU = 8.0  # compute capability; Triton's tensor-core products of bytes need no more


def fast_engine_available() -> tuple[bool, str]:
    """Whether products on the CPU go through the compiled kernel, and how, or why not."""
    return ffi.register(TARGET)


def platform() -> str:
    """What JAX computes on: the platform of the default device, `"cuda"` for a GPU of NVIDIA's."""
    device = getattr(jax.config, "jax_default_device", None)
    name = getattr(device, "platform", device) or jax.default_backend()
    if name != "gpu":
        return name
    try:
        return "cuda" if jax.devices("cuda") else name
    except RuntimeError:
        return name


def gpu_engine_available() -> tuple[bool, str]:
    """Whether products go through the kernel for GPUs here, and how, or why not."""
    if platform() != "cuda":
        return False, f"JAX computes on {platform()} here, and the kernel is for a GPU of NVIDIA's"
    device = jax.devices("cuda")[0]
    if float(device.compute_capability) < OLDEST_GPU:
        return False, f"{device.device_kind} has compute capability {device.compute_capability}, below {OLDEST_GPU}"
    return True, f"one Triton kernel on {device.device_kind}"


def analog_matmul_fast(
    x: Float[Array, "*b m k"],
    programmed: Programmed,
    readout: Readout,
    shared: Shared,
    key_data: UInt32[Array, "*b 2"],
    row_offset: UInt32[Array, ""] | int = 0,
    engine: str = "auto",
) -> Float[Array, "*b m n"]:
    """`analog_matmul`, also with one leading batch axis on `x`, `programmed` and `key_data`.

    Anything that is not float32 is cast first, and the answer is float32. `engine`: `"auto"` for the kernel of this
    platform, if it has one; `"pallas"` for that of GPUs, which JAX interprets where there is none.
    """
    programmed = jax.tree.map(_as_kernel_number, programmed)
    common_mode, intensity = (
        jnp.asarray(each, jnp.float32) for each in (shared.common_mode_codes, shared.intensity_rms)
    )
    shared = Shared(common_mode, intensity)
    row_offset = jnp.asarray(row_offset, jnp.uint32)
    return _product(_kernel_of(engine), readout, x.astype(jnp.float32), programmed, shared, key_data, row_offset)


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


def _kernel_of(engine: str) -> Callable[..., Array]:
    """What computes a product of the operands of `_product`."""
    # Not `jax.lax.platform_dependent`: it would trace the definition beside every kernel call, 0.1 s for each product.
    if engine == "pallas" or (engine == "auto" and gpu_engine_available()[0]):
        return _interpret_gpu_kernel if platform() == "cpu" else _call_gpu_kernel
    return _call_kernel if platform() == "cpu" else _definition


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _product(kernel, readout, x, programmed, shared, key_data, row_offset):
    return kernel(readout, x, programmed, shared, key_data, row_offset)


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


def _call_gpu_kernel(readout, x, programmed, shared, key_data, row_offset, interpret=False):
    """The kernel for GPUs, over all batch elements at once."""
    from photonsim.tiles.gpu_product import analog_matmul_on_gpu  # takes a third of a second

    def one(x, programmed, key_data):
        return analog_matmul_on_gpu(x, programmed, readout, shared, key_data, row_offset, interpret)

    return (one if x.ndim == 2 else jax.vmap(one))(x, programmed, key_data)


_interpret_gpu_kernel = functools.partial(_call_gpu_kernel, interpret=True)


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


def _forward(kernel, readout, *operands):
    return _product(kernel, readout, *operands), operands


def _backward(kernel, readout, operands, cotangent):
    _, gradient = jax.vjp(functools.partial(_definition, readout), *operands)
    return gradient(cotangent)


_product.defvjp(_forward, _backward)
