"""Chips as TOML: read, written, overridden, found by name.

A number is a bare value, or a table that says where it comes from:

    clock_hz = 0.5e9
    clock_hz = { value = 0.5e9, source = "Nature 640:368 (2025), supplementary information" }
    gain     = { value = 4.0, source = "no figure published", assumed = true, range = [1, 16] }

`"none"` stands for an ideal converter. Tables follow the classes: `[tile]`, `[tile.laser]`, `[tile.adc]`, `[memory]` …
Where there are several of a kind, a table says which, and a word is the table of a kind that needs no more:

    [tile.modulator]                       [tile.stages.row_tree]          encoding = "offset"
    kind = "mach-zehnder"                  kind = "splitter-tree"          encoding = { kind = "coherent" }
"""

import dataclasses
import difflib
import importlib.resources
import operator
import os
import tomllib
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np
import tomlkit
from jax import numpy as jnp
from jaxtyping import Array

from photonsim.chip.chip import Chip, Quoted, Source
from photonsim.converters import Adc, Dac
from photonsim.devices import MODULATORS, STAGES, AbstractModulator, AbstractPassive, Loss
from photonsim.errors import PhotonsimError, nearest
from photonsim.tiles import AbstractTile
from photonsim.tiles.correction import CORRECTIONS, AbstractCorrection
from photonsim.tiles.encodings import ENCODINGS, AbstractEncoding
from photonsim.tiles.kinds import TILES

# What a table chooses among by its `kind`, and the kind of one that does not say
FAMILIES: dict[type[eqx.Module], Mapping[str, type[eqx.Module]]] = {
    AbstractTile: TILES,
    AbstractModulator: MODULATORS,
    AbstractEncoding: ENCODINGS,
    AbstractCorrection: CORRECTIONS,
    AbstractPassive: STAGES,
}
DEFAULT_KINDS: dict[type[eqx.Module], str] = {AbstractTile: "crossbar", AbstractModulator: "ideal"}
_SEPARATE = ("name", "sources", "quoted")  # fields of a chip that are not settings


def preset_names() -> list[str]:
    """Names of the chips that ship with photonsim."""
    return sorted(entry.name.removesuffix(".toml") for entry in _presets().iterdir() if entry.name.endswith(".toml"))


def load_chip(name_or_path: str | os.PathLike[str]) -> Chip:
    """A preset by its name, or a chip from a TOML file by its path (anything that ends in `.toml`)."""
    text = os.fspath(name_or_path)
    if text.endswith(".toml"):
        return _parse(_read(Path(text)), where=text, name=Path(text).stem)
    if text not in preset_names():
        raise PhotonsimError(
            f"Chip {text!r} is unknown. {nearest(text, preset_names())} A file's name must end in .toml."
        )
    return _parse(_presets().joinpath(f"{text}.toml").read_text(), where=f"preset {text}", name=text)


def save_chip(chip: Chip, path: str | os.PathLike[str]) -> None:
    """Write a chip as a TOML file that `load_chip` reads back to an equal chip."""
    sources = dict(chip.sources)
    document = tomlkit.document()
    document.add("name", tomlkit.item(chip.name))
    _fill(document, _settings(chip), sources, prefix="")
    if chip.quoted:
        entries = tomlkit.aot()
        for figure in chip.quoted:
            entries.append(tomlkit.item(dataclasses.asdict(figure)))
        document.add("quoted", entries)
    Path(path).write_text(tomlkit.dumps(document))


def describe(chip: Chip) -> dict[str, Any]:
    """The complete chip as plain nested data (JSON-ready): settings, with sources and quoted figures beside them."""
    return {
        "name": chip.name,
        **_settings(chip),
        "sources": {path: dataclasses.asdict(source) for path, source in chip.sources},
        "quoted": [dataclasses.asdict(figure) for figure in chip.quoted],
    }


def override(chip: Chip, assignments: Mapping[str, Any]) -> Chip:
    """The chip with some settings changed, named by any unambiguous end of their dotted path: `{"adc.bits": 8}`.

    An overridden number loses its source: it is now the user's. Bits are not free: where those of a converter change
    and its energy is not given too, the energy follows by the converter's law (`energy_at`), and its source says so.
    """
    settings = _settings(chip)
    sources = dict(chip.sources)
    given = {_resolve(name, settings): value for name, value in assignments.items()}
    for path, value in given.items():
        *tables, leaf = path.split(".")
        table = settings
        for key in tables:
            table = table[key]
        table[leaf] = value
        sources = {name: source for name, source in sources.items() if not f"{name}.".startswith(f"{path}.")}
    changed = _build(Chip, settings | {"name": chip.name}, prefix="", where="the overridden chip", extra={})
    changed = dataclasses.replace(changed, sources=tuple(sources.items()), quoted=chip.quoted)
    for path in given:
        owner, _, leaf = path.rpartition(".")
        if leaf == "bits" and f"{owner}.energy_j" not in given:
            changed = _reprice(chip, changed, owner)
    return changed


