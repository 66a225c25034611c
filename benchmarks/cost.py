"""How long pricing takes, in seconds of processor time: one model, a hundred thousand chips, the whole command.

    python benchmarks/cost.py [--json docs/cost.json]

Each in a process of its own. What XLA compiles is counted, since a sweep needs it once; imports are counted for the
commands, and not for what a session calls after them.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

POINTS = 100_000
HEAD = """import time
import numpy as np
from photonsim.chip import load_chip
from photonsim.cost import load_architecture
from photonsim.cost.design_points import design_points
from photonsim.cost.serving import Request, serve
chip = load_chip("lightening-transformer-b-4bit")
start = time.process_time()
"""
TAIL = """
print(time.process_time() - start)
"""
MIXTURE = 'serve(load_chip("neurophos-t100"), load_architecture("deepseek-v3"), Request(4096, 512))'
SWEEP = f"""
points = {POINTS}
settings = {{
    "tile.adc.energy_j": np.geomspace(1e-14, 1e-10, points),
    "tile.laser.wall_plug_efficiency": np.linspace(0.01, 1.0, points),
    "tile.clock_hz": np.geomspace(1e9, 5e10, points),
}}
found = design_points(chip, load_architecture("llama-3.1-8b"), Request(), settings)
assert found.j_per_request.shape == (points,) and bool((found.j_per_request > 0).all())
"""
COMMANDS = {
    "`photonsim cost llama-3.1-8b`": ["cost", "llama-3.1-8b"],
    "`photonsim cost deepseek-v3 --chip neurophos-t100`": ["cost", "deepseek-v3", "--chip", "neurophos-t100"],
    "`photonsim cost llama-3.1-8b --explain adc`": ["cost", "llama-3.1-8b", "--explain", "adc"],
}


def inside_s(body: str) -> float:
    """Processor seconds of some lines of Python, imports not counted."""
    done = subprocess.run([sys.executable, "-c", HEAD + body + TAIL], capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def command_s(arguments: list[str]) -> float:
    """Processor seconds of a command from its start to its end, imports and compilation counted."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "photonsim", *arguments], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measured() -> dict[str, float]:
    """Processor seconds of everything, by its name."""
    found = {
        "DeepSeek-V3, 671 billion parameters: prefill, decode and request": inside_s(MIXTURE),
        f"{POINTS:,} design points of Llama 3.1 8B, three settings at once": inside_s(SWEEP),
    }
    return found | {name: command_s(arguments) for name, arguments in COMMANDS.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    seconds = measured()
    for name, value in seconds.items():
        print(f"{value:7.2f} s  {name}")
    if options.json:
        machine = f"{os.cpu_count()} cores, {platform.machine()}"
        options.json.write_text(json.dumps({"machine": machine, "processor_s": seconds}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
