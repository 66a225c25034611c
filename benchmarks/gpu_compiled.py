"""What the compiler makes of a product for a GPU that need not be there: memory, registers, spills, instructions.

    python benchmarks/gpu.py --compile-only [--json OUT.json]

wants the CUDA plugin of JAX 0.10 (`pip install "jax[cuda12]<0.11"`) and NVIDIA's `ptxas` and `nvdisasm`, on the path or
as packages (nvidia-cuda-nvcc, nvidia-cuda-nvdisasm). The target is an H200. Instructions are those of the loop over the
tiles, per partial sum. From their number follows what no schedule can beat: each of 132 multiprocessors has four
schedulers, and each of these starts one instruction for 32 threads a cycle, at 1.98 GHz at most.
"""

import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DUMP = Path(tempfile.mkdtemp())
os.environ["JAX_SKIP_CUDA_CONSTRAINTS_CHECK"] = "1"  # the plugin asks for a driver, which compiling does not need
os.environ["JAX_PLATFORMS"] = "cuda,cpu"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_dump_to={DUMP}"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import jax  # noqa: E402
from gpu_problem import MODES, TILES, K, M, N, product, shapes  # noqa: E402
from jax.experimental import topologies  # noqa: E402
from jax.sharding import SingleDeviceSharding  # noqa: E402

from photonsim.tiles.gpu_product import plan_of  # noqa: E402
from photonsim.tiles.partial_sums import Readout  # noqa: E402

SCHEDULERS, CLOCK_HZ = 132 * 4, 1.98e9  # of an H200 (SXM); the clock is its highest
H200 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152 shared_memory_per_core: 233472
  threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128 block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535 block_dim_limit_z: 65535 memory_bandwidth: 4800000000000 l2_cache_size: 52428800
  clock_rate_ghz: 1.98 device_memory_size: 150000000000 shared_memory_per_block_optin: 232448
  cuda_compute_capability { major: 9 minor: 0 } registers_per_core_limit: 65536 registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 8 patch: 0 }
device_description_str: "NVIDIA H200"
"""


def rows():
    """One row for the kernel at each tile and mode, and the memory of the definition."""
    target = topologies.get_topology_desc(platform="cuda", target_config=H200, topology="1x1x1").devices[0]
    cases = [("pallas", tile, mode) for tile in TILES for mode in MODES] + [("jax", TILES[0], mode) for mode in MODES]
    device = jax.sharding.AbstractDevice(device_kind="NVIDIA H200", num_cores=132, platform="gpu")
    for engine, tile, mode in cases:
        with jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((), (), abstract_device=device)):
            row = compile_for(target, engine, tile, mode)
        print(_sentence(row), flush=True)
        yield row


def compile_for(target, engine: str, tile: int, mode: str) -> dict:
    """What becomes of one product."""
    for left in DUMP.glob("*"):
        left.unlink()
    given = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=SingleDeviceSharding(target)), shapes(tile)
    )
    sizes = product(engine, tile, mode).lower(*given).compile().memory_analysis()
    given_bytes = sizes.argument_size_in_bytes + sizes.output_size_in_bytes
    row = {"m": M, "k": K, "n": N, "tile": tile, "mode": mode, "engine": engine, "jax": jax.__version__}
    row |= {"inputs_and_output_bytes": given_bytes, "temporary_bytes": sizes.temp_size_in_bytes}
    row["beyond"] = sizes.temp_size_in_bytes / given_bytes
    return row | (_kernel(tile, mode) if engine == "pallas" else {})


def _kernel(tile: int, mode: str) -> dict:
    """Registers, spills and instructions of the kernel that was dumped."""
    sources = [path for path in DUMP.glob("*.ptx") if ".entry analog_matmul" in path.read_text()]
    if not sources:  # jax 0.11 writes none when asked to dump
        return {}
    binary = DUMP / "kernel.cubin"
    report = _run("ptxas", "-v", "-arch=sm_90a", str(sources[0]), "-o", str(binary)).stderr
    registers = int(re.search(r"Used (\d+) registers", report)[1])
    spilled = sum(int(count) for count in re.findall(r"(\d+) bytes spill", report))
    kinds = loop_instructions(_run("nvdisasm", "-c", str(binary)).stdout)
    x, tiles, *_ = shapes(tile)
    noise, shot_noise = MODES[mode]
    plan = plan_of(x, tiles.levels, Readout(8, 8, tile, noise, shot_noise, common_mode=False), interpret=False)
    sums = plan.cut[0] * plan.cut[1] / (32 * plan.warps)  # of a thread
    each = {kind: round(count / sums, 2) for kind, count in kinds.most_common() if count / sums >= 0.1}
    total = sum(kinds.values()) / sums
    least_ms = 1e3 * M * N * plan.blocks * total / 32 / SCHEDULERS / CLOCK_HZ
    return {"registers": registers, "spilled_bytes": spilled, "instructions": total, "each": each, "least_ms": least_ms}


def loop_instructions(listing: str) -> collections.Counter:
    """Instructions by name in the longest loop of a listing."""
    names, targets, labels = [], {}, {}
    for line in listing.splitlines():
        if label := re.match(r"\.(L_x_\d+):", line.strip()):
            labels[label[1]] = len(names)
        elif found := re.match(r"\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+ )?\s*([A-Z][A-Z0-9_]*)(.*);", line):
            if found[1] == "BRA" and (goal := re.search(r"L_x_\d+", found[2])):
                targets[len(names)] = goal[0]
            names.append(found[1])
    loops = [(labels[goal], place + 1) for place, goal in targets.items() if labels.get(goal, place + 1) <= place]
    first, after = max(loops, key=lambda loop: loop[1] - loop[0])
    return collections.Counter(names[first:after])


def _run(tool: str, *arguments: str) -> subprocess.CompletedProcess:
    """A program of NVIDIA's, from the path or from its package."""
    packaged = [str(path) for place in sys.path for path in Path(place).glob(f"nvidia/*/bin/{tool}")]
    program = (packaged or [shutil.which(tool)])[0]
    if program is None:
        raise SystemExit(f"{tool} is not here: pip install nvidia-cuda-nvcc nvidia-cuda-nvdisasm.")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=True)


def _sentence(row: dict) -> str:
    line = "{engine:6} tile {tile:3} {mode:9}".format(**row) + f" memory +{row['beyond']:.1%}"
    if "registers" not in row:
        return line
    figures = f", {row['registers']} registers, {row['spilled_bytes']} B spilled"
    return line + figures + f", {row['instructions']:.1f} instructions a sum: {row['least_ms']:.2f} ms at least"
