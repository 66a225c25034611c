"""`photonsim money` and `photonsim reason`: what they print and write, and how they refuse."""

import csv
import json

import pytest
from typer.testing import CliRunner

from photonsim.cli.app import app, main

QUICK = ["smollm2-135m", "--chip", "lightening-transformer-b-4bit"]


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def is_narrow(printed: str) -> bool:
    return max(len(line) for line in printed.splitlines() if not line.startswith("wrote")) <= 80


@pytest.fixture(scope="module")
def bought(tmp_path_factory):
    """The output, the record and the lines of one price."""
    folder = tmp_path_factory.mktemp("money")
    files = ["--json", str(folder / "money.json"), "--csv", str(folder / "money.csv")]
    printed = invoke("money", *QUICK, "--prompt", "64", "--output", "32", "--train", "1e12", *files)
    with (folder / "money.csv").open(encoding="utf-8") as file:
        return printed, json.loads((folder / "money.json").read_text(encoding="utf-8")), list(csv.DictReader(file))


def test_money_reads_at_80_columns_and_says_what_is_assumed(bought):
    assert is_narrow(bought[0])
    assert "are assumed and dated" in " ".join(bought[0].split())
    assert "…" not in bought[0]


def test_the_lines_of_the_csv_are_the_record(bought):
    _, record, lines = bought
    for each in record["serving"]:
        for way in ("in", "out"):
            total = sum(
                float(line["usd"])
                for line in lines
                if line["what"] == f"million tokens {way}" and line["hardware"] == each["name"]
            )
            assert total == pytest.approx(each[f"{way}put_usd_per_million"]["total"], rel=1e-12)
    for run in record["training"]:
        paid = [float(line["usd"]) for line in lines if line["what"] == "training" and line["hardware"] == run["name"]]
        assert sum(paid) == pytest.approx(run["usd"], rel=1e-12)


def test_the_record_holds_every_price_with_its_source(bought):
    prices = bought[1]["prices"]
    assert all(each["source"] for each in prices)
    assert {each["name"] for each in prices} >= {"electricity_usd_per_kwh", "h100-int8.price_usd", "lifetime_years"}


def test_a_price_that_is_changed_changes_the_dollars(tmp_path):
    for usd in ("10000", "20000"):
        invoke("money", *QUICK, "--price", f"photonic-chip.price_usd={usd}", "--json", str(tmp_path / f"{usd}.json"))
    cheap, dear = (
        json.loads((tmp_path / f"{usd}.json").read_text(encoding="utf-8"))["serving"] for usd in ("10000", "20000")
    )
    assert dear[0]["output_usd_per_million"]["hardware"] == pytest.approx(
        2 * cheap[0]["output_usd_per_million"]["hardware"]
    )
    evens = "photonic_chip_breaks_even_at"
    assert dear[1][evens] == pytest.approx(cheap[1][evens])


def test_the_prices_are_listed_without_a_model():
    printed = invoke("money", "--prices")
    assert is_narrow(printed)
    assert "electricity_usd_per_kwh" in printed
    assert "arXiv" in printed


def test_reasoning_is_priced_for_every_number_of_thinking_tokens(tmp_path):
    files = ["--json", str(tmp_path / "reason.json"), "--csv", str(tmp_path / "reason.csv")]
    printed = invoke("reason", *QUICK, "--thinking", "1000", "--thinking", "0", *files)
    assert is_narrow(printed)
    hardware = json.loads((tmp_path / "reason.json").read_text(encoding="utf-8"))["hardware"]
    assert list(hardware) == ["lightening-transformer-b-4bit", "h100-int8", "b200-fp8"]
    assert [each["thinking"] for each in hardware["h100-int8"]] == [0, 1000]
    with (tmp_path / "reason.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["j"]) for line in lines] == [each["j"] for found in hardware.values() for each in found]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["money"], "needs a model"),
        (["money", *QUICK, "--price", "photonic-chip.price_usd=-1"], "must be at least 0"),
        (["money", *QUICK, "--price", "photonic-chip.price_usd=0"], "above 0 to start from"),
        (["money", *QUICK, "--price", "lifetime_years=0"], "lifetime_years = 0"),
        (["money", *QUICK, "--price", "lifetime_years"], "there is no '='"),
        (["money", *QUICK, "--price", "lifetime_years=five"], "'five' is not a number"),
        (["money", *QUICK, "--price", "lifetime=5"], "Did you mean lifetime_years"),
        (["money", *QUICK, "--train", "0"], "tokens = 0"),
        (["money", *QUICK, "--accelerators", "0"], "--accelerators = 0"),
        (["money", *QUICK, "--batch", "0"], "batch = 0"),
        (["money", *QUICK, "--chips", "0"], "chips = 0"),
        (["money", *QUICK, "--against", "abacus"], "is unknown"),
        (["money", *QUICK, "--against", "nvidia-5nm-int4"], "no board that could be bought"),
        (["money", "smollm2-135m", "--chip", "neurophos"], "Did you mean neurophos-t100"),
        (["money", *QUICK, "--json", "absent/money.json"], "does not exist"),
        (["reason", *QUICK, "--thinking", "-5"], "thinking = -5"),
        (["reason", *QUICK, "--answer", "0"], "answer = 0"),
        (["reason", "bert-base"], "writes no tokens"),
    ],
)
def test_input_that_cannot_be_is_one_sentence_on_the_error_stream(monkeypatch, capfd, arguments, message):
    monkeypatch.setattr("sys.argv", ["photonsim", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    out, err = capfd.readouterr()
    assert (stopped.value.code, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err
