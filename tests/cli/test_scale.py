"""`photonsim scale`: what it prints and writes, and how it refuses."""

import csv
import json

import pytest
from typer.testing import CliRunner

from photonsim.cli.app import app, main

QUICK = ["--from", "5e11", "--to", "1e15"]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The output, the record and the lines of one study, and where its figure is."""
    folder = tmp_path_factory.mktemp("scale")
    paths = {name: folder / f"scale.{name}" for name in ("json", "csv", "png")}
    options = ["--json", str(paths["json"]), "--csv", str(paths["csv"]), "--plot", str(paths["png"])]
    result = CliRunner().invoke(app, ["scale", *QUICK, *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    with paths["csv"].open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    return result.stdout, json.loads(paths["json"].read_text(encoding="utf-8")), lines, paths["png"]


def test_it_reads_at_80_columns_and_names_the_claims(written):
    printed = written[0]
    assert max(len(line) for line in printed.splitlines() if not line.startswith("wrote")) <= 80
    assert "about 100" in printed
    assert "> 8,000" in printed
    assert "…" not in printed


def test_the_record_and_the_lines_agree(written):
    (record,), lines = written[1], written[2]
    assert [line["model"] for line in lines] == ["mt-nlg-530b", "1e12", "1e13", "1e14", "1e15"]
    for line, model in zip(lines, record["models"], strict=True):
        assert float(line["weights_stay_j"]) == model["j_per_token"]["weights_stay"]
        assert float(line["width"]) == model["width"]
    assert record["exponents"]["law"] == -1
    assert record["width_for_8000"] > record["models"][-1]["width"]


def test_the_figure_is_written(written):
    assert written[3].stat().st_size > 20_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--chip", "neurophos"], "Did you mean neurophos-t100"),
        (["--chip", "lightening-transformer-b-4bit"], "no crossbars"),
        (["--from", "1e15", "--to", "1e9"], "is larger than the largest"),
        (["--to", "0"], "must be above 0"),
        (["--to", "large"], "neither a number"),
        (["--tokens", "0"], "tokens = 0"),
        (["--aspect", "0"], "aspect = 0"),
        (["--against", "abacus"], "is unknown"),
        (["--plot", "scale.txt"], ".png, .pdf or .svg"),
        (["--csv", "absent/scale.csv"], "does not exist"),
    ],
)
def test_input_that_cannot_be_is_one_sentence_on_the_error_stream(monkeypatch, capfd, arguments, message):
    monkeypatch.setattr("sys.argv", ["photonsim", "scale", *QUICK, *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    out, err = capfd.readouterr()
    assert (stopped.value.code, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err
