"""A die is recovered from what it does, and a chip file made of it does the same."""

import jax
import numpy as np
import pytest
from typer.testing import CliRunner

from photonsim.chip import describe, load_chip, override
from photonsim.cli.app import app
from photonsim.errors import PhotonsimError
from photonsim.evaluate.fit import fit_chip, fit_die, read_measurement
from photonsim.evaluate.measurement import Measurement, regenerate
from photonsim.tiles import Crossbar

ENVISE = load_chip("lightmatter-envise-2025")


def crossbar(chip) -> Crossbar:
    assert isinstance(chip.tile, Crossbar)
    return chip.tile


@pytest.fixture(scope="module")
def measured():
    return regenerate(ENVISE, 8.08, 512, 512, jax.random.key(0))


def test_the_die_that_was_simulated_is_found(measured):
    """512 columns: a spread is known to 1/√1024 = 3.1 %, a mean to spread/√512, a median to 1.25 of that."""
    die, tile = fit_die(measured), crossbar(ENVISE)
    true = tile.die
    assert die.gain_mean == pytest.approx(true.gain_mean, abs=4 * 0.037 / 512**0.5)
    assert die.gain_spread == pytest.approx(true.gain_spread, rel=0.13)
    assert die.offset_spread == pytest.approx(1023 * true.offset_spread, rel=0.13)
    assert die.noise_median == pytest.approx(1023 * tile.adc.noise_rms, rel=0.06)
    assert die.noise_log_spread == pytest.approx(true.noise_spread, rel=0.13)
    assert die.common_mode == pytest.approx(1023 * true.common_mode_rms, rel=0.1)
    assert die.kurtosis == pytest.approx(3.0, abs=0.04)
    assert abs(die.cubic) < 0.01


def test_what_a_fitted_chip_does_has_the_statistics_it_was_fitted_to(measured):
    """Another draw of 512 columns from the fitted numbers: each statistic within four of its standard errors."""
    chip, _ = fit_chip(ENVISE, measured, "a test")
    chip = override(chip, {"die.seed": 7})
    again = regenerate(chip, 8.08, 512, 512, jax.random.key(1), seed=1)
    assert again.error.std() == pytest.approx(measured.error.std(), rel=0.08)
    assert np.median(again.column_residual) == pytest.approx(np.median(measured.column_residual), rel=0.08)
    assert again.lines[0].std() == pytest.approx(measured.lines[0].std(), rel=0.18)


def test_a_bent_transfer_is_noticed():
    expected = np.random.default_rng(0).uniform(-100, 100, (400, 8))
    observed = 0.9 * (expected + 0.05 * expected**3 / np.abs(expected).max() ** 2)
    # the line takes up 3/5 of the cube of uniform data: its gain is 0.9 (1 + 0.6 · 0.05), and the cube is over that
    assert fit_die(Measurement(expected, observed, 8)).cubic == pytest.approx(0.05 / 1.03, rel=0.01)


def test_effective_bits_fall_by_one_for_twice_the_noise():
    rng = np.random.default_rng(0)
    expected = rng.normal(0, 100, (2000, 64))
    bits = [fit_die(Measurement(expected, expected + rng.normal(0, s, (2000, 64)), 64)).enob(1023) for s in (4, 8)]
    assert bits[0] - bits[1] == pytest.approx(1.0, abs=0.02)


def test_the_command_writes_a_chip_and_a_figure(measured, tmp_path):
    np.savez(tmp_path / "codes.npz", expected=measured.expected, observed=measured.observed)
    arguments = [
        "fit",
        str(tmp_path / "codes.npz"),
        "-o",
        str(tmp_path / "chip.toml"),
        "--plot",
        str(tmp_path / "f.png"),
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    chip = load_chip(tmp_path / "chip.toml")
    assert describe(chip)["tile"]["die"]["gain_mean"] == pytest.approx(fit_die(measured).gain_mean)
    assert dict(chip.sources)["tile.die.gain_mean"].text == "fit to codes.npz"
    assert (tmp_path / "f.png").stat().st_size > 10_000


def test_a_csv_holds_the_same_measurement(tmp_path):
    rng = np.random.default_rng(0)
    expected, observed = rng.normal(0, 9, (20, 3)), rng.normal(0, 9, (20, 3))
    lines = [f"{c},{expected[v, c]:.17g},{observed[v, c]:.17g}" for v in range(20) for c in range(3)]
    (tmp_path / "m.csv").write_text(
        "column,expected,observed\n" + "\n".join(lines).replace("np.float64(", "").replace(")", "")
    )
    read = read_measurement(tmp_path / "m.csv", 3)
    np.testing.assert_allclose(read.expected, expected)
    np.testing.assert_allclose(read.observed, observed)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        (np.zeros((20, 3)), "one expected value"),
        (np.ones((4, 3)) * np.arange(4)[:, None], "too few"),
        (np.full((20, 3), np.nan), "NaN"),
    ],
)
def test_a_measurement_that_tells_nothing_is_refused(expected, message):
    with pytest.raises(PhotonsimError, match=message):
        fit_die(Measurement(expected, expected, 3))


def test_a_file_that_is_no_measurement_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    with pytest.raises(PhotonsimError, match="holds no measurement"):
        read_measurement(tmp_path / "other.npz", 128)
    with pytest.raises(PhotonsimError, match="cannot be read"):
        read_measurement(tmp_path / "missing.npz", 128)


@pytest.mark.parametrize("options", [["-o", "chip.json"], ["-o", "chip.toml", "--plot", "figure.txt"]])
def test_a_file_of_an_unknown_kind_is_refused_before_anything_is_read(options):
    result = CliRunner().invoke(app, ["fit", "missing.npz", *options])
    assert isinstance(result.exception, PhotonsimError)
    assert "must end in" in str(result.exception)
