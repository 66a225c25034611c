"""Joules of a pass on the chip, and of the chip at its peak."""

from photonsim.chip import Chip
from photonsim.cost.bill import Bill, tops_per_w
from photonsim.cost.latency import laid_latency, symbol_s
from photonsim.cost.mapping import Layout, Plan, lay_out
from photonsim.cost.tariff import COMPONENTS, charges
from photonsim.cost.workload import Workload, check_capacity, macs
from photonsim.errors import check_number
from photonsim.events import EventCounts


def workload_events(chip: Chip, workload: Workload, plan: Plan | None = None) -> EventCounts:
    """Everything that happens in a pass: products on and off the chip, vector work, traffic of DRAM and network."""
    return laid_events(lay_out(chip, workload, plan))


def laid_events(layout: Layout) -> EventCounts:
    """The events of a pass that is laid out already."""
    workload, digital = layout.workload, 0
    counts: dict[str, float] = {}
    for product, mapped in zip(workload.products, layout.mapped, strict=True):
        if mapped is None:
            digital += macs(product)
            continue
        for name, count in vars(mapped.events).items():
            counts[name] = counts.get(name, 0.0) + count * product.trips
    counts["macs"] = counts.get("macs", 0.0) + digital
    around = {
        "digital_macs": digital,
        "dram_read_bits": workload.dram_read_bits,
        "dram_write_bits": workload.dram_write_bits,
        "vector_operations": workload.vector_operations,
        "network_bits": workload.network_bits,
    }
    return EventCounts(**counts | {name: float(count) for name, count in around.items()})


def energy(chip: Chip, workload: Workload, standby: float = 1.0, plan: Plan | None = None) -> Bill:
    """The bill of one pass on the chip; differentiable in the chip's continuous parameters and in `standby`.

    `standby` is the share of its static power that a core draws while it waits, see `photonsim.cost.tariff`; `plan`
    maps the products, without one as the simulator computes them. Raises `PhotonsimError` where weights and KV cache
    are larger than the chip's DRAM.
    """
    check_capacity(chip.name, workload, chip.memory.dram_capacity_bits)
    return laid_energy(chip, lay_out(chip, workload, plan), standby)


def laid_energy(chip: Chip, layout: Layout, standby: float = 1.0) -> Bill:
    """The bill of a pass that is laid out already."""
    return price(chip, laid_events(layout), laid_latency(chip, layout).seconds, layout.workload.phase, standby)


def price(chip: Chip, events: EventCounts, seconds: float, name: str = "events", standby: float = 1.0) -> Bill:
    """The bill of counted events on a chip that is on for `seconds`."""
    check_number("seconds", seconds, at_least=0.0)
    check_number("standby", standby, at_least=0.0)
    return Bill(name, COMPONENTS, charges(chip, events, seconds, standby), events.macs, seconds)


def peak_tops(chip: Chip):
    """Peak throughput, tera-operations per second: two for each multiply-accumulate of a symbol."""
    return 2e-12 * chip.macs_per_cycle / symbol_s(chip, _growth(chip))


def peak_bill(chip: Chip) -> Bill:
    """One second of the chip with every cell of every core busy at every symbol, under weights written before.

    The counts of a second are those by which a product that fills all cores exactly, side by side and one below the
    other, grows when it gets as many rows again. That leaves out what is paid once (writing the weights) and the
    partial sums that longer products carry from tile to tile. No DRAM traffic, no vector work: no model runs like this.
    """
    more = _growth(chip)
    return price(chip, more * (chip.cores / symbol_s(chip, more) / more.tile_cycles), 1.0, "peak")


def _growth(chip: Chip) -> EventCounts:
    """Events of the second half of a product that fills all cores."""
    tile, columns, rows = chip.tile, chip.cores * chip.tile.columns, chip.cores * chip.tile.rows
    grown, once = (chip.events(1, m, tile.terms_per_readout, columns) for m in (2 * rows, rows))
    return grown + -1.0 * once


def peak_power_w(chip: Chip) -> dict[str, float]:
    """Watts of every component at the peak."""
    return peak_bill(chip).by_component_j()


def peak_tops_per_w(chip: Chip, boundary: str):
    """Peak throughput over the power inside a boundary, both at the peak."""
    return tops_per_w(peak_bill(chip), boundary)
