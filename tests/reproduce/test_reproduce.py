"""`photonsim reproduce`: every published number holds or says why not, and the command tells the two apart."""

import json
import math

import pytest
from typer.testing import CliRunner

from photonsim.cli import reproduce as command
from photonsim.cli.app import app
from photonsim.errors import PhotonsimError
from photonsim.evaluate.reproduce import EXPLAINED, FAILS, HOLDS, ROWS, Comparison, Row, compare, select


def row(published=2.0, tolerance=0.01, known="", ours=2.0):
    return Row("laws/two", "two", "1", lambda: ours, published, tolerance, "a reason", "a book", known_difference=known)


@pytest.mark.parametrize("name", [row.name for row in ROWS])
def test_a_published_number_is_reproduced_or_its_difference_explained(name):
    (chosen,) = [row for row in ROWS if row.name == name]
    comparison = compare(chosen)
    # an explanation that is no longer needed is as wrong as one that is missing
    assert comparison.verdict == (EXPLAINED if chosen.known_difference else HOLDS), f"{comparison.ours}"


def test_every_row_has_a_name_a_source_and_a_reason_for_its_tolerance():
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert all(row.source and row.reason and row.what and row.published != 0 for row in ROWS)


@pytest.mark.parametrize("ours", [2.03, 1.97, math.nan, math.inf])
def test_a_number_beyond_its_tolerance_fails_unless_explained(ours):
    assert compare(row(ours=ours)).verdict == FAILS
    assert compare(row(ours=ours, known="a typing error in the paper")).verdict == EXPLAINED
    assert "typing error" in compare(row(ours=ours, known="a typing error in the paper")).remark


def test_an_explanation_is_not_given_for_a_row_that_holds():
    comparison = compare(row(ours=2.01, known="a typing error in the paper"))
    assert comparison.verdict == HOLDS
    assert comparison.remark == ""


def test_rows_are_chosen_by_name_short_name_or_section():
    names = [row.name for row in select(ROWS, ["peaks", "exact-bits", "albireo/area"])]
    assert names[0] == "laws/exact-bits"
    assert names[-1] == "albireo/area"
    assert [row.name for row in ROWS if row.name.startswith("peaks/")] == names[1:-1]
    sections = {row.name.split("/")[0] for row in ROWS}
    assert not sections & {row.name.split("/")[1] for row in ROWS}  # a word means one thing
    assert select(ROWS, []) == list(ROWS)


def test_an_unknown_row_is_answered_with_the_nearest():
    with pytest.raises(PhotonsimError, match="Did you mean peaks/envise-peak"):
        select(ROWS, ["peaks/envise-pea"])


def test_the_command_prints_eighty_columns_and_writes_json(tmp_path):
    result = CliRunner().invoke(app, ["reproduce", "peaks", "albireo", "--json", str(tmp_path / "rows.json")])
    assert result.exit_code == 0
    assert max(map(len, result.output.splitlines())) <= 80
    assert "known reason" in result.output
    records = json.loads((tmp_path / "rows.json").read_text())
    assert {"row", "ours", "published", "relative_difference", "source", "verdict"} <= set(records[0])
    assert records[0]["relative_difference"] == pytest.approx(65.536 / 65.5 - 1)
    laser = next(record for record in records if record["row"] == "albireo/laser-aggressive")
    assert laser["verdict"] == EXPLAINED
    assert "0.0713" in laser["note"]


def test_the_command_ends_with_one_where_a_row_fails(monkeypatch):
    monkeypatch.setattr(command, "ROWS", (row(ours=3.0),))
    result = CliRunner().invoke(app, ["reproduce"])
    assert result.exit_code == 1
    assert "1 fail" in result.output


def test_a_relative_difference_keeps_its_sign_below_zero():
    assert Comparison(row(published=-2.0), -1.0).relative_difference == 0.5
