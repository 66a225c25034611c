"""The tiles of `partial_sums.py` through the compiled kernel of `photonsim_kernels`, where the platform has one."""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, UInt32

from photonsim.tiles.partial_sums import Programmed, Readout, analog_matmul


def fast_engine_available() -> tuple[bool, str]:
    """Whether products go through the compiled kernel, and if not, why."""
    return False, "the compiled kernel is not registered with XLA"


def analog_matmul_fast(
    x: Float[Array, "*b m k"],
    programmed: Programmed,
    readout: Readout,
    common_mode_codes: Float[Array, ""] | float,
    key_data: UInt32[Array, "*b 2"],
    row_offset: UInt32[Array, ""] | int = 0,
) -> Float[Array, "*b m n"]:
    """`analog_matmul`, also with one leading batch axis on `x`, `programmed` and `key_data`."""
    row_offset = jnp.asarray(row_offset).astype(jnp.uint32)

    def one(x, programmed, key_data):
        return analog_matmul(x, programmed, readout, common_mode_codes, key_data, row_offset)

    if x.ndim == 2:
        return one(x, programmed, key_data)
    return jax.lax.map(lambda operands: one(*operands), (x, programmed, key_data))
