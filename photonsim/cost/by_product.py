"""The bill of a pass, product by product: what each kind of layer costs, down to its converters.

Events belong to the product that they happen for, and so do the weights that it fetches; static power is paid for as
long as the product takes. What is no product's (softmax and norms, KV cache, messages between chips) is a step of its
own, as in `photonsim.cost.latency`. The parts add up to the bill of the pass.
"""

from photonsim.chip import Chip
from photonsim.cost.bill import Bill
from photonsim.cost.energy import price
from photonsim.cost.latency import laid_latency
from photonsim.cost.mapping import Layout
from photonsim.cost.workload import macs
from photonsim.events import EventCounts


def product_bills(chip: Chip, layout: Layout, standby: float = 1.0) -> tuple[Bill, ...]:
    """A bill for each step of a pass that is laid out, named after it, in their order."""
    events = _step_events(layout)
    steps = laid_latency(chip, layout).steps
    return tuple(
        price(chip, counted, step.seconds, step.name, standby) for step, counted in zip(steps, events, strict=True)
    )


def _step_events(layout: Layout) -> list[EventCounts]:
    """What happens in each step: the products, then the vector unit, then the network if there is one."""
    workload, found = layout.workload, []
    for product, mapped in zip(workload.products, layout.mapped, strict=True):
        fetched = float(workload.weights_from_dram(product))
        if mapped is None:
            count = float(macs(product))
            found.append(EventCounts(macs=count, digital_macs=count, dram_read_bits=fetched))
        else:
            found.append(mapped.events * product.trips + EventCounts(dram_read_bits=fetched))
    around = EventCounts(
        vector_operations=float(workload.vector_operations),
        dram_read_bits=float(workload.dram_read_bits - workload.weight_bits),
        dram_write_bits=float(workload.dram_write_bits),
    )
    messages = [EventCounts(network_bits=float(workload.network_bits))] if workload.network_hops else []
    return [*found, around, *messages]