def _reprice(before: Chip, after: Chip, path: str) -> Chip:
    """`after` with the energy of its converter at `path` as the law of the one in `before` gives it."""
    find = operator.attrgetter(path)
    old, new = find(before), find(after)
    if not isinstance(old, Adc | Dac) or None in (old.bits, new.bits) or old.bits == new.bits:
        return after
    sources = dict(after.sources)
    origin = sources.get(f"{path}.energy_j")
    law = "2^bits, Walden; 4^bits where thermal noise decides" if isinstance(old, Adc) else "2^bits / bits"
    text = f"{origin.text if origin else 'no source given'}; scaled from {old.bits} to {new.bits} bits by {law}"
    sources[f"{path}.energy_j"] = Source(text, assumed=True)
    repriced = eqx.tree_at(lambda chip: find(chip).energy_j, after, old.energy_at(new.bits))
    return dataclasses.replace(repriced, sources=tuple(sources.items()))


def parse_assignment(text: str) -> tuple[str, Any]:
    """`adc.bits=8` as a name and a value; the value is read as TOML would, or as a word."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise PhotonsimError(f"--set {text!r} is not NAME=VALUE, such as adc.bits=8 or adc.bits=none.")
    try:
        return name.strip(), tomllib.loads(f"value = {value.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value.strip()


def _presets():
    return importlib.resources.files("photonsim.chip").joinpath("presets")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise PhotonsimError(f"Chip file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise PhotonsimError(f"Chip file {path} is not UTF-8 text.") from None


def _parse(text: str, where: str, name: str) -> Chip:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PhotonsimError(f"{where} is not valid TOML: {error}.") from None
    quoted = tuple(_quoted(entry, where) for entry in table.pop("quoted", []))
    settings, sources = _strip_sources(table, where)
    settings.setdefault("name", name)
    settings.setdefault("title", settings["name"])
    settings.setdefault("status", "custom")
    return _build(Chip, settings, prefix="", where=where, extra={"sources": tuple(sources.items()), "quoted": quoted})


def _quoted(entry: Mapping[str, Any], where: str) -> Quoted:
    names = [field.name for field in dataclasses.fields(Quoted)]
    if sorted(entry) != sorted(names):
        raise PhotonsimError(f"{where}: a [[quoted]] figure has the keys {', '.join(names)}; found {', '.join(entry)}.")
    return Quoted(**entry)


def _strip_sources(table: Mapping[str, Any], where: str, prefix: str = "") -> tuple[dict[str, Any], dict[str, Source]]:
    """Separate `{ value, source, … }` entries into plain settings and their sources."""
    settings: dict[str, Any] = {}
    sources: dict[str, Source] = {}
    for key, entry in table.items():
        path = f"{prefix}{key}"
        if isinstance(entry, Mapping) and "value" in entry:
            settings[key] = entry["value"]
            sources[path] = _source(entry, path, where)
        elif isinstance(entry, Mapping):
            settings[key], inner = _strip_sources(entry, where, f"{path}.")
            sources |= inner
        else:
            settings[key] = entry
    return settings, sources


def _source(entry: Mapping[str, Any], path: str, where: str) -> Source:
    unknown = set(entry) - {"value", "source", "assumed", "range"}
    low, high = entry.get("range", (None, None))
    if unknown or "source" not in entry:
        raise PhotonsimError(f"{where}: {path} needs the keys value and source, and may have assumed and range.")
    return Source(entry["source"], bool(entry.get("assumed", False)), low, high)


def _build(cls: type, settings: Mapping[str, Any], prefix: str, where: str, extra: Mapping[str, Any]) -> Any:
    """Construct a description class from nested settings, naming every key that is missing or does not exist."""
    settings = dict(settings)
    if (family := _family(cls)) is not None:
        cls = _kind(cls, family, settings, prefix, where)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.name not in extra}
    known = [name for name in fields if name not in ("sources", "quoted")]
    for key in settings:
        if key not in known:
            raise PhotonsimError(f"{where}: {prefix}{key} does not exist. {nearest(key, known)}")
    types = typing.get_type_hints(cls)
    values = dict(extra)
    for name in known:
        path = f"{prefix}{name}"
        if name not in settings:
            if fields[name].default is fields[name].default_factory is dataclasses.MISSING:
                raise PhotonsimError(f"{where}: {path} is missing.")
        elif typing.get_origin(types[name]) is dict:
            _, kind = typing.get_args(types[name])
            values[name] = {key: _part(kind, entry, path, key, where) for key, entry in settings[name].items()}
        elif _is_table(types[name]):
            values[name] = _table(types[name], settings[name], path, where)
        else:
            values[name] = _leaf(settings[name], types[name], path, where)
    try:
        return cls(**values)
    except PhotonsimError as error:
        raise PhotonsimError(f"{where}: {error}") from None


def _family(cls: type) -> type[eqx.Module] | None:
    """The family that a class belongs to, or `None`."""
    return next((family for family in FAMILIES if issubclass(cls, family)), None)


def _kind(cls: type, family: type[eqx.Module], settings: dict[str, Any], prefix: str, where: str) -> type[eqx.Module]:
    """The class that a table's `kind`, which is taken out of it, stands for."""
    known = {word: each for word, each in FAMILIES[family].items() if issubclass(each, cls)}
    default = DEFAULT_KINDS.get(family) if len(known) > 1 else next(iter(known))
    word = settings.pop("kind", default)
    if word not in known:
        raise PhotonsimError(f"{where}: {prefix}kind = {word!r} is unknown. {nearest(str(word), known)}")
    return known[word]


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, eqx.Module)


