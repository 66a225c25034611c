"""Laws: what quantisers, light and phases do whatever the chip, exact or to statistical error."""

import dataclasses
import math

import jax
import numpy as np
from jax import numpy as jnp

from photonsim.chip import Chip, load_chip, override
from photonsim.converters import full_scale_code, quantize
from photonsim.devices import Laser, Receiver, ideal_responsivity_a_per_w
from photonsim.evaluate.reproduce.row import Row
from photonsim.tiles import Crossbar
from photonsim.units import photon_energy_j, ratio_from_db, sndr_db_from_enob

TEXTBOOK = "textbook: a uniform quantiser"
SAMPLES = 200_000
WAVELENGTH_M = 1550e-9
CLOCK_HZ = 1e9
PRINTED = "half a unit of the last printed digit"


# Quantisers


def quantiser_variance() -> float:
    """Error variance of an 8-bit quantiser over a uniform input, in units of LSB²/12."""
    codes = np.random.default_rng(0).uniform(-127, 127, SAMPLES).astype(np.float32)
    return 12 * float(np.mean((np.asarray(quantize(jnp.asarray(codes), 8)) - codes) ** 2))


def quantiser_sqnr_db(bits: int) -> float:
    """SQNR of a sine over all codes of a converter, to the outer edges of the outermost, dB."""
    phase = np.random.default_rng(1).uniform(0, 2 * math.pi, SAMPLES)
    sine = ((full_scale_code(bits) + 0.5) * np.sin(phase)).astype(np.float32)
    error = np.asarray(quantize(jnp.asarray(sine), bits)) - sine
    return 10 * math.log10(np.mean(sine**2) / np.mean(error**2))


def accumulated_adc_variance(tiles: int = 8) -> float:
    """Error variance of a product over `tiles` tiles behind 8-bit ADCs, in units of tiles · LSB²/12.

    The codes of each tile are worth s_x s_w LSB of the output, with the scales of its block.
    """
    chip = override(load_chip("ideal"), {"tile.rows": 64, "adc.bits": 8, "adc.gain": 4.0, "adc.energy_j": 0.0})
    x, w = _normal(0, 512, 64 * tiles), _normal(1, 64 * tiles, 32)
    lsb = 64 / 4.0 / full_scale_code(8)
    s_x, s_w = np.abs(x.reshape(512, tiles, 64)).max(-1), np.abs(w.reshape(tiles, 64, 32)).max(1)
    expected = np.sum((s_x[:, :, None] * s_w * lsb) ** 2, axis=1) / 12
    return float(np.mean((_product(chip, x, w) - x @ w) ** 2 / expected))


def ideal_agreement() -> float:
    """Projection of the ideal chip's answer on `x @ w`; its distance from 1 is the rounding."""
    x, w = _normal(2, 33, 300), _normal(3, 300, 70)
    exact = x.astype(np.float64) @ w
    return float(np.sum(_product(load_chip("ideal"), x, w) * exact) / np.sum(exact**2))


def exact_bits(input_bits: int = 8, weight_bits: int = 8, length: int = 128) -> float:
    """Bits that hold every signed dot product of codes: both signs and zero of `K · L_x · L_w`."""
    return math.ceil(math.log2(2 * length * full_scale_code(input_bits) * full_scale_code(weight_bits) + 1))


def aqt_row() -> list[float]:
    """First row of the quantised product in the README of google/aqt: absolute-maximum scales by row and by column."""
    generator = np.random.RandomState(0)  # the README's own generator; it seeds each operand with 0
    a = generator.normal(size=(3, 4)).astype(np.float32)
    w = np.random.RandomState(0).normal(size=(4, 5)).astype(np.float32)
    s_a, s_w = np.abs(a).max(1, keepdims=True), np.abs(w).max(0, keepdims=True)
    codes_a = np.asarray(quantize(jnp.asarray(a / s_a * 127), 8))
    codes_w = np.asarray(quantize(jnp.asarray(w / s_w * 127), 8))
    return list((codes_a @ codes_w * s_a * s_w / 127**2)[0])


# Light


def shot_noise_error(length: int, photons_per_mac: float) -> float:
    """RMSE / √K of x ~ U[0, 1], w ~ U[-1, 1] on an ideal receiver, K the products that are not pinned to zero.

    `photons_per_mac` is their mean. Ours are counted at full scale: the mean of |w x| is 1/4, so four times as many.
    """
    x, w = _uniform_operands(length, 400)
    return float(
        np.sqrt(np.mean((_product(_shot_limited(length, 4 * photons_per_mac), x, w) - x @ w) ** 2) / (length - 2))
    )


def shot_noise_by_output(length: int = 256, full_scale_photons: float = 4.0) -> float:
    """Mean over the outputs of error² over `a_i mean(a) / (n K)`: a_i is the light of output i, n the mean photons.

    The columns hold from none to all of their weights, so that their light differs widely.
    """
    x, w = _uniform_operands(length, 400)
    w[2:] *= np.random.default_rng(7).uniform(size=(length - 2, w.shape[1])) < np.linspace(0.05, 1, w.shape[1])
    light = np.abs(x).astype(np.float64) @ np.abs(w)
    photons_per_mac = full_scale_photons * light.mean() / length
    error = _product(_shot_limited(length, full_scale_photons), x, w) - x @ w
    return float(np.mean(error**2 / (light * light.mean() / (photons_per_mac * length))))


