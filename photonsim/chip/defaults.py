"""Where a number of a description is from: its own source, or that of the default which stands in for it."""

from collections.abc import Iterable

from photonsim.chip.chip import Source

Sources = tuple[tuple[str, Source], ...]
UNSOURCED = Source("no source given: set by the user or a default of the description", assumed=True)
DEFAULTS = {  # where the defaults of `photonsim.chip.electronics` are from
    "memory.sram_capacity_bits": Source("no figure given; 32 MB, a usual size on an accelerator", True, 0, 4e9),
    "memory.sram_bandwidth_bits_per_s": Source("no figure given; as wide as the arrays need", True),
    "memory.register_j_per_bit": Source(
        "0.073 pJ per 2 bytes of a register file: Lightening-Transformer's simulator",
        True,
        1e-15,
        2e-14,
    ),
    "memory.register_capacity_bits": Source("no figure given; 64 kB of accumulators for a core", True),
    "network.link_j_per_bit": Source("no figure given; NVLink 4 is quoted at 1.3 pJ/bit", True, 2.5e-13, 1e-11),
    "network.link_bandwidth_bits_per_s": Source("no figure given; NVLink 4, 450 GB/s each way", True, 5e11, 7.2e12),
    "network.hop_s": Source("no figure given; about a microsecond through a switch", True, 1e-7, 5e-6),
    "host.power_w": Source(
        "no figure given; what an eight-GPU server draws beside its GPUs is up to 575 W for each", True, 20, 600
    ),
    "host.link_j_per_bit": Source("no figure given; PCIe 5.0, some 5 pJ/bit", True, 3e-12, 1e-11),
    "host.link_bandwidth_bits_per_s": Source("no figure given; PCIe 5.0 x16, 64 GB/s", True, 2.5e11, 1e12),
    "host.pue": Source("no figure given; large clouds report 1.1 to 1.2, the trade's mean is 1.56", True, 1.05, 1.6),
}


def sources_of(settings: Iterable[str], sources: Sources) -> Sources:
    """The source of each setting, by its dotted path, of a chip or a baseline whose own are `sources`."""
    known = dict(sources)
    return tuple((name, known.get(name, DEFAULTS.get(name, UNSOURCED))) for name in settings)
