"""Light through a mesh by the compiled kernel: `propagate` of `devices/mesh.py`, up to rounding and faster, on CPU.

Gradients are those of the definition. Where there is no kernel, and for numbers other than complex64, it runs itself.
"""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Complex, Float

from photonsim.devices.directional_coupler import phasor
from photonsim.devices.mesh import propagate
from photonsim.tiles import ffi

TARGET = "photonsim_mesh"


@jax.custom_vjp
def propagate_fast(
    blocks: Complex[Array, "l p 2 2"], psi: Float[Array, " n"], fields: Complex[Array, "m n"]
) -> Complex[Array, "m n"]:
    """Amplitudes of m vectors behind a mesh; operands as in `propagate`."""
    fields = fields.astype(blocks.dtype)
    if blocks.dtype != jnp.complex64 or jax.default_backend() != "cpu":
        return propagate(blocks, psi, fields)
    result = jax.ShapeDtypeStruct(fields.shape, jnp.complex64)
    operands = (blocks, phasor(psi).astype(jnp.complex64), fields)
    return ffi.call(TARGET, _for_numpy, result, operands, vmap_method="broadcast_all")


def _for_numpy():
    from photonsim_kernels.mesh_product import propagate

    return propagate


def _forward(*operands):
    return propagate_fast(*operands), operands


def _backward(operands, cotangent):
    return jax.vjp(propagate, *operands)[1](cotangent)


propagate_fast.defvjp(_forward, _backward)


def mesh_matrix_fast(blocks: Complex[Array, "l p 2 2"], psi: Float[Array, " n"]) -> Complex[Array, "n n"]:
    """The matrix U of a mesh, `fields ↦ U fields`: `mesh_matrix` of `devices/mesh.py`."""
    return propagate_fast(blocks, psi, jnp.eye(psi.shape[-1], dtype=blocks.dtype)).T