def averaging_gain(readings: int = 16) -> float:
    """RMS error of one reading over that of the mean of several, shot noise alone."""
    x, w = _uniform_operands(128, 1)
    exact = x @ w
    answers = _product(_shot_limited(128, 4.0), np.repeat(x, 400 * readings, axis=0), w)
    means = answers.reshape(400, readings, -1).mean(1)
    return float(np.sqrt(np.mean((answers - exact) ** 2) / np.mean((means - exact) ** 2)))


def energy_exponent() -> float:
    """Exponent of optical energy per MAC against width, at a fixed error over the full scale K of the output."""
    lengths = np.array([64, 128, 256, 512, 1024])
    errors = np.array([shot_noise_error(int(k), 1.0) / math.sqrt(k) for k in lengths])
    photons = (errors / errors[0]) ** 2  # that bring every width to the first one's error
    return float(np.polyfit(np.log(lengths), np.log(photons), 1)[0])


def rin_bits(bandwidth_hz: float) -> float:
    """Effective bits that a laser of -140 dB/Hz leaves to the brightest light."""
    laser = Laser(power_w=1.0, wall_plug_efficiency=1.0, wavelength_m=WAVELENGTH_M, rin_db_per_hz=-140.0)
    return float(laser.enob_ceiling(bandwidth_hz))


def eight_bit_energy_fj(
    responsivity_a_per_w: float, bandwidth_hz: float, tia_a_per_sqrt_hz: float, shot: bool
) -> float:
    """Light of one sample at 1 GHz whose noise leaves 8 effective bits, fJ."""
    receiver = Receiver(responsivity_a_per_w, energy_j=0.0, tia_noise_a_per_sqrt_hz=tia_a_per_sqrt_hz, shot_noise=shot)
    return float(receiver.power_for_enob_w(8.0, bandwidth_hz)) / CLOCK_HZ * 1e15


# Products on a chip


