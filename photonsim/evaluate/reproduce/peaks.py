"""Peak throughput and efficiency: what follows from a chip's description alone."""

from photonsim.chip import Chip, load_chip
from photonsim.cost import peak_power_w, peak_tops, peak_tops_per_w
from photonsim.cost.lightening_transformer import LighteningTransformer
from photonsim.cost.tariff import LASER
from photonsim.evaluate.reproduce.row import Row

PRINTED = "half a unit of the last printed digit"
INCONSISTENCY = (
    "The chip is quoted at 262 and at 0.84 TOPS/W. Both are right: 262 counts the 0.25 W of the encode and weight path "
    "of the photonic cores, 0.84 the 78 W of the package. Neither counts the laser; with it, 0.74."
)


def package_tops_per_w(chip: Chip) -> float:
    """Peak over everything the package draws but the laser."""
    watts = peak_power_w(chip)
    return peak_tops(chip) / (sum(watts.values()) - watts[LASER])


def lightening_tops() -> float:
    """Peak of LT-B, TOPS."""
    chip = LighteningTransformer(bits=4)
    return 2e-12 * chip.macs_per_cycle * chip.clock_hz


def _row(name, what, unit, ours, published, tolerance, source, note="", reason=PRINTED, known="") -> Row:
    return Row(f"peaks/{name}", what, unit, ours, published, tolerance, reason, source, note, known)


def _peak(name: str) -> float:
    return peak_tops(load_chip(name))


def _efficiency(name: str, boundary: str) -> float:
    return float(peak_tops_per_w(load_chip(name), boundary))


ENVISE, T100 = "lightmatter-envise-2025", "neurophos-t100"
PACE, RACK = "lightelligence-pace", "meyer-2026-rack"
OVERHEAD = "Met through the overhead of the package, which is assumed; a check of the bill, not of the physics."
NATURE = "Nature 640:368 (2025)"

ROWS: tuple[Row, ...] = (
    _row("envise-peak", "Envise, 4 cores of 128² at 0.5 GHz", "TOPS", lambda: _peak(ENVISE), 65.5, 0.0008, NATURE),
    _row("pace-peak", "PACE, 64² at 1 GHz", "TOPS", lambda: _peak(PACE), 8.19, 0.0007, "Nature 640:361 (2025)"),
    _row(
        "meyer-peak",
        "rack of Meyer 2026, 9 × 3 at 1 GHz",
        "TOPS",
        lambda: _peak(RACK),
        0.054,
        1e-6,
        "Nat. Commun. 17:3396",
    ),
    _row("lightening-peak", "Lightening-Transformer B", "TOPS", lightening_tops, 138.2, 0.0004, "HPCA 2024"),
    _row(
        "t100-470",
        "Neurophos T100, as quoted",
        "TOPS",
        lambda: _peak(T100),
        470e3,
        0.0011,
        "vendor, press of January 2026",
        "Four passes of 1024² at 56 GHz; how four come about is not published.",
    ),
    _row(
        "t100-235",
        "Neurophos T100, two of the four",
        "TOPS",
        lambda: _peak(T100) / 2,
        235e3,
        0.0022,
        "vendor, press of January 2026",
        "The vendor uses 235 for POPS in one place and for TOPS/W in another.",
    ),
    _row(
        "t100-pass", "Neurophos T100, one pass", "TOPS", lambda: _peak(T100) / 4, 117.4e3, 0.0005, "2 · 1024² · 56 GHz"
    ),
    _row(
        "envise-package",
        "Envise, package without laser",
        "TOPS/W",
        lambda: package_tops_per_w(load_chip(ENVISE)),
        0.84,
        0.006,
        NATURE,
        f"{INCONSISTENCY} The 78 W are reached through an assumed overhead of 69 W.",
    ),
    _row(
        "envise-core",
        "Envise, photonic cores alone",
        "TOPS/W",
        lambda: _efficiency(ENVISE, "optical core"),
        262.0,
        0.002,
        "Nature 640:368, SI Table S4",
        INCONSISTENCY,
    ),
    _row(
        "pace-package",
        "PACE, package without laser",
        "TOPS/W",
        lambda: package_tops_per_w(load_chip(PACE)),
        4.21,
        0.0013,
        "Nature 640:361 (2025)",
        OVERHEAD,
    ),
    _row(
        "pace-system",
        "PACE, package and laser",
        "TOPS/W",
        lambda: _efficiency(PACE, "+ memory"),
        2.38,
        0.0022,
        "Nature 640:361 (2025)",
        OVERHEAD,
    ),
    _row(
        "meyer-system",
        "rack of Meyer 2026, as measured",
        "TOPS/W",
        lambda: _efficiency(RACK, "+ memory"),
        0.022,
        0.023,
        "Nat. Commun. 17:3396",
        OVERHEAD,
    ),
)
