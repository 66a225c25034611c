"""What a model costs in dollars, to train and to serve: on photonic chips and on accelerators that are sold.

The formula is that of Cottier et al. 2024 (arXiv 2405.21015), "The rising costs of training frontier AI models":

    training = accelerators · hours · $/hour + energy · tariff + people + data
    hours = 6 N D / (accelerators · peak · utilisation)

`N` weights meet each of `D` tokens; a forward pass is two operations for each of them and a backward pass four (Kaplan
et al., arXiv 2001.08361). Energy is at the meter: PUE and the server's share are in it. Where hardware is rented, its
price per hour holds all but people and data; DeepSeek-V3's `2.788 million hours × $2 = $5.576 million` is this line.

Serving divides the same dollars by the tokens of a phase:

    $/token = chips · $/hour · seconds per token + energy per token · tariff

A token that is read costs what the prefill does, one that is written what a decode step does; hence their two prices.
The hours are those in which somebody is answered (`busy_share`); idle hardware draws no power here, in its favour.

A photonic chip has no price yet. `break_even_price` is the one at which a token, or a request, costs the same as
elsewhere.

**Training on light.** Nobody has trained a large model on such hardware. What is priced is three forward passes for
each token (a backward pass is two), by the chip's own bill and time, each chip with a batch of its own; whether the
gradients would be right, where the optimiser's state is kept, and what chips send each other, is left out.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx

from photonsim.chip import Chip
from photonsim.cost.architecture import Architecture
from photonsim.cost.baselines import Board
from photonsim.cost.cluster import TENSOR
from photonsim.cost.energy import laid_energy
from photonsim.cost.forward import forward
from photonsim.cost.latency import laid_latency
from photonsim.cost.mapping import lay_out
from photonsim.cost.prices import PHOTONIC, Accelerator, Prices
from photonsim.cost.serving import Phase, Request, Service, last_step, serve, serve_digitally, workloads
from photonsim.cost.site import site_bill
from photonsim.cost.workload import ForwardPass, Storage
from photonsim.errors import PhotonsimError, check_count, check_number

MILLION = 1e6
OPERATIONS_PER_WEIGHT = 6  # of a trained token: 2 forward, 4 backward
TRAINING_PASSES = OPERATIONS_PER_WEIGHT // 2
TOKENS_PER_PARAMETER = 20.0  # Hoffmann et al., arXiv 2203.15556: what a given compute is best spent on


# Serving


class Rate(NamedTuple):
    """Dollars for a million tokens of a phase."""

    hardware_usd: Any
    energy_usd: Any

    @property
    def usd(self):
        """Both together."""
        return self.hardware_usd + self.energy_usd


class Offer(NamedTuple):
    """A request on some hardware that is owned; `rented` where a cloud lets it."""

    name: str
    title: str
    service: Service
    input: Rate
    output: Rate | None
    rented_input_usd: float | None
    rented_output_usd: float | None

    @property
    def accelerators(self) -> int:
        """Chips or boards that serve it."""
        return self.service.accelerators

    @property
    def request_hardware_usd(self):
        """Dollars of one request that go into hardware."""
        return self._request_usd(lambda rate: rate.hardware_usd)

    @property
    def request_energy_usd(self):
        """Dollars of one request that go into electricity."""
        return self._request_usd(lambda rate: rate.energy_usd)

    @property
    def request_usd(self):
        """Dollars of one request."""
        return self.request_hardware_usd + self.request_energy_usd

    def _request_usd(self, dollars: Callable[[Rate], Any]):
        """Tokens read, and tokens written after the first, which is the prefill's."""
        request, read = self.service.request, self.service.prefill.tokens / self.service.request.batch
        written = (request.output - 1) * dollars(self.output) if self.output else 0.0
        return (read * dollars(self.input) + written) / MILLION


def offer(name: str, title: str, service: Service, priced: Accelerator, prices: Prices) -> Offer:
    """The price of a request as it is served."""
    accelerators = service.accelerators
    hour_usd = accelerators * prices.hour_usd(priced.price_usd, prices.busy_share)

    def rate(phase: Phase) -> Rate:
        seconds = phase.latency.seconds / phase.tokens / service.under_way
        joules = phase.site.total_j / phase.tokens
        return Rate(MILLION * hour_usd * seconds / 3600, MILLION * prices.energy_usd(joules))

    def rented(phase: Phase) -> float | None:
        hours = float(phase.latency.seconds) / phase.tokens / service.under_way / 3600
        return MILLION * accelerators * priced.rent_usd_per_hour / prices.busy_share * hours or None

    written = rate(service.decode) if service.decode else None
    rents = rented(service.prefill), rented(service.decode) if service.decode else None
    return Offer(name, title, service, rate(service.prefill), written, *rents)


def chips_needed(chip: Chip, model: Architecture, request: Request, storage: Storage | None = None) -> int:
    """Chips whose memory holds the weights and the caches of all requests at their full length."""
    prefill, last = workloads(model, request, storage)[0], last_step(model, request, storage)
    resident = max(prefill.resident_bits, last.resident_bits)
    return math.ceil(resident / chip.memory.dram_capacity_bits)


def photonic_offer(
    chip: Chip,
    model: Architecture,
    request: Request,
    prices: Prices,
    storage: Storage | None = None,
    chips: int | None = None,
    split: str = TENSOR,
) -> Offer:
    """A request on as many photonic chips as it needs, or on `chips` of them."""
    count = chips_needed(chip, model, request, storage) if chips is None else chips
    service = serve(chip, model, request, storage, chips=count, split=split)
    return offer(chip.name, chip.title, service, prices.accelerators[PHOTONIC], prices)