def _product(chip: Chip, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    programmed = chip.program(jnp.asarray(w))
    return np.asarray(chip.matmul(jnp.asarray(x), programmed, jax.random.key(0), "jax"), dtype=np.float64)


def _normal(seed: int, rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


def _uniform_operands(length: int, vectors: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs in [0, 1] and weights in [-1, 1] whose blocks have a largest magnitude of 1, so that no scale moves."""
    generator = np.random.default_rng(length)
    x = generator.uniform(0, 1, (vectors, length)).astype(np.float32)
    w = generator.uniform(-1, 1, (length, 64)).astype(np.float32)
    x[:, 0], w[0] = 1.0, 0.0
    x[:, 1], w[1] = 0.0, 1.0
    return x, w


def _shot_limited(length: int, full_scale_photons: float) -> Chip:
    """The ideal chip with one tile of `length` rows, shot noise, and so many photons per full-scale product."""
    chip = load_chip("ideal")
    assert isinstance(chip.tile, Crossbar)
    receiver = Receiver(float(ideal_responsivity_a_per_w(WAVELENGTH_M)), energy_j=0.0)
    laser = dataclasses.replace(chip.tile.laser, power_w=1.0)
    tile = dataclasses.replace(chip.tile, rows=length, columns=64, receiver=receiver, laser=laser)
    return dataclasses.replace(chip, tile=tile.with_photons_per_mac(full_scale_photons))


# Rows


def _statistical(name, what, ours, published, standard_error, samples, source, note="") -> Row:
    """A Monte Carlo row: it holds within four standard errors."""
    reason = f"4 standard errors of {samples}"
    return Row(f"laws/{name}", what, "1", ours, published, 4 * standard_error, reason, source, note)


def _exact(name, what, unit, ours, published, tolerance, source, note="", reason=PRINTED, known="") -> Row:
    return Row(f"laws/{name}", what, unit, ours, published, tolerance, reason, source, note, known)


SHOT_SOURCE = "PILOT-Q, physicsq.py and its twin check"
OUTPUTS = 400 * 64

QUANTISER_ROWS = (
    _exact(
        "ideal-chip",
        "ideal chip's answer projected on x @ w",
        "1",
        ideal_agreement,
        1.0,
        1e-6,
        "an identity",
        reason="sums of 300 float32 products, 8 ulp",
    ),
    _statistical(
        "quantiser-variance",
        "8-bit error variance over LSB²/12",
        quantiser_variance,
        1.0,
        math.sqrt(0.8 / SAMPLES),
        f"{SAMPLES:,} uniform errors (kurtosis 1.8)",
        TEXTBOOK,
    ),
    *(
        _exact(
            f"quantiser-sqnr-{bits}b",
            f"SQNR of a full-scale sine, {bits} bits",
            "dB",
            lambda bits=bits: quantiser_sqnr_db(bits),
            6.02 * bits + 1.76,
            tolerance_db / (6.02 * bits + 1.76),
            "6.02 b + 1.76 dB",
            "A symmetric converter leaves one of its 2^b codes unused.",
            reason=f"{tolerance_db} dB: the crest of the sine rests in one code, where errors are not uniform",
        )
        for bits, tolerance_db in ((8, 0.2), (12, 0.05))
    ),
    _statistical(
        "adc-accumulation",
        "variance of 8 tiles' ADC errors over 8 LSB²/12",
        accumulated_adc_variance,
        1.0,
        math.sqrt(2 / (512 * 32)),
        "16,384 outputs",
        "Rekhi et al., DAC 2019: independent uniform errors add",
    ),
    _exact(
        "exact-bits",
        "bits of an exact signed 8 × 8-bit dot product of 128",
        "bit",
        exact_bits,
        22,
        0.0,
        "b_x + b_w + log₂ K − 1; Nature 640:368, SI",
        reason="a whole number",
    ),
    *(
        _exact(
            f"aqt-{column}",
            f"W8A8 product of the aqt README, element [0, {column}]",
            "1",
            lambda column=column: aqt_row()[column],
            published,
            1e-6,
            "google/aqt, README",
            reason="float32 rounding",
        )
        for column, published in enumerate((3.5998788, 5.8562713, 1.9385538, 4.7426414, 1.9792401))
    ),
)

LIGHT_ROWS = (
    *(
        _statistical(
            f"shot-noise-{length}-{photons:g}",
            f"shot noise, RMSE/√K, K = {length}, {photons:g} photons/MAC",
            lambda length=length, photons=photons: shot_noise_error(length, photons),
            0.25 / math.sqrt(photons),
            1 / math.sqrt(2 * OUTPUTS),
            "25,600 outputs",
            SHOT_SOURCE,
        )
        for length, photons in ((128, 1.0), (1024, 1.0), (1024, 0.25), (1024, 16.0))
    ),
    _statistical(
        "shot-noise-by-output",
        "error² of each output over a_i mean(a)/(n K)",
        shot_noise_by_output,
        1.0,
        math.sqrt(2 / OUTPUTS),
        "25,600 outputs",
        SHOT_SOURCE,
    ),
    _statistical(
        "averaging",
        "error of one reading over that of the mean of 16",
        averaging_gain,
        4.0,
        1 / math.sqrt(2 * OUTPUTS),
        "25,600 means",
        "independent noise averages as √n",
    ),
    _exact(
        "energy-exponent",
        "exponent of optical energy/MAC against width",
        "1",
        energy_exponent,
        -1.0,
        0.03,
        "Anderson et al., TMLR 2024: energy/MAC ∝ 1/width",
        "At a fixed error over the output's full scale K; fitted over K = 64 … 1024.",
        reason="4 standard errors of a slope through five points of 25,600 outputs (0.0057), over 1",
    ),
    _exact(
        "rin-1ghz", "bits under RIN −140 dB/Hz, 1 GHz", "bit", lambda: rin_bits(1e9), 8.0, 0.00625, "SNR = 1/(RIN B)"
    ),
    _exact("rin-10ghz", "the same at 10 GHz", "bit", lambda: rin_bits(1e10), 6.35, 0.0008, "SNR = 1/(RIN B)"),
    _exact(
        "photon-energy",
        "energy of a photon at 1550 nm",
        "aJ",
        lambda: 1e18 * float(photon_energy_j(WAVELENGTH_M)),
        0.12816,
        4e-5,
        "h c / λ",
    ),
    _exact(
        "responsivity",
        "one electron per photon at 1550 nm",
        "A/W",
        lambda: float(ideal_responsivity_a_per_w(WAVELENGTH_M)),
        1.25,
        0.004,
        "q λ / (h c)",
    ),
    _exact(
        "shot-limit-photons",
        "photons of an 8-bit sample at the shot limit",
        "1",
        lambda: float(ratio_from_db(sndr_db_from_enob(8.0))),
        9.8e4,
        0.0051,
        "SNR = N at the Nyquist bandwidth",
    ),
    _exact(
        "shot-limit-energy",
        "their energy",
        "fJ",
        lambda: eight_bit_energy_fj(float(ideal_responsivity_a_per_w(WAVELENGTH_M)), CLOCK_HZ / 2, 0.0, shot=True),
        12.6,
        0.004,
        "N h ν",
    ),
    _exact(
        "tia-limit-energy",
        "8-bit sample, 5 pA/√Hz amplifier, 1 GHz",
        "fJ",
        lambda: eight_bit_energy_fj(1.0, CLOCK_HZ, 5e-12, shot=False),
        49.5,
        0.0025,
        "yz-al/photonics, model.py",
        "Published for the amplifier alone, 1 A/W and a noise bandwidth of the whole clock; it prints SNR as 9.8e4. "
        "With 1.25 A/W, half the clock and shot noise too our receiver needs 35 fJ.",
        reason="9.8e4 printed for 98,304",
    ),
)

ROWS: tuple[Row, ...] = (*QUANTISER_ROWS, *LIGHT_ROWS)
