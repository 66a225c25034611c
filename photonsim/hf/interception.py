"""The eager adapter: every matrix product that reaches PyTorch's dispatcher, named, placed, and done by its chip.

A `TorchDispatchMode` sees each operation after autograd has noted it and before a kernel is chosen, when modules,
functions and attention variants have become a few dozen operations on tensors. Gradients therefore pass straight
through the chip: backwards, autograd multiplies by the weights as they are, digitally.

Two things have to be taken apart first, since they reach the dispatcher whole: scaled dot-product attention (see
`attention.py`), and, in PyTorch's inference mode, whatever consists of other operations.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from photonsim_kernels.generators import tile_key
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from photonsim.errors import PhotonsimError
from photonsim.hf.attention import attention
from photonsim.hf.dataflow import Dataflow, behaviour
from photonsim.hf.products import OPAQUE, PRODUCTS, AbstractProduct, Dense, Grouped
from photonsim.hf.units import AbstractHostUnit, host_unit
from photonsim.swap.coverage import Coverage, Placement, check_strict, place
from photonsim.swap.naming import UniqueNames
from photonsim.swap.provenance import Provenance, join
from photonsim.swap.roles import Role, role
from photonsim.swap.rules import Rule, layer_counts, unused_rules, with_units
from photonsim.swap.site import WEIGHT, AbstractMatmulUnit, Site, name_words


class AttentionInParts(TorchFunctionMode):
    """Replaces scaled dot-product attention by its parts. Its mere presence also keeps `torch.nn.MultiheadAttention`
    from its own fused operation. A run that multiplies exactly is asked first whether it wants the parts."""

    def __init__(self, run: "Interception | None" = None):
        super().__init__()
        self.run = run

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is not functional.scaled_dot_product_attention:
            return func(*args, **kwargs)
        result = None if self.run is None else self.run.whole(func, *args, **kwargs)
        return attention(*args, **kwargs) if result is None else result


@dataclass(frozen=True)
class Programmed:
    """Tiles of a parameter: the storage they were read from (kept, so that its address stays taken), and by what it is
    known whether the parameter was written to since."""

    storage: Any
    state: tuple
    tiles: Any


SAMPLES = 16  # numbers of a matrix that are looked at before its tiles are used again


def state_of(matrix: torch.Tensor) -> tuple:
    """Changes when a matrix is written to: its version, and a few of its numbers, since a write to `parameter.data`
    leaves the version as it is. (Such a write that spares them all goes unseen.)"""
    version = 0 if matrix.is_inference() else matrix._version
    last = sum((length - 1) * stride for length, stride in zip(matrix.shape, matrix.stride(), strict=True))
    few = matrix.detach().as_strided((SAMPLES,), (last // (SAMPLES - 1),), matrix.storage_offset())
    return (version, *few.tolist())


class ChipFloor:
    """What outlives a call: the chips a model's products are placed on, and the tiles programmed with its weights."""

    def __init__(
        self, model: torch.nn.Module, chip: AbstractMatmulUnit, rules: Sequence[Rule], strict: bool, engine: str
    ):
        self.chip = chip
        self.rules = tuple(rules)
        self.strict = strict
        self.engine = engine
        self._made = with_units(self.rules, chip)
        self._layers = layer_counts(name for name, _ in model.named_parameters())
        self._placements: dict[Site, Placement] = {}
        self._units: dict[int, tuple[AbstractMatmulUnit, AbstractHostUnit]] = {}
        self._tiles: dict[tuple, Programmed] = {}

    def placement(self, site: Site) -> Placement:
        """Where a site runs; refused if strict and nowhere."""
        if site not in self._placements:
            placed = place(site, self._made, self.chip, self._layers)
            if self.strict:
                check_strict(Coverage((placed,)))
            self._placements[site] = placed
        return self._placements[site]

    def unit(self, chip: AbstractMatmulUnit) -> AbstractHostUnit:
        """The unit that answers for a chip."""
        if id(chip) not in self._units:
            self._units[id(chip)] = (chip, host_unit(chip, self.engine))
        return self._units[id(chip)][1]

    def tiles(self, unit: AbstractHostUnit, matrix: torch.Tensor, is_parameter: bool) -> Any:
        """Tiles that hold a matrix: those of a parameter are kept until it is written to."""
        if not is_parameter:
            return unit.program(matrix)
        storage = matrix.untyped_storage()
        place = (id(unit), storage._cdata, matrix.storage_offset(), matrix.shape, matrix.stride())
        state = state_of(matrix)
        known = self._tiles.get(place)
        if known is None or known.state != state:
            known = self._tiles[place] = Programmed(storage, state, unit.program(matrix))
        return known.tiles

    def forget_all_but(self, dataflow: Dataflow) -> None:
        """Drop the tiles of parameters that the model no longer has."""
        self._tiles = {place: kept for place, kept in self._tiles.items() if dataflow.has(kept.storage)}

    def coverage(self, rows: Sequence[Placement]) -> Coverage:
        """A table of placed sites."""
        return Coverage(tuple(rows), unused_rules(self.rules, [row.site for row in rows]))