def _table(kind: type, entry: Any, path: str, where: str, extra: Mapping[str, Any] | None = None) -> Any:
    """A table, or the word that stands for one."""
    if isinstance(entry, str) and _family(kind) is not None:
        entry = {"kind": entry}
    if not isinstance(entry, Mapping):
        raise PhotonsimError(f"{where}: {path} is a table, written as [{path}].")
    return _build(kind, entry, f"{path}.", where, extra or {})


def _part(kind: type, entry: Any, path: str, key: str, where: str) -> Any:
    """One of several named tables; where its class has a name, the key is it."""
    has_name = isinstance(entry, Mapping) and entry.get("kind") == "loss"
    return _table(kind, entry, f"{path}.{key}", where, {"name": key} if has_name else {})


def _leaf(value: Any, kind: Any, path: str, where: str) -> Any:
    """One setting, as the type its field declares; the word "none" is the ideal converter."""
    if getattr(kind, "array_type", None) is not None:
        return _array(value, path, where)
    if kind == (int | None):
        value = None if value == "none" else value
    elif kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    accepts = {float: (float,), int: (int,), bool: (bool,), str: (str,), int | None: (int, type(None))}[kind]
    wrong_bool = isinstance(value, bool) and kind is not bool
    if not isinstance(value, accepts) or wrong_bool:
        expected = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
        wanted = expected.get(kind, 'a whole number or "none"')
        raise PhotonsimError(f"{where}: {path} = {value!r} must be {wanted}.")
    return value


def _array(value: Any, path: str, where: str) -> Array:
    """A table of numbers, such as one for each core and column."""
    try:
        return jnp.asarray(value, jnp.float32)
    except (TypeError, ValueError):
        raise PhotonsimError(f"{where}: {path} must be rows of numbers of equal length.") from None


def _settings(module: eqx.Module) -> dict[str, Any]:
    """A description as nested plain data; the inverse of `_build`."""
    out: dict[str, Any] = {}
    if (family := _family(type(module))) is not None:
        out["kind"] = next(kind for kind, cls in FAMILIES[family].items() if type(module) is cls)
    for field in dataclasses.fields(module):
        apart = _SEPARATE if isinstance(module, Chip) else ("name",) if isinstance(module, Loss) else ()
        if field.name not in apart:
            out[field.name] = _setting(getattr(module, field.name))
    return out


def _setting(value: Any) -> Any:
    """A value of a description as plain data; of a kind without settings, its word."""
    if isinstance(value, eqx.Module):
        settings = _settings(value)
        return settings["kind"] if set(settings) == {"kind"} else settings
    if isinstance(value, dict):
        return {key: _setting(entry) for key, entry in value.items()}
    if value is None:
        return "none"
    if isinstance(value, bool | int | str):
        return value
    return np.asarray(value).tolist() if np.ndim(value) else float(value)


def _paths(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            if prefix and ("kind" in value or all(isinstance(entry, Mapping) for entry in value.values())):
                yield f"{prefix}{key}"  # may be exchanged as a whole
            yield from _paths(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _resolve(name: str, settings: Mapping[str, Any]) -> str:
    """The one dotted path that ends in `name`."""
    paths = list(_paths(settings))
    if name in paths:
        return name
    found = [path for path in paths if path.endswith(f".{name}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise PhotonsimError(f"The setting {name!r} is ambiguous: {', '.join(found)}. Write more of its path.")
    close = difflib.get_close_matches(name, paths, n=3, cutoff=0.5)
    hint = f"Did you mean {', '.join(close)}?" if close else f"Settings: {', '.join(paths)}."
    raise PhotonsimError(f"The setting {name!r} does not exist. {hint}")


def _fill(table: Any, settings: Mapping[str, Any], sources: Mapping[str, Source], prefix: str) -> None:
    """Write settings into a TOML table, values with a source as inline tables, sub-tables last."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            continue
        source = sources.get(f"{prefix}{key}")
        table.add(key, tomlkit.item(value) if source is None else _inline(value, source))
    for key, value in settings.items():
        if isinstance(value, Mapping):
            inner = tomlkit.table()
            _fill(inner, value, sources, f"{prefix}{key}.")
            table.add(key, inner)


def _inline(value: Any, source: Source):
    entry = tomlkit.inline_table()
    entry.update({"value": value, "source": source.text})
    if source.assumed:
        entry["assumed"] = True
    if source.low is not None and source.high is not None:
        entry["range"] = [source.low, source.high]
    return entry
