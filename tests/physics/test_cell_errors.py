"""Cells that err: errors of cells average over a column, those of columns do not, a dead cell takes its product."""

import math

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import Chip, load_chip, override
from photonsim.errors import PhotonsimError
from photonsim.evaluate.budget import error_budget
from photonsim.tiles import Crossbar
from photonsim.tiles.cell_errors import CellErrors
from photonsim.tiles.encodings import OffsetProgrammed

ROWS, COLUMNS = 64, 64
IDEAL = override(load_chip("ideal"), {"tile.rows": ROWS, "tile.columns": COLUMNS, "laser.power_w": 1e-3})


def crossbar(chip: Chip) -> Crossbar:
    """The chip's tile, known to be a crossbar."""
    assert isinstance(chip.tile, Crossbar)
    return chip.tile


def operands(m=16, k=ROWS, n=4 * COLUMNS, seed=0):
    rng = np.random.default_rng(seed)
    return (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in [(m, k), (k, n)])


def relative_error(changes, **sizes):
    x, w = operands(**sizes)
    chip = override(IDEAL, changes)
    exact = jnp.matmul(x, w, precision="highest")
    return float(
        jnp.linalg.norm(chip.matmul(x, chip.program(w), jax.random.key(0), "jax") - exact) / jnp.linalg.norm(exact)
    )


def test_cells_that_err_alone_leave_their_own_spread_on_a_product_of_any_length():
    """Var[Σ x w e] = σ² Σ (x w)², and the mean square of a product of zero-mean numbers is Σ (x w)² too."""
    # four blocks of 64 rows: the sum of 256 × 256 squares of cells, correlated over 16 inputs
    assert relative_error({"cell_errors.gain_spread": 0.05}, k=4 * ROWS) == pytest.approx(0.05, rel=0.06)


@pytest.mark.parametrize("correction", ["mean", "column"])
def test_what_cells_of_a_column_have_in_common_a_correction_of_columns_takes_away(correction):
    """Envise's cells vary by 25.5 %, nearly all of it with the column: 0.99 of the variance here."""
    spread, share = 0.255, 0.99
    cells = {"cell_errors.gain_spread": spread, "cell_errors.column_share": share, "die.correction": correction}
    left = spread if correction == "mean" else spread * math.sqrt(1 - share)
    # 256 columns: a standard deviation is known to 1/√512; dividing by a gain of spread 0.25 adds its square
    assert relative_error(cells) == pytest.approx(left, rel=0.25)


def test_the_drawn_cells_have_the_spread_and_the_share_asked_for():
    errors = CellErrors(gain_spread=0.255, column_share=0.9)
    cells = np.asarray(errors.hold(jnp.ones((1, ROWS, COLUMNS)), 1.0, 3, 1, COLUMNS))[0]
    columns = np.asarray(errors.column_gain(3, 1, COLUMNS))
    own, common = 0.255 * math.sqrt(0.1), 0.255 * math.sqrt(0.9)
    assert cells.std() == pytest.approx(own, rel=5 / math.sqrt(2 * cells.size))
    assert columns.std() == pytest.approx(common, rel=5 / math.sqrt(2 * COLUMNS))


def test_a_cell_errs_alike_in_every_matrix_and_every_block_that_lands_on_it():
    chip = override(IDEAL, {"cell_errors.gain_spread": 0.1})
    w = jnp.ones((3 * ROWS, 4 * COLUMNS), jnp.float32)
    levels = np.asarray(chip.program(w).levels)  # tile (t, j) sits in core (4 t + j) mod 4: the blocks of a column
    np.testing.assert_array_equal(levels[0], levels[2])
    assert np.abs(levels[0, :, :COLUMNS] - levels[0, :, COLUMNS : 2 * COLUMNS]).min() > 0
    other = override(chip, {"die.seed": 1})
    assert (np.asarray(other.program(w).levels) != levels).mean() > 0.99


def test_dead_cells_are_dark_and_stuck_cells_open():
    changes = {"cell_errors.dead_share": 0.1, "cell_errors.stuck_share": 0.05, "cell.bits": 7}
    w = jnp.full((ROWS, 4 * COLUMNS), -0.5, jnp.float32).at[0].set(1.0)
    levels = np.asarray(override(IDEAL, changes).program(w).levels)[0, 1:]
    cells = levels.size
    assert (levels == 0).mean() == pytest.approx(0.1, abs=5 * math.sqrt(0.09 / cells))
    assert (levels == 63).mean() == pytest.approx(0.05, abs=5 * math.sqrt(0.0475 / cells))
    assert set(np.unique(levels)) == {-32.0, 0.0, 63.0}


def test_a_dead_cell_is_a_weight_of_minus_one_where_weights_are_raised():
    changes = {"cell_errors.dead_share": 0.1, "tile.encoding": "offset", "cell.bits": 7}
    programmed = override(IDEAL, changes).program(jnp.ones((ROWS, COLUMNS), jnp.float32))
    assert isinstance(programmed, OffsetProgrammed)
    assert set(np.unique(programmed.cells.levels)) == {0.0, 126.0}  # (1 + w) · 63: of −1 and of 1
    assert (np.asarray(programmed.reference.levels) == 0).any()  # reference columns have cells too


def test_engines_agree_on_cells_that_err():
    x, w = operands(n=COLUMNS)
    chip = override(IDEAL, {"cell_errors.gain_spread": 0.1, "cell.bits": 7, "input_dac.bits": 8})
    tiles = chip.compact(chip.program(w))
    answers = [np.asarray(chip.matmul(x, tiles, jax.random.key(0), engine)) for engine in ("jax", "numba")]
    np.testing.assert_allclose(*answers, rtol=1e-4, atol=1e-3)


def test_what_is_on_has_its_line_in_the_error_budget():
    chip = override(IDEAL, {"cell_errors.gain_spread": 0.05, "cell_errors.dead_share": 0.01})
    budget = {each.name: each for each in error_budget(chip)}
    assert budget["weight-cell gain"].relative_error == pytest.approx(0.05, rel=0.1)
    # a dead cell takes its product: √0.01 of the sum
    assert budget["dead and stuck cells"].relative_error == pytest.approx(0.1, rel=0.15)
    assert not budget["shot noise"].on


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell_errors.gain_spread": -0.1}, "gain_spread = -0.1 must be at least 0"),
        ({"cell_errors.column_share": 1.5}, "column_share = 1.5 is above 1"),
        ({"cell_errors.dead_share": -0.5}, "dead_share = -0.5 must be above 0"),
    ],
)
def test_shares_that_cannot_be_are_refused(changes, message):
    with pytest.raises(PhotonsimError, match=message):
        override(IDEAL, changes)
    assert crossbar(IDEAL).cell_errors.are_off
