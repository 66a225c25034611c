"""The kernel inside JAX: transformations, threads, devices, and what happens where it cannot be had."""

import functools
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.tiles import ffi
from photonsim.tiles.fast import analog_matmul_fast, fast_engine_available
from photonsim.tiles.partial_sums import Shared, analog_matmul

fast = jax.jit(analog_matmul_fast, static_argnums=2)
SHARED = Shared(0.5, 0.03)  # common mode in codes, fluctuation of the light
# glibc: no cache of freed memory for each thread, and all that is freed filled with a pattern
OVERWRITE_FREED = {"GLIBC_TUNABLES": "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0"}


@pytest.fixture(scope="module")
def case(problem):
    return problem(6, 70, 37, 32, shot_noise=True, common_mode=True, intensity_noise=True, square_noise=True)


def test_the_compiled_kernel_is_available_here():
    assert fast_engine_available() == (True, "compiled Numba kernel, called by XLA")


def test_eager_and_compiled_calls_agree(case, key):
    x, programmed, readout = case
    eager = analog_matmul_fast(x, programmed, readout, SHARED, key, 3)
    np.testing.assert_array_equal(eager, fast(x, programmed, readout, SHARED, key, 3))


def test_a_batch_of_products_is_each_product_with_its_own_key(case, key, definition):
    x, programmed, readout = case
    keys = jnp.stack([key, key + 1, key + 2])
    inputs = jnp.stack([x, 2 * x, x - 1])
    tiles = jax.tree.map(lambda values: jnp.stack([values, values, -values]), programmed)
    variance = tiles.noise_variance**2
    tiles = type(tiles)(tiles.levels, tiles.gain, tiles.offset, variance, variance, tiles.scale, variance)
    together = fast(inputs, tiles, readout, SHARED, keys, 0)
    for i in range(3):
        tile = jax.tree.map(lambda values, i=i: values[i], tiles)
        np.testing.assert_array_equal(together[i], definition(inputs[i], tile, readout, SHARED, keys[i], 0))


def test_vmap_over_keys_weights_or_disturbances_is_a_loop_over_them(case, key, definition):
    x, programmed, readout = case
    keys, spreads = jnp.stack([key, key + 1]), Shared(jnp.float32([0.1, 0.5, 2.0]), jnp.float32([0.1, 0.01, 0.0]))

    def product(key, shared):
        return analog_matmul_fast(x, programmed, readout, shared, key, 5)

    grid = jax.jit(jax.vmap(jax.vmap(product, (None, 0)), (0, None)))(keys, spreads)
    for i, j in np.ndindex(2, 3):
        shared = jax.tree.map(lambda values, j=j: values[j], spreads)
        np.testing.assert_array_equal(grid[i, j], definition(x, programmed, readout, shared, keys[i], 5))


def test_scan_gives_each_step_its_rows(case, key):
    x, programmed, readout = case

    def step(row, rows):
        return row + 2, analog_matmul_fast(rows, programmed, readout, SHARED, key, row)

    _, parts = jax.jit(lambda x: jax.lax.scan(step, jnp.uint32(0), x.reshape(3, 2, 70)))(x)
    np.testing.assert_array_equal(parts.reshape(6, 37), fast(x, programmed, readout, SHARED, key, 0))


@pytest.mark.parametrize("batched", [False, True])
def test_gradients_are_those_of_the_definition(case, key, batched):
    x, programmed, readout = case
    programmed = jax.tree.map(lambda values: values.astype(jnp.float32), programmed)
    reference = analog_matmul
    if batched:
        x, programmed, key = jax.tree.map(lambda values: jnp.stack([values, values]), (x, programmed, key))
        reference = jax.vmap(analog_matmul, (0, 0, None, None, 0))

    def loss(product, x, programmed, shared):
        return (product(x, programmed, readout, shared, key) ** 2).sum()

    by_kernel, by_definition = [
        jax.jit(jax.grad(functools.partial(loss, product), (0, 1, 2)))(x, programmed, SHARED)
        for product in (analog_matmul_fast, reference)
    ]
    for a, b in zip(jax.tree.leaves(by_kernel), jax.tree.leaves(by_definition), strict=True):
        assert np.abs(b).max() > 0
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max())


def test_stored_integer_levels_leave_the_inputs_differentiable(case, key):
    x, programmed, readout = case
    gradient, expected = [
        jax.jit(jax.grad(lambda x, product=product: product(x, programmed, readout, SHARED, key).sum()))(x)
        for product in (analog_matmul_fast, analog_matmul)
    ]
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_another_ffi_version_falls_back_to_a_callback_and_says_so(case, key, monkeypatch):
    x, programmed, readout = case
    expected = fast(x, programmed, readout, SHARED, key, 3)
    monkeypatch.setattr(ffi, "register", lambda target: (False, "this jaxlib's FFI has major version 1"))
    assert fast_engine_available()[0] is False
    with pytest.warns(UserWarning, match="goes through Python: this jaxlib's FFI has major version 1"):
        through_python = jax.jit(lambda x: analog_matmul_fast(x, programmed, readout, SHARED, key, 3))(x)
    np.testing.assert_array_equal(through_python, expected)


