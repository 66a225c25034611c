"""How much more a simulated product costs than the plain one: the kernels against float32 BLAS of the same shape.

    python benchmarks/kernels.py --json OUT.json [--quick]      measure, and write one row per case
    python benchmarks/kernels.py --table OUT.json README.md     write the rows into the table of a README

Each case is measured in pairs of bursts, BLAS and simulation in turn, so that a busy machine slows both; a burst's time
is the median of its calls, a ratio is the median of the pairs' ratios, with the least and the greatest quartile beside
it, and `ratio_least` the least time of the one over the least of the other. BLAS and kernels use the same number of
threads. The threads of either spin before they sleep, OpenBLAS's for 105 ms, on processors that the other then wants:
so there is a pause before each burst. On a machine that others use, too, run it on one thread, by processor time:

    OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/kernels.py --json OUT.json

With `--quiet`, bound to as many processors as there are threads, only calls are counted before and after which all of
them were found to be ours alone (`quiet.py`): what the kernels do on a machine that nobody else uses.

Modes: `quantised` inputs, weights and ADC; `gaussian` adds detector noise to every partial sum; `shot` adds noise that
depends on the signal, with its second sum of magnitudes; `weight-noise` adds noise of each weight at each reading,
which goes by the squares of the inputs, as the shot noise of two live operands does. The kernels beyond it are in
`other_kernels.py`.
"""

import argparse
import json
import re
import time
from pathlib import Path

import numba
import numpy as np
from jax import numpy as jnp
from other_kernels import CASES as OTHER_CASES
from other_kernels import other_call, plain_call
from photonsim_kernels.crossbar import Crossbar
from photonsim_kernels.jobs import OPERANDS
from quiet import Quiet

from photonsim.tiles.twins import TWINS, draw_operands

MODES = ("quantised", "gaussian", "shot", "weight-noise")
SHAPES = ((768, 768), (768, 3072), (3072, 768), (2048, 8192))
TILES = (64, 128, 256, 768)
PAIRS = {False: 5, True: 3}  # per case, whether quick
BURST_S, PAUSE_S = 0.08, 0.15
QUIET_CALLS, FEWEST_CALLS, PATIENCE_S = 25, 5, 60.0  # wanted, enough to be told, and how long they may take
SHORT_S = 1e-3  # of a call that feels how long its threads take to wake


def engine_call(engine: str, m: int, k: int, n: int, tile: int, mode: str):
    """A function without arguments that computes the product once; the weights are programmed before."""
    operands, twin = draw_operands(m, k, n, tile, mode), TWINS[f"crossbar_matmul, {mode}"]
    if engine == "numba":
        given = dict(zip(OPERANDS, operands, strict=True))
        x, key = given.pop("x"), given.pop("key")
        crossbar = Crossbar(**given)
        return lambda: crossbar(x, key)
    *arrays, values = operands
    arrays = [jnp.asarray(array) for array in arrays]
    return lambda: twin.definition(*arrays, values).block_until_ready()


def burst(call) -> list[float]:
    """Seconds that each of some calls took, after a pause and one call that is not counted."""
    clock = time.process_time if numba.get_num_threads() == 1 else time.perf_counter
    time.sleep(PAUSE_S)
    call()
    times, stop = [], time.perf_counter() + BURST_S
    while time.perf_counter() < stop or len(times) < 3:
        times.append(seconds_of(call, clock))
    return times


def seconds_of(call, clock=time.perf_counter) -> float:
    start = clock()
    call()
    return clock() - start


def measure(engine: str, m: int, k: int, n: int, tile: int, mode: str, quick: bool) -> dict:
    """One row: the ratio of paired bursts."""
    own = mode in MODES
    call = engine_call(engine, m, k, n, tile, mode) if own else other_call(engine, mode, m, k, n, tile)
    plain = plain_call(mode, m, k, n)
    call()
    blas, kernel = zip(*[(burst(plain), burst(call)) for _ in range(PAIRS[quick])], strict=True)
    ratios = [np.median(ours) / np.median(theirs) for theirs, ours in zip(blas, kernel, strict=True)]
    low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
    least_blas_s, least_kernel_s = [min(min(times) for times in bursts) for bursts in (blas, kernel)]
    row = {"m": m, "k": k, "n": n, "tile": tile, "mode": mode, "engine": engine}
    row |= {"ratio": float(middle), "ratio_min": float(low), "ratio_max": float(high)}
    row |= {"ratio_least": least_kernel_s / least_blas_s}
    return row | {"blas_s": least_blas_s, "kernel_s": least_kernel_s}


def quiet_times(calls, quiet) -> list[list[float]]:
    """Seconds of `QUIET_CALLS` of each of some functions in turn, on quiet processors: fewer if they never are."""
    times, stop = [[] for _ in calls], time.perf_counter() + PATIENCE_S
    while min(map(len, times)) < QUIET_CALLS and time.perf_counter() < stop:
        for call, held in zip(calls, times, strict=True):
            held += quiet_burst(call, quiet)
    return times


