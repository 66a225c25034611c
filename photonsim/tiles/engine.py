"""The engines that answer a product: the definition in JAX, and its fast twin in Numba."""

from typing import Any

import jax
import numpy as np

from photonsim.errors import PhotonsimError, check_choice
from photonsim.tiles.fast import analog_matmul_fast, analog_matmul_host, fast_engine_available
from photonsim.tiles.partial_sums import batched_analog_matmul, has_bent_lines

ENGINES = ("auto", "jax", "numba")

# Compiled as one piece, so that it rounds alike everywhere.
matmul_by_definition = jax.jit(batched_analog_matmul)


def multiply(x, programmed, readout, shared, key_data, row_offset, engine: str) -> Any:
    """`batched_analog_matmul` by `"jax"` (the definition), `"numba"` (its fast twin) or `"auto"`, the faster.

    Where all operands are NumPy arrays, the fast twin gets them without XLA, which would compile for each new shape.
    """
    check_choice("engine", engine, ENGINES)
    bent = has_bent_lines(programmed, shared)
    if bent and engine == "numba":
        raise PhotonsimError(
            'Bent output lines (adc.bend, die.inl_rms) have no Numba kernel: use engine="jax" or "auto".'
        )
    fast = engine == "numba" or (engine == "auto" and not bent and fast_engine_available()[0])
    if fast and all(isinstance(operand, np.ndarray) for operand in (x, programmed.levels, key_data)):
        return analog_matmul_host(x, programmed, readout, shared, key_data, row_offset)
    product = analog_matmul_fast if fast else matmul_by_definition
    return product(x, programmed, readout, shared, key_data, row_offset)
