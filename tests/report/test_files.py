"""Files: written whole or not at all."""

import json
import math

import pytest

from photonsim.errors import PhotonsimError
from photonsim.report import check_writable, save_run_figure, write_json
from photonsim.report.files import write_whole

SIGNATURES = {"png": b"\x89PNG\r\n\x1a\n", "pdf": b"%PDF-", "svg": b"<?xml"}


@pytest.mark.parametrize("kind", SIGNATURES)
def test_the_figure_is_a_whole_file_and_the_only_one(result, tmp_path, kind):
    save_run_figure(result, tmp_path / f"run.{kind}")
    content = (tmp_path / f"run.{kind}").read_bytes()
    assert content.startswith(SIGNATURES[kind])
    if kind == "png":
        assert content.endswith(b"IEND\xaeB`\x82")
    assert [path.name for path in tmp_path.iterdir()] == [f"run.{kind}"]


def test_the_record_is_read_back_as_it_was(result, tmp_path):
    write_json(result.as_dict(), tmp_path / "run.json")
    read = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert read == json.loads(json.dumps(result.as_dict()))
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_record_that_json_cannot_hold_leaves_the_old_file(tmp_path):
    path = tmp_path / "run.json"
    path.write_text("old")
    with pytest.raises(ValueError, match="Out of range float"):
        write_json({"perplexity": math.nan}, path)
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["run.json"]


def test_a_failure_in_the_middle_leaves_the_old_file(tmp_path):
    path = tmp_path / "run.bin"
    path.write_text("old")

    def half(temporary):
        temporary.write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(PhotonsimError, match=r"run\.bin cannot be written: No space left on device"):
        write_whole(path, half)
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["run.bin"]


def test_places_that_cannot_be_written_are_refused_beforehand(tmp_path):
    with pytest.raises(PhotonsimError, match=r"the folder .*absent does not exist"):
        check_writable(tmp_path / "absent" / "run.json")
    with pytest.raises(PhotonsimError, match="is a folder"):
        check_writable(tmp_path)


def test_a_write_protected_place_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anywhere, so no mode bits would do
    with pytest.raises(PhotonsimError, match="permission denied"):
        check_writable(tmp_path / "run.json")
