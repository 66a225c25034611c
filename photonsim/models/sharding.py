"""A decoder's parameters and inputs spread over several devices: data and tensor parallel (Shoeybi et al., 1909.08053).

On a mesh with the axes `data` and `model`, each projection into heads or into the wide layer is cut by its outputs, the
one that follows by its inputs, and the vocabulary by its words, so that a layer needs two sums over the devices:

    q, k, v, gate, up      (out / model, in)          o, down      (out, in / model)
    embedding, head        (vocabulary / model, in)    norms        whole, on each device

Experts are cut in the same way, all of them on every device. Tokens are cut along the batch.

Nothing else changes: the compiler cuts what follows. The JAX engine of a chip is cut with it, and its noise is drawn by
the number of tile, row and column, not by device, so a result does not depend on the mesh but by the rounding of sums
over devices. The Numba engine is one call that no compiler can cut: say `engine="jax"`.
"""

from collections.abc import Mapping

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from photonsim.errors import PhotonsimError
from photonsim.models.llama import LlamaConfig, parameter_shapes

BY_OUTPUTS = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "embed_tokens", "lm_head")
BY_INPUTS = ("o_proj", "down_proj")


def device_mesh(data: int, model: int) -> Mesh:
    """`data` × `model` devices, of all processes. Raises `PhotonsimError` where there are fewer."""
    if min(data, model) < 1 or data * model > jax.device_count():
        raise PhotonsimError(
            f"A mesh of {data} × {model} devices: each number must be at least 1, and there are {jax.device_count()} "
            "devices."
        )
    return Mesh(np.array(jax.devices()[: data * model]).reshape(data, model), ("data", "model"))


def parameter_shardings(config: LlamaConfig, mesh: Mesh) -> dict[str, NamedSharding]:
    """Where the parts of every parameter lie; one whose size the mesh does not divide is whole on each device."""
    return {
        name: NamedSharding(mesh, _partition(name, shape, mesh.shape["model"]))
        for name, shape in parameter_shapes(config).items()
    }


def shard_params(params: Mapping[str, jax.Array], config: LlamaConfig, mesh: Mesh) -> dict[str, jax.Array]:
    """The parameters spread over the mesh; each process must hold them all, and keeps its part."""
    shardings = parameter_shardings(config, mesh)
    return {name: _place(value, shardings[name]) for name, value in params.items()}


def shard_batch(tokens: jax.Array, mesh: Mesh) -> jax.Array:
    """Tokens (batch, length) cut along the batch."""
    if tokens.shape[0] % mesh.shape["data"]:
        raise PhotonsimError(
            f"A batch of {tokens.shape[0]} sequences does not divide over {mesh.shape['data']} devices: "
            "fill it up, or choose another mesh."
        )
    return _place(tokens, NamedSharding(mesh, PartitionSpec("data")))


def _partition(name: str, shape: tuple[int, ...], devices: int) -> PartitionSpec:
    *_, part, _ = name.rsplit(".", 2)
    axis = -2 if part in BY_OUTPUTS else -1 if part in BY_INPUTS else None
    if axis is None or len(shape) + axis < 0 or shape[axis] % devices:
        return PartitionSpec()
    cut: list[str | None] = [None] * len(shape)
    cut[axis] = "model"
    return PartitionSpec(*cut)


def _place(value: jax.Array, sharding: NamedSharding) -> jax.Array:
    """Each device's part of a value that this process holds whole; also where the mesh reaches into other processes."""
    return jax.make_array_from_callback(value.shape, sharding, lambda index: value[index])