THREADS = """
import hashlib, os, threading, time
start = time.process_time()
import numpy as np
from photonsim_kernels.crossbar import crossbar_matmul, settings
random = np.random.default_rng(0)
levels = random.integers(-127, 128, (3, 64, 300)).astype(np.int8)
columns = [random.uniform(0.001, 1, (3, 300)).astype(np.float32) for _ in range(6)]
x = random.standard_normal((600, 150)).astype(np.float32)
key = np.uint32([3, 4])
operands = (x, levels, *columns, key, np.float32([0.5, 0.03]), settings(8, 8, 64, *[True] * 5))
y = crossbar_matmul(*operands)
taken = time.process_time() - start
changes = []
def repeat():
    for _ in range(5):
        changes.append((crossbar_matmul(*operands) != y).any())
threads = [threading.Thread(target=repeat) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert len(changes) == 20 and not any(changes)
child = os.fork()
if child == 0:
    os._exit(int((crossbar_matmul(*operands) != y).any()))
assert os.waitpid(child, 0)[1] == 0
print(hashlib.sha256(y.tobytes()).hexdigest(), taken)
"""

OTHERS = """
import hashlib, threading
import numpy as np
from photonsim_kernels import mesh_product, patch_rows, residue_product, ring_banks
random = np.random.default_rng(0)
def draw(*shape): return random.standard_normal(shape).astype(np.float32)
blocks, turns, fields = [draw(*shape) + 1j * draw(*shape) for shape in ((8, 8, 2, 2), (16,), (700, 16))]
codes, weights = np.rint(4 * draw(300, 4, 16)), np.rint(4 * draw(4, 16, 90))
keys, spreads = random.integers(0, 2**32, (4, 3, 3, 2), dtype=np.uint32), np.float32([0.1, 0.2, 0.2, 0.2])
settings, sources = [5, 5, 1, 1, 0], random.integers(-1, 9, (2, 9, 3))
calls = [
    lambda: mesh_product.propagate(blocks, turns, fields),
    lambda: residue_product.residue_matmul(codes, codes[:, :, 0], weights, weights[:, 0], keys, spreads, settings),
    lambda: ring_banks.bank_drop(fields.real[:640].reshape(16, 640), [1.0, 0.1]),
    lambda: patch_rows.patch_rows(codes[None, :30, None, :4], sources[0, :1], *sources, 0, 80),
]
answers, changes = [call() for call in calls], []
def repeat():
    for _ in range(5):
        changes.extend((call() != answer).any() for call, answer in zip(calls, answers))
threads = [threading.Thread(target=repeat) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert len(changes) == 80 and not any(changes)
print(hashlib.sha256(b"".join(answer.tobytes() for answer in answers)).hexdigest())
"""

DEVICES = """
import threading
import jax, numpy as np
from jax import numpy as jnp
from photonsim.tiles.fast import analog_matmul_fast
from photonsim.tiles.partial_sums import Programmed, Readout, Shared
assert len(jax.devices()) == 4
random = np.random.default_rng(0)
columns = [jnp.asarray(random.uniform(0.01, 1, (2, 80)), jnp.float32) for _ in range(6)]
tiles = Programmed(jnp.asarray(random.integers(-7, 8, (2, 32, 80)), jnp.int8), *columns)
readout = Readout(8, 8, 64, *[True] * 5)

@jax.jit
def many(x, key):
    return [analog_matmul_fast(x + i, tiles, readout, Shared(0.5, 0.03), key, i) @ jnp.ones((80, 80)) for i in range(8)]

x, key = jnp.asarray(random.standard_normal((40, 64)), jnp.float32), jnp.asarray([1, 2], jnp.uint32)
first = many(x, key)
failures = []
def repeat(device):
    here = jax.device_put((x, key), device)
    for _ in range(25):
        if any((a != b).any() for a, b in zip(jax.device_get(many(*here)), jax.device_get(first))):
            failures.append(device)
threads = [threading.Thread(target=repeat, args=(device,)) for device in jax.devices()]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert not failures
print("done")
"""


def _run(program, **environment):
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_answer_is_the_same_bits_on_any_threads_and_after_a_fork():
    """One and two threads of Numba, its layer that cannot run two kernels at once, four Python threads, and a child.

    In one run the C library overwrites memory when it is freed, so that whatever is read after that spoils the answer.
    The last run finds all code compiled, and its first answer takes less than 3 s of the processor.
    """
    pools = [{"NUMBA_NUM_THREADS": "1"}, {"NUMBA_THREADING_LAYER": "workqueue"}]
    pools += [{"NUMBA_NUM_THREADS": "2", **OVERWRITE_FREED}, {"NUMBA_NUM_THREADS": "2"}]
    answers = [_run(THREADS, **pool).split() for pool in pools]
    assert len({answer for answer, _ in answers}) == 1
    assert float(answers[-1][1]) < 3


def test_the_other_kernels_give_the_same_bits_on_any_threads_and_where_freed_memory_is_overwritten():
    pools = [{"NUMBA_THREADING_LAYER": "workqueue"}, {"NUMBA_NUM_THREADS": "2", **OVERWRITE_FREED}]
    assert len({_run(OTHERS, **pool) for pool in pools}) == 1


def test_xla_threads_and_kernel_threads_neither_hang_nor_disturb_each_other():
    """Four devices, four Python threads, eight kernels in flight in each program."""
    assert _run(DEVICES, XLA_FLAGS="--xla_force_host_platform_device_count=4", **OVERWRITE_FREED) == "done"


def test_a_process_that_can_write_no_cache_still_computes(tmp_path):
    """The cache's folder would lie below a file."""
    (tmp_path / "file").write_text("")
    program = "from photonsim_kernels.compiled import cache_folder; print(cache_folder())"
    assert _run(program, NUMBA_CACHE_DIR=str(tmp_path / "file" / "below")) == "None"


def test_compiled_code_is_kept_where_the_user_says(tmp_path):
    program = "from photonsim_kernels.generators import tile_key; import numpy as np; tile_key(*np.uint32([1, 2, 3]))"
    _run(program, NUMBA_CACHE_DIR=str(tmp_path))
    assert list(tmp_path.rglob("*.nbi"))
