"""A decoder spread over devices: the same answer and the same noise as on one."""

import os
import socket
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from jax.sharding import PartitionSpec

from photonsim.errors import PhotonsimError
from photonsim.models import load
from photonsim.models.sharding import device_mesh, parameter_shardings, shard_batch

COMMON = """
    import jax, numpy as np
    from jax import numpy as jnp
    from jax.sharding import NamedSharding, PartitionSpec
    import photonsim
    from photonsim.chip import load_chip
    from photonsim.models.llama import LlamaConfig, llama, parameter_shapes
    from photonsim.models.sharding import device_mesh, shard_batch, shard_params

    config = LlamaConfig(64, 32, 64, 1, 4, 4, 8, 64)
    random = np.random.default_rng(0)
    shapes = parameter_shapes(config).items()
    weights = {name: jnp.asarray(random.normal(0, 0.3, shape), jnp.float32) for name, shape in shapes}
    tokens = jnp.arange(4 * 16, dtype=jnp.int32).reshape(4, 16)
    chip = load_chip("lightmatter-envise-2025")
    simulation = photonsim.simulate(lambda params, tokens: llama(params, tokens, config), chip, engine="jax")
    run = jax.jit(lambda params, tokens, seed: simulation(params, tokens, seed=seed))
"""
EIGHT_DEVICES = """
    # One product, its rows and columns cut over eight devices: every bit of the noise is in its place.
    x = jax.random.normal(jax.random.key(0), (16, 300))
    w = jax.random.normal(jax.random.key(1), (300, 256))
    multiply = jax.jit(lambda x, w: chip.matmul(x, chip.program(w), jax.random.key(2), engine="jax"))
    mesh = device_mesh(2, 4)
    cut = lambda value, *spec: jax.device_put(value, NamedSharding(mesh, PartitionSpec(*spec)))
    whole, parts = multiply(x, w), multiply(cut(x, "data"), cut(w, None, "model"))
    assert len(parts.sharding.device_set) == 8
    np.testing.assert_array_equal(whole, parts)
    uncut = jax.jit(lambda x, w: chip.matmul(x, chip.program(w), jax.random.key(2), engine="numba"))
    gathered, rounding = uncut(cut(x, "data"), cut(w, None, "model")), 1e-6 * np.abs(whole).max()
    np.testing.assert_allclose(whole, gathered, rtol=0, atol=rounding)

    # A model: sums over devices round differently, and a rounding may tip a converter by a code. Noise of another seed
    # moves the answer by far more.
    params, batch = shard_params(weights, config, mesh), shard_batch(tokens, mesh)
    assert params["model.layers.0.mlp.up_proj.weight"].addressable_shards[0].data.shape[0] * 4 == \\
        weights["model.layers.0.mlp.up_proj.weight"].shape[0]
    alone, spread = np.asarray(run(weights, tokens, 0)), np.asarray(run(params, batch, 0))
    other = np.asarray(run(weights, tokens, 1))
    assert np.abs(spread - alone).mean() < 0.05 * np.abs(other - alone).mean()
"""
TWO_PROCESSES = """
    mesh = device_mesh(2, 1)
    params, batch = shard_params(weights, config, mesh), shard_batch(tokens, mesh)
    spread = run(params, batch, 0)
    here = np.concatenate([shard.data for shard in spread.addressable_shards])
    assert here.shape[0] == 2  # half of the batch each
    alone = np.asarray(run(weights, tokens, 0))[2 * jax.process_index() :][:2]
    other = np.asarray(run(weights, tokens, 1))[2 * jax.process_index() :][:2]
    assert np.abs(here - alone).mean() < 0.05 * np.abs(other - alone).mean()
    print("process", jax.process_index(), "of", jax.process_count())
"""


def script(*parts: str) -> str:
    return "".join(textwrap.dedent(part) for part in parts)


@pytest.mark.slow
def test_eight_devices_give_the_answer_and_the_noise_of_one():
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8"
    program = script(COMMON, EIGHT_DEVICES)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_two_processes_give_the_answer_and_the_noise_of_one():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    joined = f"""
        import sys, jax
        jax.distributed.initialize("127.0.0.1:{port}", num_processes=2, process_id=int(sys.argv[1]))
    """
    program = script(joined, COMMON, TWO_PROCESSES)
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}

    def run(number: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, str(number)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)

    with ThreadPoolExecutor() as pool:
        both = list(pool.map(run, range(2)))
    for number, done in enumerate(both):
        assert done.returncode == 0, done.stderr[-2000:]
        assert f"process {number} of 2" in done.stdout


def test_each_layer_is_cut_by_outputs_then_by_inputs():
    shardings = parameter_shardings(load("tiny").config, device_mesh(1, 1))
    spec = {name: sharding.spec for name, sharding in shardings.items()}
    assert spec["model.layers.0.self_attn.q_proj.weight"] == PartitionSpec("model", None)
    assert spec["model.layers.0.mlp.down_proj.weight"] == PartitionSpec(None, "model")
    assert spec["model.norm.weight"] == PartitionSpec()


def test_a_mesh_or_batch_that_does_not_fit_is_refused():
    with pytest.raises(PhotonsimError, match=f"there are {jax.device_count()} devices"):
        device_mesh(64, 64)
    mesh = device_mesh(1, 1)
    assert shard_batch(jnp.zeros((3, 4), jnp.int32), mesh).shape == (3, 4)
    fake = type("Fake", (), {"shape": {"data": 2}})
    with pytest.raises(PhotonsimError, match="3 sequences does not divide over 2 devices"):
        shard_batch(np.zeros((3, 4), np.int32), fake)  # pyright: ignore[reportArgumentType]
