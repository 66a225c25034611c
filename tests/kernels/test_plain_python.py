"""Python alone gives the same bits as compiled code, in a process of its own with `NUMBA_DISABLE_JIT=1`.

All kernels run, tasks and doors included, on small cases. Vector instructions are carried out by NumPy, and a fused
multiply-add is rounded by hand: `photonsim_kernels.interpreted`.
"""

import os
import subprocess
import sys

CASES = """
import hashlib, itertools
import numpy as np
from photonsim_kernels import crossbar, fused, mesh_product, noise, patch_rows, residue_product, ring_banks

random = np.random.default_rng(0)
def draw(*shape): return random.standard_normal(shape).astype(np.float32)
def show(name, values): print(name, hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest())

FULL = {np.int8: 127, np.int16: 32767, np.float32: 100}
def product(m, k, n, rows, input_bits, adc_bits, flags, kind, batch=()):
    blocks = -(-k // rows)
    columns = random.uniform(-1, 1, (6, *batch, blocks, n)).astype(np.float32)
    gain, offset, noise, shot, scale, square = columns
    levels = (draw(blocks, rows, n).clip(-3, 3) * FULL[kind] / 3).astype(kind)
    values = crossbar.settings(input_bits, adc_bits, 16, *flags, 2**32 - 2)
    keys = random.integers(0, 2**32, (*batch, 2), dtype=np.uint32)
    per_code = 100 / (FULL[kind] * 2.0 ** (input_bits or 1))
    return crossbar.crossbar_matmul(
        draw(m, k), levels, gain * per_code, offset, abs(noise), abs(shot) * per_code, scale, abs(square) / 1000,
        keys, np.float32([0.5, 0.03]), values,
    )

shapes = [(1, 9, 5, 4), (1, 6, 131, 7), (2, 5, 64, 2), (6, 9, 16, 8), (7, 8, 67, 5)]
operands = [(8, 8, np.int8), (10, 8, np.int8), (1, 1, np.int8), (16, 12, np.int16), (4, None, np.int16)]
operands += [(None, 8, np.int16), (None, 8, np.int8), (None, 8, np.float32), (5, 6, np.float32)]
effects = [(0,) * 5, *map(tuple, np.eye(5, dtype=int).tolist()), (1,) * 5]
for number, (shape, numbers) in enumerate(itertools.product(shapes, operands)):
    for flags in {effects[number % 7], effects[6 if shape[0] == 7 else number % 7]}:
        show(f"product {shape} {numbers} {flags}", product(*shape, *numbers[:2], flags, numbers[2]))
show("batches", product(2, 5, 17, 5, 8, 8, (1,) * 5, np.int8, (2, 1)))
show("long sums", product(6, 70, 3, 70, 16, None, (0, 1, 0, 0, 1), np.int16))
show("more rows than a task holds", product(259, 1, 1, 1, 8, 8, (1, 0, 0, 0, 0), np.int8))
show("deviates", noise.gaussian_deviates((2**32 - 1, 7), 3, 41, 2**32 - 1))
show("shared deviates", noise.shared_deviates((2**32 - 1, 7), 9, 41, 20, 2**32 - 1))

for modes in (1, 4, 5):
    light = draw(2, 1, modes, (modes + 1) // 2, 2, 2, 2).view(np.complex64)[..., 0]
    turns, fields = draw(modes, 2).view(np.complex64)[..., 0], draw(17, modes, 2).view(np.complex64)[..., 0]
    show(f"mesh {modes}", mesh_product.propagate(light, turns, fields))
for count in (1, 4, 5):
    show(f"rings {count}", ring_banks.bank_drop(draw(2, count, 3), (1, 0.1)))
readings = [(2, 0, 0, 0, 7), (5, 1, 1, 0, 2), (5, 5, 1, 1, 6), (7, 0, 1, 1, 1), (7, 3, 0, 0, 1)]
for k, bits, noisy, phase, rows in readings:
    codes, weights = random.integers(-9, 10, (rows, 2, 3)), random.integers(-9, 10, (2, 3, 60))
    keys, spreads = random.integers(0, 2**32, (2, 3, 3, 2), dtype=np.uint32), [0.05, *[0.05 * 2**k] * 3]
    given = codes, abs(draw(rows, 2)), weights, draw(2, 60), keys, spreads, (k, bits, noisy, phase, 5)
    show(f"residues {k} {bits}", residue_product.residue_matmul(*given))
sources = [random.integers(-1, size, shape) for size, shape in ((3, (2, 2)), (4, (3, 2)), (5, (2, 3)))]
show("patches", patch_rows.patch_rows(draw(2, 2, 3, 4, 5), *sources, 4, 22))
assert fused.multiply_add(np.float32(1 + 2.0**-12), np.float32(1 + 2.0**-12), np.float32(-1)) == 2.0**-11 + 2.0**-24
"""


def _run(**environment):
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", CASES],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_python_runs_the_kernels_to_the_same_bits():
    """Also as they are emitted for a processor without AVX2, whose products of pairs are spelt out."""
    compiled, plain = _run(), _run(NUMBA_DISABLE_JIT="1")
    assert len(set(plain)) == 70
    assert compiled == plain
    assert _run(NUMBA_DISABLE_JIT="1", NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="") == plain
