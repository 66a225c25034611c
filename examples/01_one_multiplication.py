"""One matrix product on Lightmatter's Envise: the answer, its error, where that comes from, and the bill.

A chip is a matrix that you can multiply by, that answers as light would, and that hands you the bill.
"""

import jax
from jax import numpy as jnp

from photonsim.chip import load_chip
from photonsim.cost import Product, Storage, Workload, energy
from photonsim.evaluate import error_budget

M, K, N = 64, 512, 256  # 64 input vectors of 512 numbers against a matrix of 512 × 256

chip = load_chip("lightmatter-envise-2025")
keys = jax.random.split(jax.random.key(0), 3)
x = jax.random.normal(keys[0], (M, K), jnp.float32)
w = jax.random.normal(keys[1], (K, N), jnp.float32)

# 1 · The answer. Weights are written into tiles of 128 × 128 once; every x then passes through them as light.
programmed = chip.program(w)
y = chip.matmul(x, programmed, keys[2])
exact = jnp.matmul(x, w, precision="highest")
error = float(jnp.linalg.norm(y - exact) / jnp.linalg.norm(exact))
print(f"{M} × {K} times {K} × {N} on {chip.title}: off by {100 * error:.1f} % (RMS)\n")

# 2 · Where the error comes from: each effect alone, on a reference product of normal numbers.
print("error budget")
for effect in error_budget(chip):
    alone = "off" if effect.relative_error is None else f"{100 * effect.relative_error:5.2f} %"
    print(f"  {effect.name:26}{alone:>9}   {effect.setting}")

# 3 · What happened: counts that follow from the shapes alone.
events = chip.events(1, M, K, N)
print("\nevents")
for name in ("macs", "tile_cycles", "weight_writes", "input_conversions", "output_conversions", "accumulations"):
    print(f"  {name.replace('_', ' '):22}{getattr(events, name):>12,.0f}")

# 4 · What it cost: the same counts, priced for the time that they take. Writing the tiles takes longest.
pass_of_one = Workload("one product", M, (Product("w", "weight", 1, M, K, N),), (), (), Storage())
bill = energy(chip, pass_of_one)
print(
    f"\nbill: {1e6 * bill.total_j:.0f} µJ in {1e6 * bill.seconds:.1f} µs, {1e12 * bill.total_j / bill.macs:.0f} pJ/MAC"
)
for component, joules in bill.by_component_j().items():
    if joules:
        print(f"  {component:22}{1e9 * joules:>12,.1f} nJ")

assert 0.02 < error < 0.3, f"Envise answers with an error of about a tenth here, not {error}"
assert bill.total_j > 0
