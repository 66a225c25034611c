"""A die is recovered from what it does, and a chip file made of it does the same."""

import json

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from typer.testing import CliRunner

from photonsim.chip import describe, load_chip, override
from photonsim.cli.app import app
from photonsim.errors import PhotonsimError
from photonsim.evaluate.fit import SIGNIFICANT, crossbar_of, fit_chip, fit_die
from photonsim.evaluate.measured_file import read_input_sweep, read_measurement, read_weight_sweep
from photonsim.evaluate.measurement import Measurement, kurtosis, regenerate
from photonsim.evaluate.transfer import InputSweep, WeightSweep, column_share, fit_inputs, fit_weights

ENVISE = load_chip("lightmatter-envise-2025")
VECTORS, COLUMNS, TILE = 512, 512, 128


@pytest.fixture(scope="module")
def published():
    """Codes drawn by NumPy alone from what is published of Envise: `y = g x + o + s n + 0.67 c`, rounded.

    Residuals have the published deciles and extremes, and between them a logarithm that is normal piece by piece.
    """
    rng = np.random.default_rng(3)
    gain, offset = rng.normal(0.834, 0.037, COLUMNS), rng.normal(0.225, 0.499, COLUMNS)
    levels = np.log([0.855, 1.11, 1.62, 2.21, 4.28])
    residual = np.exp(np.interp(rng.normal(size=COLUMNS), [-3.1, -1.28, 0, 1.28, 3.1], levels))  # ±3.1: 1 in 1,024
    own = np.sqrt(residual**2 - 0.67**2 - 1 / 12)
    expected = np.rint(rng.normal(0, 8.08, (VECTORS, COLUMNS)))
    shared = np.repeat(rng.normal(0, 0.67, (VECTORS, COLUMNS // TILE)), TILE, axis=1)
    observed = gain * expected + offset + own * rng.normal(size=(VECTORS, COLUMNS)) + shared
    return Measurement(expected, np.rint(observed), TILE)


@pytest.fixture(scope="module")
def sweeps():
    """An input sweep that saturates like a modulator, 3.2 % apart, and cells whose gains differ by 25.5 %."""
    rng = np.random.default_rng(4)
    codes = np.linspace(-511.5, 511.5, 128)
    slope = rng.normal(0.446, 0.014, 64)
    readings = slope * 511.5 * np.sin(1.2 * codes / 511.5)[:, None] / 1.2 + rng.normal(0, 0.87, (128, 64))
    steps = np.arange(-63.0, 64.0)
    cells = 14.95 * (1 + 0.25 * rng.normal(size=128) + 0.05 * rng.normal(size=(32, 128)))
    weights = cells * steps[:, None, None] + rng.normal(0, 15, (127, 32, 128))
    return InputSweep(codes, readings), WeightSweep(steps, weights), cells


@pytest.fixture(scope="module")
def regenerated(published):
    """The fitted chip, as another die of 512 columns of the same process."""
    chip, _ = fit_chip(ENVISE, published, "published statistics")
    return regenerate(override(chip, {"die.seed": 7}), 8.08, VECTORS, COLUMNS, jax.random.key(1), seed=1)


# A spread of 512 columns is known to 1/√1024 = 3.1 % of itself, a mean to spread/√512, a median to 1.25 of that, a
# decile to 1.7. Four standard errors, √2 larger where two draws of columns are compared.
SPREAD = 4 / 1024**0.5


def test_the_die_behind_published_statistics_is_found(published):
    die = fit_die(published)
    assert die.gain_mean == pytest.approx(0.834, abs=4 * 0.037 / COLUMNS**0.5)
    assert die.offset_mean == pytest.approx(0.225, abs=4 * 0.499 / COLUMNS**0.5)
    assert die.gain_spread == pytest.approx(0.037, rel=SPREAD)
    assert die.offset_spread == pytest.approx(0.499, rel=SPREAD)
    assert die.noise_median == pytest.approx((1.62**2 - 0.67**2 - 1 / 12) ** 0.5, rel=4 * 1.25 * 0.356 / COLUMNS**0.5)
    assert die.common_mode == pytest.approx(0.67, rel=4 / (2 * VECTORS * 4) ** 0.5)
    assert die.kurtosis == pytest.approx(3.0, abs=4 * (24 / (VECTORS * COLUMNS)) ** 0.5)
    assert abs(die.cubic) < 0.01


STATISTICS = {
    # section 5 of the published statistics: value, and its tolerance with where it comes from
    "error mean": (lambda m: m.error.mean(), -0.224, 2**0.5 * 4 * 0.499 / COLUMNS**0.5),
    "error std": (lambda m: m.error.std(), 2.294, 2.294 * 0.08),  # of the residuals' mean square, heavy-tailed
    "error kurtosis": (lambda m: kurtosis(m.error), 4.08, 0.8),  # the log-normal tail may give one column of 6 codes
    "slope": (lambda m: m.line[0], 0.834, 2**0.5 * 4 * 0.037 / COLUMNS**0.5),
    "intercept": (lambda m: m.line[1], 0.223, 2**0.5 * 4 * 0.499 / COLUMNS**0.5),
    "gain spread": (lambda m: m.lines[0].std(), 0.037, 0.037 * 2**0.5 * SPREAD),
    "offset spread": (lambda m: m.lines[1].std(), 0.499, 0.499 * 2**0.5 * SPREAD),
    # a log-normal law has the median and the ratio of deciles, not their lopsidedness: 8 % on top of sampling
    "residual, 10 %": (lambda m: np.percentile(m.column_residual, 10), 1.11, 1.11 * 0.15),
    "residual, median": (lambda m: np.median(m.column_residual), 1.62, 1.62 * 2**0.5 * 4 * 1.25 * 0.28 / COLUMNS**0.5),
    "residual, 90 %": (lambda m: np.percentile(m.column_residual, 90), 2.21, 2.21 * 0.15),
    "kurtosis by column": (lambda m: kurtosis(m.residual / m.column_residual), 3.0, 0.05),
    "common mode": (lambda m: m.common_mode, 0.67, 0.67 * 4 / (VECTORS * 4) ** 0.5),
    "flatness": (lambda m: m.flatness[0] / m.flatness[1], 1.0, 0.05),  # additive: the same at every signal
}


@pytest.mark.parametrize("name", STATISTICS)
def test_data_regenerated_from_the_fitted_die_have_the_published_statistics(regenerated, name):
    ours, published, tolerance = STATISTICS[name]
    assert ours(regenerated) == pytest.approx(published, abs=tolerance)


def test_a_bent_transfer_is_noticed():
    expected = np.random.default_rng(0).uniform(-100, 100, (400, 8))
    observed = 0.9 * (expected + 0.05 * expected**3 / np.abs(expected).max() ** 2)
    # the line takes up 3/5 of the cube of uniform data: its gain is 0.9 (1 + 0.6 · 0.05), and the cube is over that
    assert fit_die(Measurement(expected, observed, 8)).cubic == pytest.approx(0.05 / 1.03, rel=0.01)


def test_a_fitted_chip_keeps_its_bend_and_its_line(published):
    """Codes that saturate by 20 % at 40: the chip fitted to them does, and its line has the slope that they have."""
    curve = published.observed * (1 - 0.2 * np.clip(published.observed / 40, -1, 1) ** 2)
    measured = Measurement(published.expected, np.rint(curve), TILE)
    die = fit_die(measured)
    assert die.cubic < -SIGNIFICANT * die.cubic_scatter
    assert not fit_die(published).is_bent
    chip, _ = fit_chip(ENVISE, measured, "a test")
    assert crossbar_of(chip).adc.bend.cubic < 0
    again = regenerate(override(chip, {"die.seed": 5}), 8.08, VECTORS, COLUMNS, jax.random.key(4), seed=4)
    assert again.line[0] == pytest.approx(measured.line[0], abs=2**0.5 * 4 * 0.037 / COLUMNS**0.5)
    tolerance = 2**0.5 * 4 * 1.25 * 0.28 / COLUMNS**0.5  # of a median of residuals, which the bend has not made noise
    assert np.median(again.column_residual) == pytest.approx(np.median(measured.column_residual), rel=tolerance)
    regained = fit_die(again)
    in_codes = [each.cubic / each.largest_expected**2 for each in (die, regained)]
    scatter = [each.cubic_scatter / each.largest_expected**2 for each in (die, regained)]
    assert in_codes[1] == pytest.approx(in_codes[0], abs=4 * np.hypot(scatter[0], scatter[1]))


def test_effective_bits_fall_by_one_for_twice_the_noise():
    rng = np.random.default_rng(0)
    expected = rng.normal(0, 100, (2000, 64))
    bits = [fit_die(Measurement(expected, expected + rng.normal(0, s, (2000, 64)), 64)).enob(1023) for s in (4, 8)]
    assert bits[0] - bits[1] == pytest.approx(1.0, abs=0.02)


def test_the_bend_of_the_inputs_is_the_modulators(sweeps):
    """`sin(1.2 u) / 1.2` less its least-squares line: what the sweep leaves, common to all inputs."""
    fitted = fit_inputs(sweeps[0])
    x = sweeps[0].codes
    curve = 511.5 * np.sin(1.2 * x / 511.5) / 1.2
    slope = (x @ curve) / (x @ x)
    bend = (curve - slope * x) / slope
    noise = 0.87 / (0.446 * slope) / 64**0.5  # input steps, of a mean over 64 inputs
    np.testing.assert_allclose(fitted.inl, bend, atol=4.5 * noise)
    assert fitted.inl_max == pytest.approx(np.abs(bend).max(), abs=4.5 * noise)
    np.testing.assert_allclose(fitted.bend, bend, atol=4.5 * noise)  # no seventh power to speak of
    assert fitted.polynomial[3] < 0  # it saturates
    assert fitted.noise == pytest.approx(0.87, rel=4 * (35 / 18 / 2 / 126) ** 0.5 / 64**0.5 * 1.25)
    assert fitted.slope_spread / fitted.slope_mean == pytest.approx(0.014 / 0.446, rel=4 / 128**0.5)


def test_a_straight_input_has_no_nonlinearity_beyond_its_noise():
    rng = np.random.default_rng(5)
    codes = np.linspace(-511, 511, 256)
    fitted = fit_inputs(InputSweep(codes, 0.5 * codes[:, None] + rng.normal(0, 1, (256, 100))))
    assert fitted.inl_rms == pytest.approx(1 / 0.5 / 10, rel=4 / 512**0.5)  # noise of a mean over 100 inputs
    assert fitted.dnl_rms < 0.3 * fitted.inl_rms / 4  # codes are 4 apart; noise is taken off


def test_steps_of_unequal_height_are_found():
    """A converter whose steps vary by 30 %: the differential nonlinearity of its own draw, under noise."""
    rng = np.random.default_rng(6)
    codes = np.arange(-127.0, 128.0)
    height = np.cumsum(1 + 0.3 * rng.normal(size=255))
    fitted = fit_inputs(InputSweep(codes, height[:, None] + rng.normal(0, 1, (255, 400))))
    assert fitted.dnl_rms == pytest.approx(np.std(np.diff(height)) / np.polyfit(codes, height, 1)[0], rel=0.02)


def test_the_gains_of_the_weight_cells_are_found(sweeps):
    _, sweep, cells = sweeps
    fitted = fit_weights(sweep)
    scatter = 15 / np.sum(sweep.codes**2) ** 0.5  # of one cell's slope
    np.testing.assert_allclose(fitted.slope, cells, atol=5.5 * scatter)  # the largest of 4,096
    assert fitted.slope_mean == pytest.approx(cells.mean(), abs=4 * scatter / 64)
    assert fitted.variation == pytest.approx(cells.std() / cells.mean(), rel=0.001)
    assert fitted.column_share == pytest.approx(0.25**2 / (0.25**2 + 0.05**2), abs=4 * 0.04 * (2 / 127) ** 0.5)
    assert fitted.dead_share == 0
    assert fitted.inl_median == pytest.approx(15 / np.median(cells), rel=0.02)  # all of it noise


def test_gains_without_columns_have_no_column_share():
    """One-way analysis of variance of independent cells: the share is 0 to √(2/columns)/rows, cut off below 0."""
    values = np.random.default_rng(0).normal(size=(32, 128))
    assert column_share(values) < 4 * (2 / 127) ** 0.5 / 32


def test_a_cell_that_does_not_answer_is_dead_and_nothing_else(sweeps):
    sweep = sweeps[1]
    broken = sweep.readings.copy()
    broken[:, 3, 5] = 0.0
    fitted, whole = fit_weights(WeightSweep(sweep.codes, broken)), fit_weights(sweep)
    assert fitted.dead_share == 1 / 4096
    assert np.isnan(fitted.slope[3, 5])
    assert fitted.variation == pytest.approx(whole.variation, rel=1e-3)
    assert fitted.column_share == pytest.approx(whole.column_share, rel=1e-3)


def test_the_command_writes_a_chip_a_figure_and_a_record(published, sweeps, tmp_path):
    inputs, weights, _ = sweeps
    np.savez(
        tmp_path / "codes.npz",
        expected=published.expected,
        observed=published.observed,
        input_codes=inputs.codes,
        input_readings=inputs.readings,
        weight_codes=weights.codes,
        weight_readings=weights.readings,
    )
    arguments = ["fit", "codes.npz", "-o", "chip.toml", "--json", "fit.json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert max(map(len, result.output.splitlines())) <= 80
    chip, die = load_chip("chip.toml"), fit_die(published)
    assert (chip.name, chip.title) == ("chip", "Lightmatter Envise (Nature 2025), fit to codes.npz")
    assert describe(chip)["tile"]["die"]["gain_mean"] > die.gain_mean  # saturating inputs take the rest away again
    assert dict(chip.sources)["tile.die.gain_mean"].text == "fit to codes.npz"
    figures = {figure.quantity: figure.value for figure in chip.quoted if figure.source == "fit to codes.npz"}
    assert figures["variation of the cells' gains"] == pytest.approx(0.255, rel=0.2)
    assert figures["effective bits at full scale"] == pytest.approx(die.enob(1023))
    assert (tmp_path / "chip.png").stat().st_size > 10_000
    record = json.loads((tmp_path / "fit.json").read_text())
    assert len(record["die"]["gain"]) == COLUMNS
    assert record["inputs"]["inl_rms"] == pytest.approx(fit_inputs(inputs).inl_rms)
    assert record["weights"]["column_share"] == pytest.approx(fit_weights(weights).column_share)


@pytest.fixture(scope="module")
def mild(sweeps):
    """Sweeps as the chip computes: inputs bent by 1 %, cells 10 % apart of which columns have nothing in common."""
    rng = np.random.default_rng(8)
    x, steps = sweeps[0].codes, sweeps[1].codes
    curve = x + 0.02 * 511.5 * np.sin(np.pi * x / 511.5)
    cells = 15 * (1 + 0.1 * rng.normal(size=(32, 128)))
    return InputSweep(x, 0.4 * curve[:, None] + rng.normal(0, 0.5, (128, 16))), WeightSweep(
        steps, cells * steps[:, None, None]
    )


def test_what_sweeps_explain_is_taken_off_the_noise(published, mild):
    """The chip has the sweeps' errors and less noise, and its columns scatter as before: two draws of 512 columns."""
    chip, fit = fit_chip(ENVISE, published, "a test", *mild)
    tile = crossbar_of(chip)
    assert fit.sweeps_in_settings
    assert tile.cell_errors.gain_spread == pytest.approx(0.1, rel=4 / (2 * 4096) ** 0.5)
    u = np.linspace(-1, 1, 41, dtype=np.float32)
    drawn = u + 0.02 * np.sin(np.pi * u)
    kept = u + np.asarray(tile.input_bend.added(jnp.asarray(u)))
    kept *= (drawn @ kept) / (kept @ kept)  # its slope is the columns' gain
    # a fifth power is within 3 % of half a sine's bend; noise of 0.5 codes in 0.4 codes a step, 16 inputs: 6e-4 of 511
    np.testing.assert_allclose(kept, drawn, atol=0.03 * 0.02 + 4 * 6e-4)
    assert tile.input_dnl_rms < 0.1 * 0.02 / 2**0.5 * (3 * 511) ** 0.5
    assert tile.adc.noise_rms < fit.die.noise_median / 1023
    again = regenerate(override(chip, {"die.seed": 9}), 8.08, VECTORS, COLUMNS, jax.random.key(2), seed=2)
    tolerance = 2**0.5 * 4 * 1.25 * 0.28 / COLUMNS**0.5
    assert np.median(again.column_residual) == pytest.approx(1.62, rel=tolerance)
    assert again.line[0] == pytest.approx(fit.die.gain_mean, abs=2**0.5 * 4 * 0.037 / COLUMNS**0.5)


def test_sweeps_of_an_uncorrected_chip_stay_out_of_its_settings(published, mild):
    """Cells half as far apart again as they are large scatter products by 3.4 codes, more than the pairs' 1.62."""
    steps = mild[1].codes
    cells = 15 * (1 + 0.5 * np.random.default_rng(9).normal(size=(32, 128)))
    wild = WeightSweep(steps, cells * steps[:, None, None])
    chip, fit = fit_chip(ENVISE, published, "a test", weight_sweep=wild)
    assert not fit.sweeps_in_settings
    assert crossbar_of(chip).cell_errors.are_off
    assert crossbar_of(chip).adc.noise_rms == pytest.approx(fit.die.noise_median / 1023)


def write_csv(path, **columns):
    lines = zip(*[np.ravel(each).tolist() for each in columns.values()], strict=True)
    text = "\n".join(",".join(f"{value:.17g}" for value in line) for line in lines)
    path.write_text(",".join(columns) + "\n" + text + "\n")
    return path


def test_a_csv_holds_the_same_measurement_in_any_order(tmp_path):
    rng = np.random.default_rng(0)
    expected, observed = rng.normal(0, 9, (20, 3)), rng.normal(0, 9, (20, 3))
    vector, column = np.mgrid[:20, :3]
    shuffled = rng.permutation(60)
    file = {"vector": vector, "column": column, "expected": expected, "observed": observed}
    plain = {name: values.ravel() for name, values in file.items() if name != "vector"}
    mixed = {name: values.ravel()[shuffled] for name, values in file.items()}
    for columns in (plain, mixed):
        read = read_measurement(write_csv(tmp_path / "m.csv", **columns), 3)
        np.testing.assert_array_equal(read.expected, expected)
        np.testing.assert_array_equal(read.observed, observed)


def test_sweeps_as_csv_are_those_of_the_arrays(tmp_path):
    rng = np.random.default_rng(0)
    shuffled = rng.permutation(9 * 2 * 3)
    readings = rng.normal(size=(9, 2, 3))
    code, row, column = (each.ravel()[shuffled] for each in np.mgrid[:9, :2, :3])
    path = write_csv(tmp_path / "w.csv", row=row, column=column, code=code, reading=readings.ravel()[shuffled])
    np.testing.assert_array_equal(read_weight_sweep(path).readings, readings)
    path = write_csv(tmp_path / "i.csv", input=3 * row + column, code=code, reading=readings.ravel()[shuffled])
    np.testing.assert_array_equal(read_input_sweep(path).readings, readings.reshape(9, 6))


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        (np.zeros((20, 3)), "one expected value"),
        (np.ones((4, 3)) * np.arange(4)[:, None], "too few"),
        (np.full((20, 3), np.nan), "NaN"),
        (np.arange(20.0), "must be equal"),
        (np.arange(60.0).reshape(20, 3), "without any noise"),
    ],
)
def test_a_measurement_that_tells_nothing_is_refused(expected, message):
    with pytest.raises(PhotonsimError, match=message):
        fit_die(Measurement(expected, expected, 3))


def test_a_chip_without_a_crossbar_has_no_columns_to_fit():
    with pytest.raises(PhotonsimError, match="has no crossbar with an ADC of known bits"):
        fit_chip(load_chip("lightening-transformer-b-4bit"), Measurement(np.zeros((9, 2)), np.zeros((9, 2))), "a test")


def test_volts_are_not_codes():
    expected, observed = np.random.default_rng(0).normal(0, 4000, (2, 20, 3))
    with pytest.raises(PhotonsimError, match="the ADC of lightmatter-envise-2025 ends at ±1023"):
        fit_chip(ENVISE, Measurement(expected, observed, 3), "a test")


CODES = np.arange(10.0)


@pytest.mark.parametrize(
    ("codes", "readings", "message"),
    [
        (CODES, np.ones((9, 3)), r"needs codes \(steps,\) and readings \(steps, inputs\)"),
        (CODES[:4], np.ones((4, 3)), "too small"),
        (CODES, np.full((10, 3), np.inf), "NaN or an infinity"),
        (CODES[::-1], np.ones((10, 3)), "must rise"),
    ],
)
def test_a_sweep_that_tells_nothing_is_refused(codes, readings, message):
    with pytest.raises(PhotonsimError, match=message):
        InputSweep(codes, readings)


def test_what_does_not_answer_is_no_sweep():
    with pytest.raises(PhotonsimError, match="hardly answers"):
        fit_inputs(InputSweep(CODES, CODES[:, None] * np.array([1.0, 1.0, 0.0])))
    with pytest.raises(PhotonsimError, match="do not answer"):
        fit_weights(WeightSweep(CODES, np.zeros((10, 2, 2))))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("column,expected\n1,2\n", "no column observed"),
        ("", "no column column and no expected"),
        ("column,expected,observed\n1,2,x\n", "not a number"),
        ("column,expected,observed\n1,2\n", "names 3 columns, the lines have 2"),
        ("column,expected,observed\n1,2,3\n1,2,3\n2,2,3\n", "from 1 to 2 lines"),
    ],
)
def test_a_csv_that_is_no_measurement_says_what_is_wrong(tmp_path, text, message):
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(PhotonsimError, match=message):
        read_measurement(tmp_path / "m.csv", 3)


