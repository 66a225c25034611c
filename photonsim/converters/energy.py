"""What converters cost, as the field's laws say it: energy of one conversion, J, from effective bits and rate.

Three laws and one floor, from the hopeful to the measured:

- Walden: `E = FOM · 2^ENOB`. Comparators and logic decide: a bit doubles the energy. 1 to 5 fJ per step below 100 MS/s,
  10 to 50 fJ at 1 to 10 GS/s (secondary source).
- Schreier: `E = ½ 10^((SNDR - FOM_S)/10)`. Thermal noise decides: a bit costs four times. The best converters reach a
  figure of merit of 185 dB, about 10 dB less for each decade of rate above 100 MS/s.
- The survey's regression: both at once, with the node of the process, fitted to B. Murmann's survey of published
  converters (Andrulis et al., arXiv 2404.06553; open code `hwcomponents-adc`). "Best possible": the envelope, not the
  middle. It extrapolates below 22 nm and is not to be trusted below 14.
- Rekhi's floor: no published converter below 10.5 bits took less than 0.3 pJ (Rekhi et al., DAC 2019).

A label is not a resolution. Lightening-Transformer's 8-bit, 10 GS/s, 14.8 mW converter at 25 fJ per step has
log₂(1.48 pJ / 25 fJ) = 5.9 effective bits by Walden's law (`walden_enob`).
"""

import math

from photonsim.errors import PhotonsimError, check_number
from photonsim.units import enob_from_sndr_db, sndr_db_from_enob

REKHI_FLOOR_J = 0.3e-12
REKHI_FLAT_ENOB = 10.5
SURVEY_MAX_RATE_HZ = 10e9
SURVEY_MIN_ENOB = 4.0


def walden_energy_j(enob, fom_j_per_step):
    """Energy of one conversion, `FOM · 2^ENOB`, J; `fom_j_per_step` in J per conversion step."""
    return fom_j_per_step * 2.0**enob


def walden_enob(energy_j: float, fom_j_per_step: float) -> float:
    """Effective bits that an energy and a figure of merit imply: `log₂(E / FOM)`."""
    return math.log2(energy_j / fom_j_per_step)


def schreier_energy_j(enob: float, fom_db: float) -> float:
    """Energy of one conversion, `½ 10^((SNDR - FOM_S)/10)`, J; `fom_db` is Schreier's figure of merit, dB."""
    return 0.5 * 10 ** ((float(sndr_db_from_enob(float(enob))) - fom_db) / 10)


def survey_adc_energy_j(enob: float, rate_hz: float, node_nm: float) -> float:
    """Energy of one conversion of the best converters published, J.

    `E = E_Schreier(FOM_S) · exp(26.05 + 1.880 ln node - 2.829 ln ENOB - 1.470) pJ/J`, with the figure of merit
    `FOM_S = min(213.78 - 2.872 ln f, 128.3 + 3.2205 ⌈ENOB⌉)`. For 4 bits or more and up to 10 GS/s.
    """
    check_number("rate_hz", rate_hz, above=0.0)
    check_number("node_nm", node_nm, above=0.0)
    if enob < SURVEY_MIN_ENOB or rate_hz > SURVEY_MAX_RATE_HZ:
        raise PhotonsimError(
            f"{enob:g} bits at {rate_hz:g} samples/s are outside the survey (4 bits or more, up to 10 GS/s). "
            "Interleave slower converters, or give energy_j a published figure."
        )
    fom_db = min(213.78 - 2.872 * math.log(rate_hz), 128.3 + 3.2205 * math.ceil(enob))
    process = math.exp(26.05 + 1.880 * math.log(node_nm) - 2.829 * math.log(enob) - 1.470)
    return schreier_energy_j(enob, fom_db) * process * 1e-12


def survey_adc_area_m2(enob: float, rate_hz: float, node_nm: float) -> float:
    """Area of that converter: `ln(A/µm²) = 0.993 ln node + 0.181 ln f + 0.299 ln(E/pJ) + 1.346`, m²."""
    energy_pj = survey_adc_energy_j(enob, rate_hz, node_nm) / 1e-12
    log_area = 0.993 * math.log(node_nm) + 0.181 * math.log(rate_hz) + 0.299 * math.log(energy_pj) + 1.346
    return math.exp(log_area) * 1e-12


def rekhi_floor_j(enob: float) -> float:
    """Least energy of a published conversion: 0.3 pJ up to 10.5 bits, then `10^((6.02 ENOB - 68.25)/10)` pJ, J.

    Shared by the N products of an analog sum, `E / N` is the floor of a multiply-accumulate: 12 bits and 8 products
    are 313 fJ, the paper's "at least about 300 fJ" for a ResNet-50 within 0.4 % of its accuracy.
    """
    return REKHI_FLOOR_J if enob <= REKHI_FLAT_ENOB else 10 ** (0.1 * (6.02 * enob - 68.25)) * 1e-12


def lightening_transformer_adc_power_w(bits: int, rate_hz: float) -> float:
    """Power of Lightening-Transformer's ADC, `14.8 mW · (f / 10 GS/s) · (b / 8)`, W (Zhu et al., HPCA 2024)."""
    return 14.8e-3 * (rate_hz / 10e9) * (bits / 8)


def lightening_transformer_dac_power_w(bits: int, rate_hz: float) -> float:
    """Power of its DAC, `50 mW · (2^b / b) / (2^8 / 8) · (f / 14 GS/s)`, W."""
    return 50e-3 * (2.0**bits / bits) / (2.0**8 / 8) * (rate_hz / 14e9)


def jitter_snr_db(input_hz: float, jitter_s: float) -> float:
    """Signal-to-noise ratio of a sine sampled by a trembling clock, `-20 log₁₀(2π f σ)`, dB.

    A sample taken σ too late is wrong by the slope times σ, so speed alone costs bits, whatever the converter.
    """
    return -20 * math.log10(2 * math.pi * input_hz * jitter_s)


def jitter_enob(rate_hz: float, jitter_s: float) -> float:
    """Effective bits at the Nyquist frequency `rate / 2`: 11.4 for 100 fs at 1 GS/s, 8.0 for 1 ps."""
    return float(enob_from_sndr_db(jitter_snr_db(rate_hz / 2, jitter_s)))


def combined_enob(*enobs: float) -> float:
    """Effective bits of several limits at once, their noises adding: `SNDR⁻¹ = Σ SNDR_i⁻¹`.

    Label bits, measured noise, jitter, a laser's ceiling: two equal limits of b bits leave b - 1/2.
    """
    noise = sum(10 ** (-float(sndr_db_from_enob(float(enob))) / 10) for enob in enobs)
    return float(enob_from_sndr_db(-10 * math.log10(noise)))
