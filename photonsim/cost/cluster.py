"""Several chips with one model between them.

**Tensor split.** Every product is dealt out to the cores of all chips, whose memories work side by side; twice a layer
they add up what each has found, rows × width numbers, by a ring all-reduce: every chip passes on `2 (N − 1) / N` of
them in `2 (N − 1)` hops. A pass is faster; the messages are the price.

**Pipeline split.** Every chip holds some of the layers, and hands on rows × width numbers once. A pass takes as long as
on one chip, and `N` of them are under way at the same time: the throughput is N-fold, the energy of a pass is that of
one chip, and the memory is that of all.
"""

import dataclasses

from photonsim.chip import Chip
from photonsim.cost.workload import Workload
from photonsim.errors import check_choice, check_count

TENSOR, PIPELINE = "tensor", "pipeline"
SPLITS = (TENSOR, PIPELINE)
REDUCTIONS = 2  # per layer: after attention, and after the feed-forward


def several(chip: Chip, chips: int, split: str = TENSOR) -> Chip:
    """`chips` equal chips as one: everything of them under a tensor split, one's speed and all's room in a pipeline."""
    check_count("chips", chips)
    check_choice("split", split, SPLITS)
    if chips == 1:
        return chip
    memory = dataclasses.replace(
        chip.memory,
        dram_capacity_bits=chips * chip.memory.dram_capacity_bits,
        sram_capacity_bits=chips * chip.memory.sram_capacity_bits,
    )
    name = f"{chips} × {chip.name}"
    if split == PIPELINE:
        return dataclasses.replace(chip, name=name, memory=memory)
    memory = dataclasses.replace(
        memory,
        dram_bandwidth_bits_per_s=chips * memory.dram_bandwidth_bits_per_s,
        sram_bandwidth_bits_per_s=chips * memory.sram_bandwidth_bits_per_s,
    )
    digital = dataclasses.replace(
        chip.digital,
        macs_per_s=chips * chip.digital.macs_per_s,
        vector_operations_per_s=chips * chip.digital.vector_operations_per_s,
    )
    host = dataclasses.replace(
        chip.host,
        power_w=chips * chip.host.power_w,
        link_bandwidth_bits_per_s=chips * chip.host.link_bandwidth_bits_per_s,
    )
    cores, overhead_power_w = chips * chip.cores, chips * chip.overhead_power_w
    changes = {"name": name, "memory": memory, "digital": digital, "host": host, "cores": cores}
    return dataclasses.replace(chip, overhead_power_w=overhead_power_w, **changes)


def linked(workload: Workload, chips: int, split: str = TENSOR) -> Workload:
    """A workload with the messages that `chips` chips exchange for it."""
    check_count("chips", chips)
    check_choice("split", split, SPLITS)
    if chips == 1:
        return workload
    if split == PIPELINE:
        moved = (chips - 1) * workload.stream_bits
        return dataclasses.replace(workload, network_bits=float(moved), link_bits=float(moved), network_hops=chips - 1)
    reductions, steps = REDUCTIONS * workload.depth, 2 * (chips - 1)
    return dataclasses.replace(
        workload,
        network_bits=float(reductions * steps * workload.stream_bits),
        link_bits=reductions * steps * workload.stream_bits / chips,
        network_hops=reductions * steps,
    )
