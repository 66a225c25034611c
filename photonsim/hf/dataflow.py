"""Where every tensor of a running PyTorch model comes from: the twin of the dataflow pass over a jaxpr.

A model that runs has no graph to walk, so each operation below PyTorch's dispatcher passes the provenance of its inputs
on to its results while they are made. Provenance belongs to a tensor's *storage*, which all views of a tensor share: a
transposed, sliced or split weight is the weight, and what is written into a part of a cache is in the cache. Parameters
and buffers are known by the place of their numbers in their storage, so tied ones have one name.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from photonsim.swap.provenance import CONSTANT, DATA, Origin, Provenance, choice, join

MARK = "_photonsim_provenance"  # attribute of a storage: (the dataflow that wrote it, what it wrote)

# Operations by which one operand picks from others: positions of the candidates, and of what chooses among them.
CHOICES = {
    "aten::embedding": ((0,), (1,)),
    "aten::index": ((0,), (1,)),
    "aten::index_select": ((0,), (2,)),
    "aten::gather": ((0,), (2,)),
    "aten::take": ((0,), (1,)),
    "aten::where": ((1, 2), (0,)),
}


@dataclass(frozen=True)
class Behaviour:
    """How an operation passes provenance on: it gives views, or results of its own; `written` are the arguments that it
    changes, by position and name; `blank` if its results hold no number of its inputs; `whole` if it consists of other
    operations."""

    is_view: bool
    written: tuple[tuple[int, str], ...]
    blank: bool
    whole: bool
    choice: tuple[tuple[int, ...], tuple[int, ...]] | None


@functools.cache
def behaviour(func: Any) -> Behaviour:
    """The behaviour of an operation, from its schema."""
    returns, arguments = func._schema.returns, func._schema.arguments
    alias = [value.alias_info for value in returns]
    name = func._schema.name.partition("::")[2]
    return Behaviour(
        is_view=bool(alias) and all(info is not None and not info.is_write for info in alias),
        written=tuple(
            (position, argument.name)
            for position, argument in enumerate(arguments)
            if argument.alias_info is not None and argument.alias_info.is_write
        ),
        blank=name.endswith("_like") or name.startswith("new_"),
        whole=torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"),
        choice=CHOICES.get(func._schema.name),
    )


def tensors_in(values: Any) -> Iterator[torch.Tensor]:
    """Every tensor among arguments or results, lists opened."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors_in(value)


@dataclass(frozen=True)
class Parameter:
    """A named parameter or buffer: where its numbers lie in its storage, and its shape."""

    name: str
    start: int
    stop: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    provenance: Provenance


class Dataflow:
    """Provenance of the tensors of one model, while it runs."""

    def __init__(self, model: torch.nn.Module):
        self._parameters: dict[int, list[Parameter]] = {}
        self._kept: list[Any] = []  # storages whose addresses are keys above
        self.name_parameters(model)

    def name_parameters(self, model: torch.nn.Module) -> None:
        """Take down the model's parameters and buffers anew: they may have been replaced since."""
        self._parameters.clear()
        self._kept.clear()
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if tensor.layout is not torch.strided:
                continue
            storage, start = tensor.untyped_storage(), tensor.storage_offset()
            inside = self._parameters.setdefault(storage._cdata, [])
            stop = start + tensor.numel()
            if not any(other.start <= start < other.stop for other in inside):
                weight = Provenance(Origin.WEIGHT, frozenset([name]))
                inside.append(Parameter(name, int(start), int(stop), tuple(tensor.shape), tensor.stride(), weight))
                self._kept.append(storage)

    def parameter(self, tensor: torch.Tensor) -> Parameter | None:
        """The parameter whose numbers a tensor shows, if it is a view of one."""
        if tensor.layout is not torch.strided:
            return None
        inside = self._parameters.get(tensor.untyped_storage()._cdata)
        if inside is None:
            return None
        start = tensor.storage_offset()
        return next((parameter for parameter in inside if parameter.start <= start < parameter.stop), None)

    def has(self, storage: Any) -> bool:
        """Whether a storage holds parameters of the model."""
        return storage._cdata in self._parameters

    def of(self, tensor: torch.Tensor) -> Provenance:
        """Where a tensor comes from; one that was made outside the run is data."""
        if tensor.layout is not torch.strided:
            return DATA
        storage = tensor.untyped_storage()
        if storage._cdata in self._parameters:
            parameter = self.parameter(tensor)
            return DATA if parameter is None else parameter.provenance
        owner, provenance = getattr(storage, MARK, (None, DATA))
        return provenance if owner is self else DATA

    def set(self, tensor: torch.Tensor, provenance: Provenance) -> None:
        """Note where a tensor comes from; a parameter stays what it is."""
        if tensor.layout is torch.strided:
            storage = tensor.untyped_storage()
            if storage._cdata not in self._parameters:
                setattr(storage, MARK, (self, provenance))

    def follow(self, func: Any, args: tuple, kwargs: dict, results: Any) -> None:
        """Pass provenance through an operation that is no matrix product and gives no views."""
        how = behaviour(func)
        found = CONSTANT if how.blank else self._result(how, args, kwargs)
        for tensor in tensors_in((results,)):
            self.set(tensor, found)
        for position, name in how.written:
            written = args[position] if position < len(args) else kwargs.get(name)
            for tensor in tensors_in((written,)):
                self.set(tensor, found)

    def _result(self, how: Behaviour, args: tuple, kwargs: dict) -> Provenance:
        if how.choice is not None and len(args) > max(max(how.choice[0]), max(how.choice[1])):
            candidates, selectors = ([args[i] for i in group] for group in how.choice)
            return choice(self.join(selectors), self.join(candidates))
        return self.join((*args, *kwargs.values()))

    def join(self, values: Any) -> Provenance:
        """Provenance of something computed from all tensors among `values`."""
        found: list[Provenance] = []
        for tensor in tensors_in(values):
            provenance = self.of(tensor)
            if not any(provenance is other for other in found):
                found.append(provenance)
        return found[0] if len(found) == 1 else join(*found)
