"""Converters that were built or that well-known accelerators assume: points to hold the laws of `energy.py` against.

The spread is the message, since designers choose their own line: in one and the same table the most hopeful 8-bit DAC
is sixteen times cheaper than the most careful.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedConverter:
    """One converter: bits (effective ones if `effective`, else those of its label), rate and energy of a conversion."""

    name: str
    bits: float
    rate_hz: float
    energy_j: float
    source: str
    effective: bool = False

    @property
    def power_w(self) -> float:
        """Power at full rate, W."""
        return self.energy_j * self.rate_hz

    @property
    def walden_fom_j_per_step(self) -> float:
        """Walden's figure of merit, `E / 2^bits`, J: too low where the bits are a label's."""
        return self.energy_j / 2**self.bits


ALBIREO = "Albireo, ISCA 2021, 7 nm component table"
PAI = "Pai et al., Science 2023, SM Table S1"
PUBLISHED_ADCS = (
    PublishedConverter("labelled 8 bit, 14 nm", 5.9, 10e9, 1.48e-12, "ISSCC 2022, 25 fJ per step", effective=True),
    PublishedConverter("8 bit, 1.25 GS/s", 8, 1.25e9, 1.38e-12, PAI),
    PublishedConverter("Lagos 2022", 10.1, 0.5e9, 7e-12, "secondary source", effective=True),
    PublishedConverter("best 8 bit at 10 GS/s", 8, 10e9, 2.2e-12, "ISSCC 2025 (secondary source)"),
)
PUBLISHED_DACS = (
    PublishedConverter("VLSI 2020, 16 nm", 8, 14e9, 50e-3 / 14e9, "Lightening-Transformer, HPCA 2024"),
    PublishedConverter("12 bit, 14 GS/s", 12, 14e9, 169e-3 / 14e9, "SimPhony, device library"),
    PublishedConverter("8 bit, 5 GS/s", 8, 5e9, 5.2e-12, PAI + " (26 mW); Albireo conservative"),
    PublishedConverter("Albireo moderate", 8, 5e9, 2.6e-12, ALBIREO),
    PublishedConverter("Albireo aggressive", 8, 5e9, 0.325e-12, ALBIREO),
    PublishedConverter("Anderson 2023", 8, 10e9, 10e-12, "Anderson et al., TMLR 2024, assumed there"),
)