def test_an_incomplete_sweep_is_refused(tmp_path):
    path = write_csv(tmp_path / "i.csv", input=[0, 0, 1], code=[1, 2, 1], reading=[1, 2, 3])
    with pytest.raises(PhotonsimError, match=r"3 lines are no full grid of 2 × 2 \(code × input\)"):
        read_input_sweep(path)


def test_a_file_that_is_no_measurement_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    with pytest.raises(PhotonsimError, match=r"holds no expected and no observed: .* found weights"):
        read_measurement(tmp_path / "other.npz", 128)
    np.savez(tmp_path / "words.npz", expected=["a"], observed=["b"])
    with pytest.raises(PhotonsimError, match="must be arrays of numbers"):
        read_measurement(tmp_path / "words.npz", 128)
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(PhotonsimError, match=r"is not an \.npz file"):
        read_measurement(tmp_path / "text.npz", 128)
    for missing in ("missing.npz", "missing.csv"):
        with pytest.raises(PhotonsimError, match="cannot be read"):
            read_measurement(tmp_path / missing, 128)
    with pytest.raises(PhotonsimError, match=r"is an \.npz or a \.csv file"):
        read_measurement(tmp_path / "codes.mat", 128)


@pytest.mark.parametrize("options", [["-o", "chip.json"], ["-o", "chip.toml", "--plot", "figure.txt"]])
def test_a_file_of_an_unknown_kind_is_refused_before_anything_is_read(options):
    result = CliRunner().invoke(app, ["fit", "missing.npz", *options])
    assert isinstance(result.exception, PhotonsimError)
    assert "must end in" in str(result.exception)
