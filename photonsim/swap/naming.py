"""What a matrix product is called.

A weight product is called after the parameter it reads, as the checkpoint spells it, such as
`model.layers.0.mlp.up_proj.weight`. One that reads several fused parameters shows the part in which their names differ,
`layers.0.attn.{k,q,v}.weight`. A product of two activations takes what the nearest weight products above it have in
common, so that both products of an attention layer come out as `model.layers.0.self_attn:product` (QKᵀ) and
`model.layers.0.self_attn:product#1` (AV). A second product of the same name gets `#1`, the next `#2`, in the order of
evaluation.
"""

import collections
import itertools
import re
from collections.abc import Collection, Iterable, Sequence

import jax

MOST_ALTERNATIVES = 6  # names listed between the braces of a fused weight, before "…"
VARIABLE_BOXES = (".value", ".raw_value")  # how flax.nnx ends the path of a parameter


def parameter_path(path: Sequence, unnamed: str) -> str:
    """Dotted path of a parameter in its pytree; `unnamed` for a parameter that is the whole argument."""
    name = jax.tree_util.keystr(tuple(path), simple=True, separator=".") or unnamed
    for box in VARIABLE_BOXES:
        name = name.removesuffix(box)
    return name


def common_start(names: Iterable[Sequence[str]]) -> list[str]:
    """The parts with which all names begin."""
    columns = itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*names, strict=False))
    return [parts[0] for parts in columns]


def weight_name(paths: Collection[str]) -> str:
    """Name of a product by the parameters its programmed operand was made from."""
    if len(paths) == 1:
        return next(iter(paths))
    names = [path.split(".") for path in sorted(paths)]
    start = common_start(names)
    rests = [name[len(start) :] for name in names]
    end = common_start([rest[::-1] for rest in rests])[::-1]
    middles = [".".join(rest[: len(rest) - len(end)]) for rest in rests]
    shown = middles[:MOST_ALTERNATIVES]
    shown += ["…"] if len(middles) > MOST_ALTERNATIVES else []
    return ".".join([*start, "{" + ",".join(shown) + "}", *end])


def activation_name(upstream: Collection[str]) -> str:
    """Name of a product of two activations by the weight products above it."""
    return _below(upstream, "product")


def constant_name(upstream: Collection[str]) -> str:
    """Name of a product of an activation with a constant, such as a matrix of ones, by the weight products above it."""
    return _below(upstream, "constant")


def folded_name(paths: Collection[str]) -> str:
    """Name of a product of weights, which the parameters alone determine."""
    return f"{weight_name(paths)}:folded" if paths else "constant:folded"


def _below(upstream: Collection[str], what: str) -> str:
    modules = [name.partition("{")[0].rstrip(".").split(".") for name in sorted(upstream)]
    if len(modules) == 1:  # one fused projection above: its module, without the leaf's name
        modules = [modules[0][:-1]]
    start = ".".join(common_start(modules))
    return f"{start}:{what}" if start else what


def layer_index(name: str) -> int | None:
    """The first number among the parts of a name: 3 for `model.layers.3.mlp.up_proj.weight`."""
    found = re.search(r"(?:^|\.)(\d+)(?=[.:#]|$)", name)
    return int(found.group(1)) if found else None


def layer_stack(name: str) -> str | None:
    """What the layer's number counts: `model.layers` for `model.layers.3.mlp.up_proj.weight`."""
    found = re.search(r"(?:^|\.)\d+(?=[.:#]|$)", name)
    return name[: found.start()] if found else None


def without_layers(name: str) -> str:
    """The name with every number among its parts replaced by `*`, by which the layers of a model look alike."""
    return re.sub(r"(^|\.)\d+(?=[.:#]|$)", r"\1*", name)


class UniqueNames:
    """Hands out names, each once: a repeated one gets `#1`, `#2`, ..."""

    def __init__(self):
        self._uses = collections.Counter()

    def __call__(self, name: str) -> str:
        uses = self._uses[name]
        self._uses[name] += 1
        return f"{name}#{uses}" if uses else name
