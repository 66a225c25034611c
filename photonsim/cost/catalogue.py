"""The architectures that ship with photonsim: fields of a `config.json`, with their source, a file for each family.

Published shapes come with the published number of parameters, against which ours are tested. Closed models are
*assumed* profiles, in a file of their own, and say so in their title.
"""

import functools
import importlib.resources
import tomllib
from pathlib import Path
from typing import Any

from photonsim.cost.architecture import Architecture
from photonsim.cost.config import architecture, read_config
from photonsim.errors import PhotonsimError, nearest


@functools.cache
def entries() -> dict[str, dict[str, Any]]:
    """Every built-in entry by its name: title, source, config, published numbers of parameters."""
    folder = importlib.resources.files("photonsim.cost").joinpath("architectures")
    files = sorted((each for each in folder.iterdir() if each.name.endswith(".toml")), key=lambda each: each.name)
    return {name: entry for each in files for name, entry in tomllib.loads(each.read_text(encoding="utf-8")).items()}


def architecture_names() -> list[str]:
    """Names of the architectures that ship with photonsim."""
    return sorted(entries())


def load_architecture(name_or_path: str | Path) -> Architecture:
    """An architecture by its name, from a Hugging Face `config.json`, or from the folder that holds one."""
    text, path = str(name_or_path), Path(name_or_path)
    if text in entries():
        entry = entries()[text]
        about = {"title": entry["title"], "source": entry["source"], "assumed": entry.get("assumed", False)}
        return architecture(entry["config"], text, **about)
    if path.is_dir():
        path = path / "config.json"
    if path.suffix == ".json" or path.exists():
        return read_config(path)
    raise PhotonsimError(
        f"Model {text!r} is no built-in architecture, and no config.json either. {nearest(text, entries())}"
    )