def digital_offer(
    board: Board, chip: Chip, model: Architecture, request: Request, prices: Prices, storage: Storage | None = None
) -> Offer:
    """The same request on as many boards as it needs, in the building of `chip`."""
    service = serve_digitally(board, chip, model, request, storage)
    return offer(board.name, board.title, service, priced_as(board, prices), prices)


def priced_as(board: Board, prices: Prices) -> Accelerator:
    """The price of a board, which must have one."""
    if board.name not in prices.accelerators:
        raise PhotonsimError(
            f"{board.name} has no price. Known: {', '.join(name for name in prices.accelerators if name != PHOTONIC)}."
        )
    return prices.accelerators[board.name]


class BreakEvenPrice(NamedTuple):
    """Price of a photonic chip at which a token in, a token out, a request cost the same; None where no price does."""

    input_usd: float | None
    output_usd: float | None
    request_usd: float | None


def break_even_price(light: Offer, price_usd: float, other: Offer) -> BreakEvenPrice:
    """What a photonic chip, now at `price_usd`, might cost to be as cheap as other hardware.

    A bill is a straight line in the price: `p = (other − energy) / (hardware / price)`, and none where the electricity
    alone costs more.
    """
    if price_usd <= 0:
        raise PhotonsimError(f"price_usd = {price_usd:g}: a break-even needs a price above 0 to start from.")

    def at(hardware_usd, energy_usd, other_usd) -> float | None:
        left = float(other_usd) - float(energy_usd)
        return left / (float(hardware_usd) / price_usd) if left > 0 else None

    request = at(light.request_hardware_usd, light.request_energy_usd, other.request_usd)
    read = at(*light.input, other.input.usd)
    return BreakEvenPrice(read, at(*light.output, other.output.usd) if light.output and other.output else None, request)


# Training


class Training(NamedTuple):
    """One training. Hours of all accelerators together and joules are the final run's; dollars, experiments' too."""

    name: str
    title: str
    tokens: float
    operations: float
    accelerator_hours: float
    joules: float
    hardware_usd: float
    energy_usd: float
    people_usd: float
    data_usd: float
    rented_usd: float | None

    @property
    def usd(self) -> float:
        """All of it, hardware owned."""
        return self.hardware_usd + self.energy_usd + self.people_usd + self.data_usd

    def days(self, accelerators: int) -> float:
        """How long so many accelerators take."""
        return self.accelerator_hours / accelerators / 24


def training_operations(model: Architecture, tokens: float) -> float:
    """`6 N D`, N the weights that one token meets."""
    check_number("tokens", tokens, above=0.0)
    return OPERATIONS_PER_WEIGHT * model.active_parameters * tokens


def rented_usd(accelerator_hours: float, rent_usd_per_hour: float) -> float:
    """Accelerators · hours · price: what a cloud bills."""
    return accelerator_hours * rent_usd_per_hour


def train_digitally(board: Board, chip: Chip, model: Architecture, tokens: float, prices: Prices) -> Training:
    """On boards, in the building of `chip`, at the utilisation that `prices` say."""
    priced, operations = priced_as(board, prices), training_operations(model, tokens)
    if not priced.training_ops_per_s:
        raise PhotonsimError(f"{board.name} has no {board.name}.training_ops_per_s: give one with --price.")
    seconds = operations / (priced.training_ops_per_s * prices.model_flops_utilisation)
    joules = seconds * (board.board_power_w + chip.host.power_w) * chip.host.pue
    return _paid(_Run(board.name, board.title, tokens, operations, seconds, joules), priced, prices)


def train_on_light(
    chip: Chip, model: Architecture, tokens: float, prices: Prices, context: int = 4096, sequences: int = 16
) -> Training:
    """On photonic chips; see the module's header for what that means."""
    check_count("context", context)
    check_count("sequences", sequences)
    operations = training_operations(model, tokens)
    workload = forward(model, ForwardPass(sequences, context))
    roomy = eqx.tree_at(lambda c: c.memory.dram_capacity_bits, chip, float(workload.resident_bits))
    layout = lay_out(roomy, workload)
    bill = laid_energy(roomy, layout)
    passes = TRAINING_PASSES * tokens / workload.tokens
    seconds = passes * float(laid_latency(roomy, layout).seconds)
    joules = passes * float(site_bill(bill, chip, workload).total_j)
    run = _Run(chip.name, chip.title, tokens, operations, seconds, joules)
    return _paid(run, prices.accelerators[PHOTONIC], prices)


class _Run(NamedTuple):
    """The final run of a training; seconds of all accelerators together."""

    name: str
    title: str
    tokens: float
    operations: float
    seconds: float
    joules: float


def _paid(run: _Run, priced: Accelerator, prices: Prices) -> Training:
    repeated, hours = 1 + prices.experiments_ratio, run.seconds / 3600
    return Training(
        run.name,
        run.title,
        run.tokens,
        run.operations,
        accelerator_hours=hours,
        joules=run.joules,
        hardware_usd=repeated * hours * prices.hour_usd(priced.price_usd),
        energy_usd=repeated * prices.energy_usd(run.joules),
        people_usd=prices.staff_years * prices.salary_usd_per_year,
        data_usd=prices.data_usd,
        rented_usd=rented_usd(repeated * hours, priced.rent_usd_per_hour) or None,
    )
