"""An unmodified PyTorch model with its matrix products on a photonic chip.

    sim = photonsim.hf.simulate(model, chip)
    logits = sim(input_ids=ids).logits            # or any other method of the model:
    text = sim.generate(input_ids=ids, max_new_tokens=40)
    print(sim.executed.mac_share)                 # where the products of that call ran

**Noise.** As in `photonsim.simulate`, a site's noise depends on the seed and the site's name alone. A forward pass that
continues a key-value cache takes up the noise stream at the row where the cache ends, so that a token meets the same
disturbance in its weight products whether it came one by one or with others.

**Half precision.** A product whose operands are bfloat16 or float16 is done by the chip from their exact values in
float32, and its result rounded to what the model had.
"""

import contextlib
import functools
import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
import torch

from photonsim.errors import PhotonsimError, check_choice
from photonsim.hf.dataflow import Dataflow
from photonsim.hf.interception import AttentionInParts, ChipFloor, Interception
from photonsim.swap.coverage import Coverage, check_strict
from photonsim.swap.rules import Rule
from photonsim.swap.simulation import Products, Seed, Stream, noise_key
from photonsim.swap.site import FOLDED, AbstractMatmulUnit
from photonsim.tiles import ENGINES


class ModelOnChip:
    """`model` on a chip; see `photonsim.hf.simulate`.

    Whatever the model has, this has: its methods run on the chip, and take `seed=` for another noise or for a `Stream`.
    `executed` is the coverage of the latest call.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        chip: AbstractMatmulUnit,
        rules: Sequence[Rule] = (),
        seed: Seed = 0,
        strict: bool = False,
        engine: str = "auto",
    ):
        check_choice("engine", engine, ENGINES)
        if "seed" in inspect.signature(model.forward).parameters:
            raise PhotonsimError("The model's forward has a parameter `seed`, the name of the noise seed: rename it.")
        self.model = getattr(model, "_orig_mod", model)  # what torch.compile compiled hides its operations
        self.seed = seed
        self.strict = strict
        self.executed: Coverage = Coverage(())
        self._dataflow = Dataflow(self.model)
        self._floor = ChipFloor(self.model, chip, rules, strict, engine)

    def __call__(self, *args, seed: Seed | Stream | None = None, **kwargs) -> Any:
        """The model's own call."""
        return self._run(self.model, args, kwargs, seed)

    def forward(self, *args, seed: Seed | Stream | None = None, **kwargs) -> Any:
        """The same."""
        return self._run(self.model, args, kwargs, seed)

    def __getattr__(self, name: str) -> Any:
        if name == "model":  # while the object is being made
            raise AttributeError(name)
        value = getattr(self.model, name)
        if not (inspect.ismethod(value) and value.__self__ is self.model):
            return value

        @functools.wraps(value)
        def on_chip(*args, seed: Seed | Stream | None = None, **kwargs):
            result = self._run(value, args, kwargs, seed, needs_products=name == "generate")
            return self if result is self.model else result

        return on_chip

    def coverage(self, *args, **kwargs) -> Coverage:
        """Where each product of a forward pass runs, and why. It is run digitally; on the `meta` device, not at all."""
        with torch.no_grad():
            return self._intercepted(self.model, args, kwargs, Stream(0), counting=True)[1]

    def products(self, *args, **kwargs) -> Products:
        """The products of a forward pass, as a price list needs them."""
        rows = self.coverage(*args, **kwargs).products
        on_chip = tuple((row.site, row.chip) for row in rows if row.chip is not None)
        return Products(on_chip, tuple(row.site for row in rows if not row.on_chip))

    def _run(
        self, method: Callable, args: tuple, kwargs: dict, seed: Seed | Stream | None, needs_products: bool = True
    ) -> Any:
        self._refuse_meta()
        dropout = next((name for name, module in self.model.named_modules() if _drops(module)), None)
        if dropout is not None:
            warnings.warn(
                f"{dropout} is in training mode, so dropout adds noise of its own to the chip's: call model.eval().",
                stacklevel=3,
            )
        given = self.seed if seed is None else seed
        stream = given if isinstance(given, Stream) else Stream(given)
        result, self.executed = self._intercepted(method, args, kwargs, stream)
        if needs_products:
            self._refuse_nothing(self.executed)
        if self.strict:
            check_strict(self.executed)
        return result

    def _intercepted(
        self, method: Callable, args: tuple, kwargs: dict, stream: Stream, counting: bool = False
    ) -> tuple[Any, Coverage]:
        self._dataflow.name_parameters(self.model)
        self._floor.forget_all_but(self._dataflow)
        first, second = np.asarray(jax.random.key_data(noise_key(stream.seed))).tolist()
        mode = Interception(self._floor, self._dataflow, (first, second), int(stream.row), counting)
        with self._passes_of(mode, int(stream.row)), AttentionInParts(mode), mode:
            result = method(*args, **kwargs)
        return result, mode.coverage()

    @contextlib.contextmanager
    def _passes_of(self, mode: Interception, row: int) -> Iterator[None]:
        """Tell a run when the model is entered, and at which row."""

        def enter(module, args, kwargs):
            mode.begin_pass(row + _cached_rows(kwargs))

        handle = self.model.register_forward_pre_hook(enter, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()

    def _refuse_meta(self) -> None:
        empty = next((name for name, tensor in self.model.named_parameters() if tensor.is_meta), None)
        if empty is not None:
            raise PhotonsimError(
                f"{empty} is on the meta device, so it has a shape and no values: load the model's weights. "
                "Its coverage needs none."
            )

    def _refuse_nothing(self, table: Coverage) -> None:
        if not any(row.kind != FOLDED and row.site.obstacle is None for row in table.rows):
            raise PhotonsimError(
                f"{type(self.model).__name__} executed no matrix product of floating-point numbers that a chip could "
                "take: check that it is the model, and not a part without weights."
            )


def _drops(module: torch.nn.Module) -> bool:
    """Whether a module drops numbers at random."""
    return module.training and isinstance(module, torch.nn.modules.dropout._DropoutNd) and module.p > 0


def _cached_rows(kwargs: dict[str, Any]) -> int:
    """Tokens that the cache given to a forward pass already holds."""
    cache = kwargs.get("past_key_values")
    length = getattr(cache, "get_seq_length", None)
    return 0 if length is None else int(length())
