"""Where a number of a description is from: its own source, or that of the default which stands in for it."""

from collections.abc import Iterable

from photonsim.chip.chip import Source

Sources = tuple[tuple[str, Source], ...]
UNSOURCED = Source("no source given: set by the user or a default of the description", assumed=True)
DEFAULTS = {  # where the defaults of `photonsim.chip.electronics` are from
    "memory.sram_capacity_bits": Source("no figure given; 32 MB, a usual size on an accelerator", True, 0, 4e9),
    "memory.sram_bandwidth_bits_per_s": Source(
        "no figure given; 80 TB/s, as Groq quotes of its LPU's 230 MB", True, 4e13, 1.6e17
    ),
    "memory.register_j_per_bit": Source(
        "0.073 pJ per 2 bytes of a register file: Lightening-Transformer's simulator",
        True,
        1e-15,
        2e-14,
    ),
    "memory.register_capacity_bits": Source("no figure given; 64 kB of accumulators for a core", True),
    **{
        f"floorplan.{name}": Source(f"no figure given; {text}", True, low, high)
        for name, text, low, high in (
            ("lasers", "light comes by fibre", None, None),
            ("laser_m2", "400 × 300 µm, Lightening-Transformer's simulator", 6e-9, 1e-6),
            ("comb_m2", "one wavelength, or a comb elsewhere", None, None),
            ("modulator_m2", "a Mach-Zehnder of 260 × 20 µm, Lightening-Transformer's simulator", 2e-11, 1e-7),
            ("dac_m2", "8 bits at 14 GS/s in 16 nm, as Lightening-Transformer's simulator has it", 1.5e-10, 5e-8),
            ("cell_m2", "a phase shifter of 100 × 45 µm with its splitter and two photodiodes", 2e-11, 2e-8),
            ("layout_factor", "spacing of 30 and 20 µm, Lightening-Transformer's simulator", 1.0, 10.0),
            ("core_m2", "splitters are small", None, None),
            ("receiver_m2", "two photodiodes of 4 × 10 µm, Lightening-Transformer's simulator", 2e-11, 1e-8),
            ("amplifier_m2", "50 µm² in 14 nm, Lightening-Transformer's simulator", 2e-11, 3e-9),
            ("adc_m2", "8 bits at 10 GS/s in 14 nm, as Lightening-Transformer's simulator has it", 1e-9, 5e-8),
            ("accumulator_m2", "ISAAC's adder, carried to 14 nm by Lightening-Transformer's simulator", 1e-11, 1e-9),
            ("sram_m2_per_bit", "cells of 0.027 µm² in 7 nm, half of the array", 3e-14, 2e-13),
            ("other_m2", "the digital unit, pads and the package are not counted", None, None),
        )
    },
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
