"""The engines that answer a product: the definition in JAX, and its fast twins: Numba on a CPU, Pallas on a GPU."""

from typing import Any

import jax
import numpy as np

from photonsim.errors import PhotonsimError, check_choice
from photonsim.tiles.fast import (
    analog_matmul_fast,
    analog_matmul_host,
    fast_engine_available,
    gpu_engine_available,
    platform,
)
from photonsim.tiles.partial_sums import batched_analog_matmul, has_bent_lines

ENGINES = ("auto", "jax", "numba", "pallas")
KERNELS = {"numba": "Numba", "pallas": "Pallas"}  # as sentences name them

# Compiled as one piece, so that it rounds alike everywhere.
matmul_by_definition = jax.jit(batched_analog_matmul)


def engine_here() -> tuple[str, str]:
    """The engine that `"auto"` takes on this machine, and how it runs, or why there is none faster."""
    if platform() != "cpu":
        fast, how = gpu_engine_available()
        return "pallas" if fast else "jax", how
    fast, how = fast_engine_available()
    return "numba" if fast else "jax", how


def multiply(x, programmed, readout, shared, key_data, row_offset, engine: str) -> Any:
    """`batched_analog_matmul` by one of `ENGINES`: `"jax"` is the definition, `"auto"` the fastest here.

    `"numba"` is its fast twin on a CPU, `"pallas"` on a GPU (which JAX interprets on a CPU: slow, to check it). Where
    all operands are NumPy arrays, the twin on the CPU gets them without XLA, which would compile for each new shape.
    """
    check_choice("engine", engine, ENGINES)
    bent = has_bent_lines(programmed, shared)
    if bent and engine in KERNELS:
        raise PhotonsimError(
            f'Bent output lines (adc.bend, die.inl_rms) have no {KERNELS[engine]} kernel: use engine="jax" or "auto".'
        )
    if engine == "pallas" and platform() not in ("cpu", "cuda"):
        raise PhotonsimError(f'engine="pallas" needs a GPU of NVIDIA\'s, not {platform()}: use engine="auto".')
    on_host = all(isinstance(operand, np.ndarray) for operand in (x, programmed.levels, key_data))
    if on_host and not bent and (engine == "numba" or (engine == "auto" and fast_engine_available()[0])):
        return analog_matmul_host(x, programmed, readout, shared, key_data, row_offset)
    if engine in KERNELS or (engine == "auto" and not bent and engine_here()[0] in KERNELS):
        return analog_matmul_fast(x, programmed, readout, shared, key_data, row_offset, engine)
    return matmul_by_definition(x, programmed, readout, shared, key_data, row_offset)
