"""`photonsim cost` and `photonsim sensitivity`: what they print and write, and how they refuse."""

import csv
import json

import jax
import pytest
from jax import numpy as jnp
from typer.testing import CliRunner

from photonsim.chip import load_chip
from photonsim.cli.app import app, main
from photonsim.cli.cost import find_architecture
from photonsim.cost import ForwardPass, energy, forward, latency
from photonsim.cost.bill import SITE_BOUNDARIES
from photonsim.cost.break_even import ARRAY_SIZE, BATCH, CONVERTER_ENERGY, LASER_EFFICIENCY
from photonsim.cost.tariff import COMPONENTS
from photonsim.evaluate.bill import decoder_shape, pass_bill
from photonsim.models import load
from photonsim.swap import simulate

QUICK = ["--chip", "lightening-transformer-b-4bit", "--prompt", "16", "--output", "8"]
KEYS = {"prefill", "decode", "boundaries", "baselines", "break_even", "assumed"}
PHASE = {"j_per_token", "s_per_token", "by_component_j", "bound_by"}


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def priced(tmp_path_factory):
    """The output, the record and the lines of one price."""
    folder = tmp_path_factory.mktemp("cost")
    paths = ["--json", str(folder / "cost.json"), "--csv", str(folder / "cost.csv")]
    printed = invoke("cost", "smollm2-135m", *QUICK, *paths)
    with (folder / "cost.csv").open(encoding="utf-8") as file:
        return printed, json.loads((folder / "cost.json").read_text(encoding="utf-8")), list(csv.DictReader(file))


def test_the_record_holds_what_is_promised(priced):
    record = priced[1]
    assert set(record) >= KEYS
    for phase in ("prefill", "decode"):
        assert set(record[phase]) >= PHASE
    assert list(record["boundaries"]) == list(SITE_BOUNDARIES)
    assert len(record["baselines"]) == 12
    assert [each["setting"].split()[0] for each in record["break_even"]["settings"]] == [
        "laser",
        "converter",
        "rows",
        "batch",
    ]
    assert "host.pue" in record["assumed"]


def test_parts_add_up_to_the_total(priced):
    record = priced[1]
    for phase in ("prefill", "decode"):
        total = record[phase]["j_per_token"]
        assert sum(record[phase]["by_component_j"].values()) == pytest.approx(total, rel=1e-12)
        assert record["boundaries"]["+ memory"]["j_per_token"][phase] == pytest.approx(total, rel=1e-12)
    request = 16 * record["prefill"]["j_per_token"] + 7 * record["decode"]["j_per_token"]
    assert record["answer"]["j_per_request"] == pytest.approx(request, rel=1e-12)


def test_the_lines_of_the_csv_are_the_whole_bill(priced):
    _, record, lines = priced
    for phase, tokens in (("prefill", 16), ("decode", 1)):
        joules = sum(float(line["joules"]) for line in lines if line["phase"] == phase)
        total = record["boundaries"]["+ host and cooling"]["j_per_token"][phase]
        assert joules == pytest.approx(total * tokens, rel=1e-12)
    assert all(line["sources"] and line["price_name"] for line in lines)


def test_it_reads_at_80_columns_and_says_why_decode_waits(priced):
    printed = priced[0]
    assert max(len(line) for line in printed.splitlines() if not line.startswith("wrote")) <= 80
    words = " ".join(printed.split())
    assert "Decode at batch 1 is memory-bound: all weights that a token meets, 0.134 GB, are read from HBM" in words


def test_the_price_from_the_config_is_the_price_of_a_run():
    """Same model, same tokens: the products that a run finds in the program are those of the config."""
    chip, model = load_chip("lightmatter-envise-2025"), load("tiny")
    shape = jax.ShapeDtypeStruct((1, 32), jnp.int32)
    found = simulate(model.apply, chip).coverage(model.params, shape).products
    run = ForwardPass(1, 32)
    bill, seconds = pass_bill(chip, found, decoder_shape(model), run)
    workload = forward(find_architecture("tiny"), run)
    assert energy(chip, workload).by_component_j() == pytest.approx(bill.by_component_j(), rel=1e-12)
    assert latency(chip, workload).seconds == pytest.approx(seconds.seconds, rel=1e-12)


def test_one_command_opens_the_converter_down_to_its_source():
    opened = " ".join(invoke("cost", "gpt2", "--explain", "adc").split())
    source = dict(load_chip("lightmatter-envise-2025").sources)["tile.adc.energy_j"]
    assert "ADC conversions" in opened
    assert "7e-12 J" in opened
    assert source.text in opened


def test_area_and_everything_can_be_opened():
    assert "65536 × 4595 µm² × layout factor 2.14" in invoke("cost", "gpt2", "--explain", "area")
    everything = invoke("cost", "gpt2", "--explain", "all")
    assert everything.count("added up:") == 2 * len((*COMPONENTS, "host", "cooling"))


