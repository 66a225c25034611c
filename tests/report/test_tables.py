"""Tables: 80 columns, plain when piped, and every number of the record in its place."""

import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console

from photonsim.chip import load_chip, preset_names
from photonsim.chip.defaults import DEFAULTS
from photonsim.cost import baselines
from photonsim.cost.baselines import Board
from photonsim.report import chip_tables, chips_table, run_tables
from photonsim.report.quantities import si, significant


def printed(renderable) -> str:
    stream = io.StringIO()
    Console(file=stream, width=80, highlight=False).print(renderable)
    return stream.getvalue()


def assert_plain_and_narrow(text: str) -> None:
    assert "\x1b" not in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_a_run_fits_80_columns_and_says_what_was_found(result):
    text = printed(run_tables(result))
    assert_plain_and_narrow(text)
    record = result.as_dict()
    assert significant(record["digital"]["perplexity"], 4) in text
    assert significant(record["chip_result"]["perplexity"], 4) in text
    assert si(record["energy"]["total_j_per_token"], "J") in text
    for component, joules in record["energy"]["by_component_j_per_token"].items():
        assert any(component in line and si(joules, "J") in line for line in text.splitlines())
    for effect in record["effects"]:
        assert effect["name"] in " ".join(text.split())
    for baseline in record["baseline"]:
        assert si(baseline["total_j_per_token"], "J") in text
    assert f"{100 * record['coverage']['mac_share']:.2f} %" in text


def test_a_warning_is_printed(result):
    silent = dataclasses.replace(result.effects[0], on=True, relative_error=0.0)
    warned = dataclasses.replace(result, effects=(silent, *result.effects[1:]))
    assert f"Warning: {silent.name} is on but changed nothing." in printed(run_tables(warned))


def test_a_run_that_ended_in_nan_still_prints(result):
    broken = dataclasses.replace(result.on_chip, nll=np.full_like(result.on_chip.nll, np.nan))
    text = printed(run_tables(dataclasses.replace(result, on_chip=broken)))
    assert any("perplexity" in line and "nan" in line for line in text.splitlines())


def test_the_list_of_chips_fits_80_columns():
    text = printed(chips_table([load_chip(name) for name in preset_names()]))
    assert_plain_and_narrow(text)
    assert "…" not in text
    for name in preset_names():
        assert any(line.startswith(f"{name} ") for line in text.splitlines())


def test_the_list_of_chips_has_our_effective_bits_beside_those_published():
    text = printed(chips_table([load_chip("lightelligence-pace"), load_chip("ideal")]))
    pace, efficiency = (line.split() for line in text.splitlines() if line.startswith("lightelligence-pace "))
    assert [float(bits) for bits in pace[-2:]] == [pytest.approx(7.61, abs=0.006), 7.61]
    assert efficiency[-3:] == ["2.4", "4.21", "package,"]  # with everything, beside the first quoted, in its own words
    (ideal,) = (line.split() for line in text.splitlines() if line.startswith("ideal "))
    assert ideal[-2:] == ["∞", "–"]


def test_digital_hardware_stands_below_the_chips_and_marks_an_assumed_power():
    lines = printed(chips_table([load_chip("ideal")])).splitlines()
    for name, baseline in baselines().items():
        named = [line.split() for line in lines if line.startswith(f"{name} ")]
        assert len(named) == (0 if name.endswith("-peak") else 1)
        if named:
            assert significant(baseline.tops_per_w_at_peak) in named[0]
            priced = dict(baseline.sources)["board_power_w" if isinstance(baseline, Board) else "mac_j"]
            assert ("?" in named[0]) == priced.assumed


@pytest.mark.parametrize("name", preset_names())
def test_one_chip_in_full_names_every_source(name):
    chip = load_chip(name)
    text = printed(chip_tables(chip))
    assert_plain_and_narrow(text)
    words = "".join(text.split())
    for path, source in chip.sources:
        assert f" {path} " in text
        assert source.text.split()[0] in words
    assumed = [source.assumed for _, source in chip.sources]
    assumed += [True for path in DEFAULTS if f" {path} " in text and path not in dict(chip.sources)]
    assert words.count("?assumed:") == sum(assumed)
