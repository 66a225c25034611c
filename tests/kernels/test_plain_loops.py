"""Kernels that are plain loops give the same bits as Python itself runs them, without Numba's compiler.

A process of its own, with `NUMBA_DISABLE_JIT=1`, computes small cases; there, a fused multiply-add is rounded by hand.
"""

import os
import subprocess
import sys

LOOPS = """
import hashlib
import numpy as np
from photonsim_kernels import fused, mesh, patches, residue, rings

random = np.random.default_rng(0)
def draw(*shape): return random.standard_normal(shape).astype(np.float32)
def show(name, values): print(name, hashlib.sha256(values.tobytes()).hexdigest())

for modes in (1, 4, 5):
    fields, light, out = draw(3, modes, 2), np.zeros((2 * ((modes + 1) // 2), 2, 16), np.float32), draw(3, modes, 2)
    mesh.propagate_rows(draw(4, (modes + 1) // 2, 8), draw(modes, 2), fields, light, out)
    show(f"mesh {modes}", out)
for count in (1, 4, 5):
    dropped = np.zeros((count, 3), np.float32)
    rings.drop_banks(draw(count, 3), np.float32(1), np.float32(0.1), np.zeros(3, np.float32), dropped)
    show(f"rings {count}", dropped)
for k, bits in ((2, 0), (5, 1), (5, 5), (7, 0)):
    sums = random.integers(-(8**k) // 2, 8**k // 2, 40).astype(np.float32)
    off, deviates, span, spread = np.zeros(40, np.int32), draw(3, 40), 2**k * (4**k - 1), np.float32(0.05)
    full = np.float32(max(2 ** (bits - 1) - 1, 1) if bits else 1)
    for c in range(3):
        modulus, phase = np.float32(2**k - 1 + c), np.float32(0.05 * 2**k)
        residue.add_misread(sums, deviates, modulus, np.int32(c + 1), spread, phase, full, bits, off)
    totals = draw(2, 20)
    residue.add_read(sums, off, np.int32(span), draw(20), draw(2), totals)
    show(f"residues {k} {bits}", np.concatenate([totals.ravel(), off.astype(np.float32)]))
    residue.add_exact(sums, draw(20), draw(2), totals)
    show(f"sums {k} {bits}", totals)
sources = random.integers(-1, 4, (3, 2)).astype(np.int32), random.integers(-1, 5, (2, 3)).astype(np.int32)
rows = np.empty((9, 12), np.float32)
patches.gather_rows(draw(2, 2, 4, 5), *sources, 4, rows)
show("patches", rows)
assert fused.multiply_add(np.float32(1 + 2.0**-12), np.float32(1 + 2.0**-12), np.float32(-1)) == 2.0**-11 + 2.0**-24
"""


def _run(**environment):
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", LOOPS],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_python_runs_the_loops_to_the_same_bits():
    compiled, plain = _run(), _run(NUMBA_DISABLE_JIT="1")
    assert len(plain) == 15
    assert compiled == plain