def quiet_burst(call, quiet) -> list[float]:
    """As `burst`, of the calls before and after which the processors were quiet."""
    time.sleep(PAUSE_S)
    short = seconds_of(call) < SHORT_S
    times, stop = [], time.perf_counter() + BURST_S
    while time.perf_counter() < stop:
        if not quiet():
            continue
        if short:
            call()  # wakes its threads, which had waited for a quiet moment
        seconds = seconds_of(call)
        if quiet():
            times.append(seconds)
    return times


def measure_quiet(m: int, k: int, n: int, tile: int, mode: str, quiet) -> dict:
    """One row: the ratio of the medians of quiet calls, and how many there were."""
    calls = plain_call(mode, m, k, n), engine_call("numba", m, k, n, tile, mode)
    for call in calls:
        call()
    times = quiet_times(calls, quiet)
    row = {"m": m, "k": k, "n": n, "tile": tile, "mode": mode, "engine": "numba", "calls": min(map(len, times))}
    blas_s, kernel_s = [float(np.median(held)) if held else float("nan") for held in times]
    return row | {"ratio": kernel_s / blas_s, "blas_s": blas_s, "kernel_s": kernel_s}


def cases(quick: bool):
    """Every (engine, m, k, n, tile, mode) that is measured: the definition on one shape only, since it is slow."""
    shapes = ((768, 3072),) if quick else SHAPES
    for m in (512, 1):
        for k, n in shapes:
            for tile in (64, 128, 768) if quick else TILES:
                for mode in MODES:
                    yield "numba", m, k, n, tile, mode
    for mode in MODES:
        yield "jax", 512, 768, 3072, 128, mode
    for mode, m, k, n, tile in OTHER_CASES:
        for engine in ("jax",) if mode == "programming" else ("numba", "jax"):
            yield engine, m, k, n, tile, mode


def table(rows: list[dict]) -> str:
    """The rows as Markdown: a line per engine, rows, shape and mode; a column per tile; blank if of too few calls."""
    rows = [row for row in rows if row.get("calls", FEWEST_CALLS) >= FEWEST_CALLS]
    tiles = sorted({row["tile"] for row in rows})
    lines = ["| engine | M | K → N | mode | " + " | ".join(f"tile {tile}" for tile in tiles) + " |"]
    lines.append("|---" * (4 + len(tiles)) + "|")
    groups = dict.fromkeys((r["engine"], r["m"], r["k"], r["n"], r["mode"]) for r in rows)
    for group in groups:
        engine, m, k, n, mode = group
        ratio = {r["tile"]: r for r in rows if (r["engine"], r["m"], r["k"], r["n"], r["mode"]) == group}
        cells = [f"{ratio[tile]['ratio']:.2f}" if tile in ratio else "" for tile in tiles]
        lines.append(f"| {engine} | {m} | {k} → {n} | {mode} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def other_table(rows: list[dict]) -> str:
    """The rows of the other kernels: a line per case, a column per engine."""
    lines = ["| kernel | M | K → N | tile | numba | jax |", "|---" * 6 + "|"]
    for mode, m, k, n, tile in OTHER_CASES:
        own = {r["engine"]: r["ratio"] for r in rows if (r["mode"], r["m"], r["k"], r["n"]) == (mode, m, k, n)}
        cells = [f"{own[engine]:.2f}" if engine in own else "" for engine in ("numba", "jax")]
        lines.append(f"| {mode} | {m} | {k} → {n} | {tile} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_table(rows: list[dict], readme: Path) -> None:
    """Replace what stands between the marks of a README: the crossbar's rows, or the quiet ones, and other kernels'."""
    text = readme.read_text()
    own, tables = [row for row in rows if row["mode"] in MODES], {}
    if own:
        tables["quiet table" if "calls" in own[0] else "table"] = table(own)
    if len(own) < len(rows):
        tables["table of other kernels"] = other_table(rows)
    for name, written in tables.items():
        start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        text = re.sub(f"{start}.*?{end}", f"{start}\n{written}\n{end}", text, flags=re.DOTALL)
    readme.write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the measured rows here")
    parser.add_argument("--others", action="store_true", help="only the kernels beyond the crossbar's product")
    parser.add_argument("--quiet", action="store_true", help="only calls on processors that nobody else uses")
    parser.add_argument("--quick", action="store_true", help="fewer shapes, shorter runs")
    parser.add_argument("--table", type=Path, nargs=2, metavar=("ROWS", "README"), help="write rows into a README")
    options = parser.parse_args()
    if options.table:
        write_table(json.loads(options.table[0].read_text()), options.table[1])
        return
    rows, quiet = [], None
    if options.quiet:
        quiet = Quiet(numba.get_num_threads())
    for engine, m, k, n, tile, mode in cases(options.quick):
        if (options.others and mode in MODES) or (quiet and (engine != "numba" or mode not in MODES)):
            continue
        case = (m, k, n, tile, mode)
        rows.append(measure_quiet(*case, quiet) if quiet else measure(engine, *case, options.quick))
        print("{engine:5} {m:4} {k:5}x{n:<5} tile {tile:3} {mode:9} {ratio:6.2f}".format(**rows[-1]), flush=True)
        if options.json:
            options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