class Interception(TorchDispatchMode):
    """One call of a model with its products on their chips, or, if `counting`, only counted.

    `words`: those of the call's noise key. `row`: number of the first row in the noise stream, see
    `photonsim.swap.simulation.Stream`.
    """

    def __init__(self, floor: ChipFloor, dataflow: Dataflow, words: tuple[int, int], row: int, counting: bool = False):
        super().__init__()
        self.floor = floor
        self.dataflow = dataflow
        self.words = words
        self.row = row
        self.counting = counting
        self.executed: dict[tuple, tuple[Placement, int]] = {}
        self.unique = UniqueNames()
        self._began = False
        self._recorded: list[Placement] = []  # of an attention that is about to be taken apart
        self._paused = False  # inside an attention that stays whole

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Else PyTorch wraps every operation in a guard against its compiler, as dear as all that is done here."""
        return False

    def begin_pass(self, row: int) -> None:
        """The model is entered from its beginning: names are given out anew."""
        self.row = row
        if self._began:
            self.unique, self._began = UniqueNames(), False

    def coverage(self) -> Coverage:
        """What was executed, with the number of times."""
        rows = [
            replace(placed, site=replace(placed.site, trips=trips)) if trips > 1 else placed
            for placed, trips in self.executed.values()
        ]
        return self.floor.coverage(rows)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if self._paused:
            return func(*args, **kwargs)
        build = PRODUCTS.get(func._schema.name)
        if build is not None:
            return self.operation(func, build, args, kwargs)
        how = behaviour(func)
        if how.whole:
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        if how.is_view:
            return func(*args, **kwargs)
        if func._schema.name in OPAQUE:
            self.note_opaque(func)
        result = func(*args, **kwargs)
        self.dataflow.follow(func, args, kwargs, result)
        return result

    def operation(self, func: Any, build: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        """An operation that is a matrix product, or has a variant that is none."""
        out = kwargs.get("out")
        product = build(*args, **{name: value for name, value in kwargs.items() if name != "out"})
        if product is None:
            self.note_opaque(func)
        if product is None or not math.prod((product.size.batch, product.size.m, product.size.k, product.size.n)):
            result = func(*args, **kwargs)
            self.dataflow.follow(func, args, kwargs, result)
            return result
        found = role(self.dataflow.of(product.left), self.dataflow.of(product.right), product.either)
        product.tile_operand = found.tile_operand
        placed = self._recorded.pop(0) if self._recorded else self.record(func, product, found)
        unit = None if placed.chip is None or self.counting else self.floor.unit(placed.chip)
        if unit is None or unit.exact:
            result = func(*args, **kwargs)
        else:
            result = product.finish(self.answer(unit, product, placed.site))
            target = args[0] if func._schema.name.endswith("_") else out
            result = result if target is None else target.copy_(result)
        self.dataflow.set(result, found.result)
        return result

    def whole(self, func, query, key, value, attn_mask=None, *args, **kwargs) -> torch.Tensor | None:
        """Note both products of an attention; its result, undivided, if neither is disturbed."""
        batch, rows, inner, columns = math.prod(query.shape[:-2]), *query.shape[-2:], key.shape[-2]
        shapes = ((batch, rows, inner), (batch, inner, columns)), ((batch, rows, columns), (batch, *value.shape[-2:]))
        scores = role(self.dataflow.of(query), self.dataflow.of(key), either=True)
        shares = join(scores.result, self.dataflow.join((attn_mask,)))
        gathered = role(shares, self.dataflow.of(value), either=True)
        placed = []
        for shape, found in zip(shapes, (scores, gathered), strict=True):
            left, right = (torch.empty(each, dtype=query.dtype, device="meta") for each in shape)
            product = Dense(left, right)
            product.tile_operand = found.tile_operand
            placed.append(self.record(torch.ops.aten.bmm.default, product, found))
        units = [None if each.chip is None else self.floor.unit(each.chip) for each in placed]
        if self.counting or all(unit is None or unit.exact for unit in units):
            return self.undivided(func, gathered.result, query, key, value, attn_mask, *args, **kwargs)
        self._recorded = placed
        return None

    def undivided(self, func: Any, found: Provenance, *args: Any, **kwargs: Any) -> torch.Tensor:
        """The result of an operation, whatever products it consists of, with its provenance."""
        self._paused = True
        try:
            result = func(*args, **kwargs)
        finally:
            self._paused = False
        self.dataflow.set(result, found)
        return result

    def record(self, func: Any, product: AbstractProduct, found: Role) -> Placement:
        """The product's site with its place, and one more execution of it."""
        self._began = True
        name, size = self.unique(self.full_name(product, found)), product.size
        key = (name, func, size, found.kind)
        known = self.executed.get(key)
        if known is None:
            placed, executions = self.floor.placement(self.site(func, name, product, found)), 0
        else:
            placed, executions = known
        self.executed[key] = placed, executions + 1
        return placed

    def full_name(self, product: AbstractProduct, found: Role) -> str:
        """The role's name; an expert that is taken out of a stack by its number, and by nothing else, has that too."""
        operand = (product.left, product.right)[found.tile_operand]
        if found.kind != WEIGHT or isinstance(product, Grouped):
            return found.name
        parameter = self.dataflow.parameter(operand)
        if parameter is None or len(parameter.shape) < 3 or operand.numel() != math.prod(parameter.shape[1:]):
            return found.name
        return f"{found.name}.{(operand.storage_offset() - parameter.start) // max(parameter.strides[0], 1)}"

    def site(self, func: Any, name: str, product: AbstractProduct, found: Role) -> Site:
        """The description of a product that is met for the first time."""
        size = product.size
        tile = self.dataflow.of((product.left, product.right)[found.tile_operand])
        return Site(
            name=name,
            kind=found.kind,
            primitive=str(func),
            batch=size.batch,
            m=size.m,
            k=size.k,
            n=size.n,
            trips=1,
            dynamic=False,
            paths=tuple(sorted(tile.paths)),
            tile_operand=found.tile_operand,
            known=tile.known,
            loops=(),
            obstacle=product.obstacle,
            name_stack="",
            dtypes=tuple(str(operand.dtype).removeprefix("torch.") for operand in (product.left, product.right)),
            address=(),
            ragged_rows=size.ragged_rows,
        )

    def answer(self, unit: AbstractHostUnit, product: AbstractProduct, site: Site) -> torch.Tensor:
        """The product as the chip gives it, in float32."""
        matrix = product.matrix()
        tiles = self.floor.tiles(unit, matrix, self.dataflow.parameter(matrix) is not None)
        words, row = self.site_words(site.name), self.row
        if site.kind != WEIGHT:
            words, row = ((words[0] + row) & 0xFFFFFFFF, words[1]), 0
        if isinstance(product, Grouped):
            return self.experts(unit, product.inputs(), tiles, product.ends.tolist(), words, row)
        keys = _key_words(words, matrix.shape[0] if matrix.ndim == 3 else None)
        return product.multiply(lambda inputs, first: unit.multiply(inputs, tiles, keys, row + first))

    def experts(
        self, unit: AbstractHostUnit, inputs: torch.Tensor, tiles: Any, ends: list[int], words: tuple, row: int
    ) -> torch.Tensor:
        """Each group of rows through the tiles of its expert; rows after the last group are zero."""
        parts, start = [], 0
        for expert, end in enumerate(ends):
            if end > start:
                own = np.array(tile_key(*words, expert), np.uint32)
                parts.append(unit.multiply(inputs[start:end], unit.one_of(tiles, expert), own, row + start))
                start = end
        whole = torch.cat(parts)
        return functional.pad(whole, (0, 0, 0, inputs.shape[0] - start))

    def site_words(self, name: str) -> tuple[int, int]:
        """The words of a site's noise key, as `photonsim.swap.site.site_keys` has them."""
        first, second = name_words(name)
        return tile_key(*tile_key(*self.words, first), second)

    def note_opaque(self, func: Any) -> None:
        """Say that an operation with products inside stays digital and is not in the coverage."""
        sentence = f"{func} has matrix products inside that cannot be taken apart: they stay digital and uncounted."
        if self.floor.strict:
            raise PhotonsimError(f"strict: {sentence}")
        warnings.warn(sentence, stacklevel=2)


def _key_words(words: tuple[int, int], batch: int | None) -> np.ndarray:
    """Key words of a product, or of each element of a batch, as `photonsim.swap.site.batch_keys` has them."""
    if batch is None:
        return np.array(words, np.uint32)
    both = np.empty((batch, 2), np.uint32)
    both[:, 0] = words[0]
    both[:, 1] = np.uint32(words[1]) + np.arange(batch, dtype=np.uint32)
    return both
