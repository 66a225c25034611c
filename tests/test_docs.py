"""The documentation is run: every Python snippet of a page, from top to bottom, as a reader would."""

import re
from pathlib import Path

import jax
import pytest

DOCS = Path(__file__).parents[1] / "docs"


def snippets(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_the_page_on_everything_runs_from_top_to_bottom(tmp_path):
    page = DOCS / "all_of_photonsim.md"
    code = snippets(page)
    assert len(code) >= 8
    names: dict[str, object] = {}
    with jax.numpy_dtype_promotion("standard"):
        for snippet in code:
            exec(compile(snippet, str(page), "exec"), names)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "run.png"]


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_a_page_names_only_files_that_exist(page):
    root = DOCS.parent
    for name in re.findall(
        r"`((?:docs|notebooks|examples|photonsim|benchmarks)/[\w/.]+\.\w+)`", page.read_text("utf-8")
    ):
        assert (root / name).exists(), f"{page.name} speaks of {name}"
