"""A sweep: the points of single runs, in order, and none computed twice."""

import dataclasses
import importlib
import json

import pytest

from photonsim.chip import Chip, load_chip, override
from photonsim.errors import PhotonsimError
from photonsim.evaluate import Point, pareto_front, run, sweep
from photonsim.evaluate.sweep import point_digest, read_points
from photonsim.models import load, sample_text

MODULE = importlib.import_module("photonsim.evaluate.sweep")  # the package's own name `sweep` is the function


def points_of(chips, path=None, progress=lambda done, total: None):
    return sweep(load("tiny"), chips, sample_text(), tokens=64, context=64, path=path, progress=progress)


def exact(**settings) -> Chip:
    return override(load_chip("ideal"), {key.replace("__", "."): value for key, value in settings.items()})


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep") / "points.jsonl"
    chips = [exact(adc__bits=4), load_chip("ideal")]
    return chips, path, points_of(chips, path)


def test_a_point_is_what_a_run_says(swept):
    chips, _, points = swept
    result = run(load("tiny"), chips[1], sample_text(), tokens=64, context=64).as_dict()
    assert points[1].perplexity == pytest.approx(result["chip_result"]["perplexity"], rel=1e-6)
    assert points[1].digital_perplexity == pytest.approx(result["digital"]["perplexity"], rel=1e-6)
    assert points[1].j_per_token == pytest.approx(result["energy"]["by_boundary_j_per_token"])
    assert points[1].s_per_token == pytest.approx(result["latency"]["s_per_token"])


def test_a_coarse_converter_costs_accuracy(swept):
    _, _, (coarse, fine) = swept
    assert coarse.settings["tile"]["adc"]["bits"] == 4
    assert coarse.perplexity > 1.5 * fine.perplexity
    assert coarse.kl_to_digital > 100 * abs(fine.kl_to_digital)


def test_a_sweep_goes_on_where_it_stopped(swept, monkeypatch, tmp_path):
    chips, path, points = swept
    copy = tmp_path / "points.jsonl"
    first, second = path.read_text().splitlines(keepends=True)
    copy.write_text(first + second[: len(second) // 2])  # killed while it wrote the second point
    computed = []

    def stand_in(digest, model, chip, *rest):
        computed.append(digest)
        return points[1]

    monkeypatch.setattr(MODULE, "_point", stand_in)
    assert points_of(chips, copy) == points
    assert computed == [points[1].digest]
    assert copy.read_text() == path.read_text()


def test_a_finished_sweep_runs_nothing_and_reports_its_progress(swept, monkeypatch):
    chips, path, points = swept
    monkeypatch.setattr(MODULE, "_point", None)
    monkeypatch.setattr(MODULE, "_digital_run", None)
    seen = []
    again = points_of(chips[::-1], path, progress=lambda *at: seen.append(at))
    assert again == points[::-1]
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_the_digest_knows_settings_and_conditions_but_not_words():
    chip = load_chip("ideal")
    same = dataclasses.replace(chip, name="renamed", title="A new title", sources=())
    assert point_digest(chip, {"seed": 0}) == point_digest(same, {"seed": 0})
    assert point_digest(chip, {"seed": 0}) != point_digest(chip, {"seed": 1})
    assert point_digest(chip, {"seed": 0}) != point_digest(exact(adc__bits=8), {"seed": 0})


@pytest.mark.parametrize("content", ["my shopping list", "milk\neggs\n", '{"a": 1}\n', "[1]\n"])
def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "list.txt"
    path.write_text(content)
    with pytest.raises(PhotonsimError, match="give the sweep a file of its own"):
        read_points(path)
    assert path.read_text() == content


def test_an_unwritable_file_is_explained(swept, tmp_path, monkeypatch):
    chips, _, points = swept
    monkeypatch.setattr(MODULE, "_point", lambda *rest: points[0])
    monkeypatch.setattr(MODULE, "_digital_run", lambda *rest: "logits")
    with pytest.raises(PhotonsimError, match=r"absent.points\.jsonl cannot be written: No such file or directory"):
        points_of(chips, tmp_path / "absent" / "points.jsonl")


def test_the_front_holds_what_nothing_beats():
    def point(joules, perplexity):
        return Point(f"{joules}", {}, 1.0, perplexity, 0.0, 1.0, {"+ memory": joules}, {}, 0.0)

    points = [point(3, 10), point(1, 50), point(2, 60), point(4, 10), point(2, 20), point(0.5, float("nan"))]
    assert [p.j_per_token["+ memory"] for p in pareto_front(points)] == [1, 2, 3]
    assert pareto_front(points, cost=lambda p: -p.j_per_token["+ memory"])[0].j_per_token["+ memory"] == 4
    assert json.dumps(dataclasses.asdict(points[0]))
