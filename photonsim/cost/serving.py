"""What it takes to answer: prefill and decode apart, and a request as the two together.

A request gives `prompt` tokens and gets `output`, `batch` of them at once. The prefill reads the prompt and yields the
first token. Every further token is a decode step against all tokens before it; its price grows with their number, a
straight line but for the padding of tiles, so the step in the middle of the answer is the mean of all:

    E_request = (E_prefill + (output − 1) · E_step(prompt + output / 2)) / batch
    t_first = t_prefill,   t_request = t_prefill + (output − 1) · t_step

A model that answers in one pass (an encoder, an image, one step of diffusion) has a prefill only.
"""

from typing import NamedTuple

from photonsim.chip import Chip
from photonsim.cost.architecture import Architecture
from photonsim.cost.baselines import AbstractBaseline, Board
from photonsim.cost.bill import Bill
from photonsim.cost.cluster import PIPELINE, TENSOR, linked, several
from photonsim.cost.energy import laid_energy
from photonsim.cost.forward import forward
from photonsim.cost.latency import Latency, laid_latency
from photonsim.cost.mapping import Layout, lay_out
from photonsim.cost.planning import Choice, best_plan
from photonsim.cost.site import site_bill
from photonsim.cost.workload import ForwardPass, Storage, Workload, check_capacity
from photonsim.errors import check_count

PREFILL, DECODE = "prefill", "decode"


class Request(NamedTuple):
    """`batch` requests at once, each of `prompt` tokens in and `output` tokens out."""

    prompt: int = 512
    output: int = 256
    batch: int = 1


class Phase(NamedTuple):
    """One pass of a phase on some hardware: `bill` as far as the package, `site` with host and building.

    `layout`: where the products are, on a chip; `photonsim.cost.by_product` makes a bill of each of it.
    """

    workload: Workload
    bill: Bill
    site: Bill
    latency: Latency
    choices: tuple[Choice, ...] = ()
    layout: Layout | None = None

    @property
    def tokens(self) -> int:
        """New tokens of the pass."""
        return self.workload.tokens

    @property
    def j_per_token(self):
        """Joules of the package for each new token."""
        return self.bill.total_j / self.tokens

    @property
    def s_per_token(self):
        """Seconds of the pass for each new token of it."""
        return self.latency.seconds / self.tokens


class Service(NamedTuple):
    """A request on some hardware: `accelerators` chips or boards, shared by `under_way` passes (pipelined chips)."""

    request: Request
    prefill: Phase
    decode: Phase | None
    under_way: int = 1
    accelerators: int = 1

    @property
    def j_per_request(self):
        """Joules of the package for one request."""
        return self._per_request(lambda phase: phase.bill.total_j)

    @property
    def site_j_per_request(self):
        """Joules for one request, host and building included."""
        return self._per_request(lambda phase: phase.site.total_j)

    def within_j(self, boundary: str):
        """Joules of one request inside a boundary."""
        return self._per_request(lambda phase: phase.site.within_j(boundary))

    def _per_request(self, joules):
        return request_j(self.request, *(joules(phase) for phase in (self.prefill, self.decode) if phase))

    @property
    def first_token_s(self):
        """Time to the first token: the prefill."""
        return self.prefill.latency.seconds

    @property
    def s_per_request(self):
        """Time to the last token."""
        return request_s(self.request, *(phase.latency.seconds for phase in (self.prefill, self.decode) if phase))

    @property
    def tokens_per_s(self):
        """New tokens per second of all requests under way while they are answered; inputs, where no token is."""
        phase = self.decode or self.prefill
        return self.under_way * phase.tokens / phase.latency.seconds


def request_j(request: Request, prefill_j, step_j=0.0):
    """Joules of one request from those of its prefill and of a decode step."""
    return (prefill_j + (request.output - 1) * step_j) / request.batch


def request_s(request: Request, prefill_s, step_s=0.0):
    """Seconds to the last token of a request."""
    return prefill_s + (request.output - 1) * step_s


def workloads(
    model: Architecture, request: Request, storage: Storage | None = None
) -> tuple[Workload, Workload | None]:
    """The prefill of a request, and the decode step in the middle of its answer."""
    for name, value in request._asdict().items():
        check_count(name, value)
    tokens, source = request.prompt, 0
    if model.fixed_tokens:
        tokens = model.fixed_tokens
    elif model.encoder is not None and not model.encoder_tokens:
        tokens, source = 1, request.prompt  # the encoder reads the prompt
    prefill = forward(model, ForwardPass(request.batch, tokens, source=source), storage)
    if not model.generates:
        return prefill, None
    step = ForwardPass(request.batch, 1, past=tokens + request.output // 2, source=source)
    return prefill, forward(model, step, storage)


def last_step(model: Architecture, request: Request, storage: Storage | None = None) -> Workload:
    """The decode step of a request's last token, the middle of an answer twice as long; or the prefill, if alone."""
    prefill, step = workloads(model, request._replace(output=max(2 * request.output - 2, 1)), storage)
    return step or prefill


def serve(
    chip: Chip,
    model: Architecture,
    request: Request,
    storage: Storage | None = None,
    objective: str | None = None,
    chips: int = 1,
    split: str = TENSOR,
) -> Service:
    """A request on a chip, or on several; products as the simulator computes them, or best under an objective."""
    group = several(chip, chips, split)
    prefill, step = workloads(model, request, storage)
    first = _phase(group, linked(prefill, chips, split), objective)
    answer = _phase(group, linked(step, chips, split), objective) if step else None
    check_capacity(group.name, last_step(model, request, storage), group.memory.dram_capacity_bits)
    return Service(request, first, answer, chips if split == PIPELINE else 1, chips)


def _phase(chip: Chip, workload: Workload, objective: str | None) -> Phase:
    check_capacity(chip.name, workload, chip.memory.dram_capacity_bits)
    plan, choices = best_plan(chip, workload, objective) if objective else (None, ())
    layout = lay_out(chip, workload, plan)
    bill = laid_energy(chip, layout)
    return Phase(workload, bill, site_bill(bill, chip, workload), laid_latency(chip, layout), choices, layout)


def serve_digitally(
    baseline: AbstractBaseline, chip: Chip, model: Architecture, request: Request, storage: Storage | None = None
) -> Service:
    """The same request on digital hardware beside a chip, on boards that hold its last step, in the chip's building."""
    prefill, step = workloads(model, request, storage)
    hardware = baseline.enough(max(prefill, last_step(model, request, storage), key=lambda each: each.resident_bits))
    servers = hardware.boards if isinstance(hardware, Board) else 1
    phases = []
    for workload in (prefill, *([step] if step else [])):
        bill = hardware.energy(chip, workload)
        site = site_bill(bill, chip, workload, servers)
        phases.append(Phase(workload, bill, site, hardware.latency(chip, workload)))
    return Service(request, phases[0], phases[1] if step else None, accelerators=servers)


def concurrent_requests(chip: Chip, model: Architecture, request: Request, storage: Storage | None = None) -> int:
    """How many requests at their full length fit into the memory beside the weights; 0 if not even one."""
    capacity = chip.memory.dram_capacity_bits
    full = request._replace(prompt=request.prompt + request.output, batch=1)
    prefill, step = workloads(model, full._replace(output=1), storage)
    held = step or prefill
    each = held.resident_bits - held.model_bits
    return max(int((capacity - held.model_bits) // max(each, 1)), 0)
