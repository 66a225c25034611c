"""What a simulated product costs on a GPU, beside the plain one: M = 4096, 4096 → 4096.

    python benchmarks/gpu.py --json OUT.json     on a machine with a GPU of NVIDIA's: time, memory, bits
    python benchmarks/gpu.py --compile-only      anywhere: what the compiler makes of it (see `gpu_compiled.py`)

Times are of bursts of calls, the plain product's and the simulated one's in turn; a ratio is the median of the pairs'
ratios, with quartiles beside it. The plain product is `jnp.dot` in float32 at full precision (TF32 off), and in
bfloat16. Targets, at tile 128 with noise: 2 times float32, 4 times bfloat16, and in memory inputs + output + 10 %.
`differing` counts the numbers of some rows whose bits are not those of the definition on the CPU. The definition on the
GPU is measured too; XLA's roots and quotients are approximate there, so its bits are its own.
"""

import argparse
import json
import sys
import time
from pathlib import Path

if "--compile-only" in sys.argv:
    import gpu_compiled  # first of all, since it sets what JAX reads when it is imported

import jax
import numpy as np
from gpu_problem import MODES, TILES, K, M, N, operands, product
from jax import numpy as jnp

PAIRS, BURST_S = 7, 0.2
CHECKED_ROWS = (0, 2048, 4064)  # the first of 32 each


def burst(call) -> float:
    """Seconds for one call, from as many as take `BURST_S`."""
    jax.block_until_ready(call())
    start = time.perf_counter()
    jax.block_until_ready(call())
    count = max(3, round(BURST_S / (time.perf_counter() - start)))
    start = time.perf_counter()
    for _ in range(count):
        result = call()
    jax.block_until_ready(result)
    return (time.perf_counter() - start) / count


def ratios(call, plain) -> dict:
    """Quartiles of the pairs' ratios, and the least times."""
    pairs = [(burst(plain), burst(call)) for _ in range(PAIRS)]
    low, middle, high = np.quantile([ours / theirs for theirs, ours in pairs], (0.25, 0.5, 0.75))
    plain_ms, own_ms = (1e3 * min(times) for times in zip(*pairs, strict=True))
    return {"ratio": middle, "ratio_min": low, "ratio_max": high, "plain_ms": plain_ms, "ms": own_ms}


def plain_products() -> dict:
    """The plain product, by its type, as functions without arguments."""
    random = np.random.default_rng(0)
    x, w = (jnp.asarray(random.standard_normal(shape, dtype=np.float32)) for shape in ((M, K), (K, N)))
    calls = {}
    for name, kind in (("float32", jnp.float32), ("bfloat16", jnp.bfloat16)):
        a, b = x.astype(kind), w.astype(kind)
        precision = jax.lax.Precision.HIGHEST if kind == jnp.float32 else None
        dot = jax.jit(lambda a, b, precision=precision: jnp.dot(a, b, precision=precision))
        calls[name] = lambda dot=dot, a=a, b=b: dot(a, b)
    return calls


def memory(compiled) -> dict:
    """Bytes of inputs, output and everything else of a compiled product, and the last over the others."""
    sizes = compiled.memory_analysis()
    given, result, rest = sizes.argument_size_in_bytes, sizes.output_size_in_bytes, sizes.temp_size_in_bytes
    return {"inputs": given, "output": result, "temporary": rest, "beyond": rest / (given + result)}


def differing(result, host, tile: int, mode: str) -> int:
    """How many numbers of the checked rows are not those of the definition on the CPU."""
    x, tiles, key, _ = host
    with jax.default_device(jax.devices("cpu")[0]):
        define, count = product("jax", tile, mode), 0
        for row in CHECKED_ROWS:
            expected = define(x[row : row + 32], tiles, key, np.uint32(row))
            count += int((np.asarray(expected) != result[row : row + 32]).sum())
    return count


def measure(engine: str, tile: int, mode: str, plain) -> dict:
    """One row: bits, memory, and the ratios to the plain products, `plain()`: made after the memory is read."""
    host = operands(tile)
    given = jax.device_put(host, jax.devices()[0])
    compiled = product(engine, tile, mode).lower(*given).compile()
    row = {"m": M, "k": K, "n": N, "tile": tile, "mode": mode, "engine": engine, "memory": memory(compiled)}
    result = np.asarray(compiled(*given))
    row["peak_bytes"] = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    row["differing"] = differing(result, host, tile, mode)
    for name, call in plain().items():
        row[name] = ratios(lambda: compiled(*given), call)
    return row


def sentence(row: dict) -> str:
    """A row in a line of a terminal."""
    line = "{engine:6} tile {tile:3} {mode:9}".format(**row)
    line += " {:7.2f} ms".format(row["bfloat16"]["ms"])
    line += "".join(f", {row[name]['ratio']:6.2f} × {name}" for name in ("float32", "bfloat16"))
    return line + f", memory +{row['memory']['beyond']:.1%}, {row['differing']} differ"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--compile-only", action="store_true", help="compile for a GPU that need not be there")
    options = parser.parse_args()
    if options.compile_only:
        rows = gpu_compiled.rows()
    elif jax.default_backend() != "gpu":
        raise SystemExit(f"JAX computes on {jax.default_backend()} here: run this with a GPU, or with --compile-only.")
    else:
        rows = measured_rows()
    found = []
    for row in rows:
        found.append(row)
        if options.json:
            options.json.write_text(json.dumps(found, indent=1))


def measured_rows():
    """Rows as they are measured; the first of all is alone in memory, so that its peak is its own."""
    made: dict = {}

    def plain():
        if not made:
            made.update(plain_products())
        return made

    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}")
    cases = [("pallas", tile, mode) for tile in TILES for mode in ("gaussian", "shot", "quantised")]
    cases += [("jax", TILES[0], mode) for mode in MODES]
    for engine, tile, mode in cases:
        row = measure(engine, tile, mode, plain) | {"device": jax.devices()[0].device_kind, "jax": jax.__version__}
        print(sentence(row), flush=True)
        yield row


if __name__ == "__main__":
    main()