def test_the_figure_is_drawn_and_the_record_has_area_and_maps(priced, tmp_path):
    record = priced[1]
    assert record["area"]["mm2"] == pytest.approx(60.3006, rel=1e-3)
    assert record["area"]["tops_per_mm2"] == pytest.approx(138.24 / 60.3006, rel=1e-3)
    prices, shapes = record["break_even"]["maps"]
    assert (prices["x_setting"], prices["y_setting"]) == (LASER_EFFICIENCY, CONVERTER_ENERGY)
    assert (shapes["x_setting"], shapes["y_setting"]) == (ARRAY_SIZE, BATCH)
    assert record["decode"]["products"][0]["needs_s"].keys() == {"optics", "converters", "SRAM", "DRAM"}
    invoke("cost", "deit-t", "--chip", "ideal", "--plot", str(tmp_path / "cost.png"))
    assert (tmp_path / "cost.png").stat().st_size > 10_000


def test_the_mapper_says_why():
    words = invoke("cost", "gpt2", "--objective", "energy", "--explain", "mapping")
    assert "q_proj: input-stationary: energy ×" in words
    assert "cells written against" in words


def test_an_encoder_has_no_decode(tmp_path):
    invoke("cost", "deit-t", "--chip", "lightening-transformer-b-4bit", "--json", str(tmp_path / "cost.json"))
    record = json.loads((tmp_path / "cost.json").read_text(encoding="utf-8"))
    assert record["decode"] is None
    assert record["prefill"]["tokens"] == 198


def test_an_assumed_profile_says_so():
    words = " ".join(invoke("cost", "gpt-5-assumed", "--chips", "20", "--explain", "laser").split())
    assert "laser" in words
    printed = " ".join(invoke("cost", "o1-assumed", "--chip", "neurophos-t100", "--output", "2").split())
    assert "o1 (assumed profile)" in printed
    assert "the price is that of the profile" in printed.lower()


def test_sensitivity_ranks_what_saves_most(tmp_path):
    printed = invoke("sensitivity", "smollm2-135m", *QUICK, "--json", str(tmp_path / "ranked.json"))
    ranked = json.loads((tmp_path / "ranked.json").read_text(encoding="utf-8"))
    ratios = [each["j_ratio"] for each in ranked]
    assert ratios == sorted(ratios)
    assert f"halving {ranked[0]['setting']}" in printed or f"doubling {ranked[0]['setting']}" in printed
    assert max(len(line) for line in printed.splitlines() if not line.startswith("wrote")) <= 80


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gpt-2"], "no built-in architecture"),
        (["gpt2", "--chip", "neurophos"], "Did you mean neurophos-t100"),
        (["gpt2", "--prompt", "0"], "prompt = 0"),
        (["gpt2", "--objective", "speed"], "energy, latency"),
        (["gpt2", "--split", "half"], "tensor"),
        (["gpt2", "--explain", "flux"], "no such component"),
        (["gpt2", "--against", "abacus"], "is unknown"),
        (["gpt2", "--set", "adc.energy_j=-1"], "adc.energy_j"),
        (["gpt2", "--set", "tile.rows=0"], "tile.rows = 0"),
        (["gpt2", "--set", "host.pue=0.9"], "cannot use less"),
        (["gpt2", "--weight-bits", "0"], "weight_bits = 0"),
        (["gpt2", "--json", "absent/cost.json"], "does not exist"),
        (["gpt2", "--plot", "cost.gif"], ".png, .pdf or .svg"),
        (["gpt2", "--set", "adc.energy_pj=7"], "Did you mean tile.adc.energy_j"),
        (["gpt2", "--set", "adc.energy_j=7pJ"], "must be a number"),
        (["gpt2", "--set", "floorplan.adc_m2=-1"], "floorplan.adc_m2 = -1 must be at least 0"),
        (["gpt2", "--set", "floorplan.layout_factor=0.5"], "a device needs at least its own area"),
        (["gpt2", "--set", "adc.rate_hz=0"], "adc.rate_hz = 0 must be above 0"),
        (["gpt2", "--set", "adc.lanes=0"], "adc.lanes = 0 must be a whole number"),
        (["llama-3.1-405b", "--chip", "ideal"], "265.1 GB too little: take 3 times as many chips"),
        (["absent.json"], "cannot be read"),
    ],
)
def test_input_that_cannot_be_is_one_sentence_on_the_error_stream(monkeypatch, capfd, arguments, message):
    monkeypatch.setattr("sys.argv", ["photonsim", "cost", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    out, err = capfd.readouterr()
    assert (stopped.value.code, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err


def test_a_config_without_a_field_is_refused_by_the_name_of_the_field(monkeypatch, capfd, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama", "vocab_size": 512, "hidden_size": 64}', "utf-8")
    monkeypatch.setattr("sys.argv", ["photonsim", "cost", str(tmp_path / "config.json")])
    with pytest.raises(SystemExit) as stopped:
        main()
    out, err = capfd.readouterr()
    assert (stopped.value.code, out, err.count("\n")) == (2, "", 1)
    assert "of type 'llama' lacks num_hidden_layers, num_attention_heads" in err
