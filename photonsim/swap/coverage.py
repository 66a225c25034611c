"""Coverage: which matrix products of a model run on the chip, which stay digital, and why. No arithmetic is run."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from photonsim.errors import PhotonsimError
from photonsim.swap.naming import without_layers
from photonsim.swap.rules import DEFAULT_RULES, Rule, deciding_rule, unused_rules
from photonsim.swap.site import FOLDED, AbstractMatmulUnit, Site

OUTER_PRODUCT = "outer product (k = 1): nothing to add up"
ROUTER = "a router: noise would flip its choice"


@dataclass(frozen=True)
class Placement:
    """Where a site runs: on `chip`, or digitally (`chip` is `None`) for a `reason`. `ruled` where a rule says so.

    Has the fields of a site that a price depends on.
    """

    site: Site
    chip: AbstractMatmulUnit | None = None
    reason: str | None = None
    ruled: bool = False

    @property
    def on_chip(self) -> bool:
        """Whether the product runs on a chip."""
        return self.chip is not None

    @property
    def name(self) -> str:
        """The site's name."""
        return self.site.name

    @property
    def kind(self) -> str:
        """`weight`, `activation` or `folded`."""
        return self.site.kind

    @property
    def batch(self) -> int:
        """Independent products done at once."""
        return self.site.batch

    @property
    def m(self) -> int:
        """Rows of the inputs."""
        return self.site.m

    @property
    def k(self) -> int:
        """Inner length."""
        return self.site.k

    @property
    def n(self) -> int:
        """Columns of the programmed operand."""
        return self.site.n

    @property
    def trips(self) -> int:
        """Times the product is executed."""
        return self.site.trips

    @property
    def macs(self) -> int:
        """Multiply-accumulates, all trips together."""
        return self.site.macs


@dataclass(frozen=True)
class Group:
    """Sites that are alike but for their layer: `count` of them under one name with `*` for the layer."""

    name: str
    kind: str
    on_chip: bool
    reason: str | None
    count: int
    macs: int


@dataclass(frozen=True)
class Coverage:
    """Every product of a model and where it runs.

    `rows`: in the order of evaluation. `unused_rules`: rules of the user's that decided nothing. Shares and totals
    leave out `folded` products: they belong to the weights and cost a run nothing once these are programmed.
    """

    rows: tuple[Placement, ...]
    unused_rules: tuple[Rule, ...] = ()

    @cached_property
    def products(self) -> tuple[Placement, ...]:
        """The products that a run of the model executes."""
        return tuple(row for row in self.rows if row.kind != FOLDED)

    @property
    def digital(self) -> tuple[Placement, ...]:
        """The products that stay digital, each with its reason."""
        return tuple(row for row in self.rows if not row.on_chip)

    @property
    def macs_total(self) -> int:
        """Multiply-accumulates of a run."""
        return sum(row.macs for row in self.products)

    @property
    def macs_on_chip(self) -> int:
        """Multiply-accumulates of a run that the chip does."""
        return sum(row.macs for row in self.products if row.on_chip)

    @property
    def mac_share(self) -> float:
        """Share of the multiply-accumulates that the chip does."""
        return self.macs_on_chip / self.macs_total

    def groups(self) -> tuple[Group, ...]:
        """The rows collapsed over layers, for a table that fits a screen."""
        members: dict[tuple, list[Placement]] = {}
        for row in self.rows:
            members.setdefault((without_layers(row.name), row.kind, row.on_chip, row.reason), []).append(row)
        return tuple(
            Group(name, kind, on_chip, reason, len(rows), sum(row.macs for row in rows))
            for (name, kind, on_chip, reason), rows in members.items()
        )

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, strings and lists, for JSON."""
        return {
            "mac_share": self.mac_share,
            "macs_total": self.macs_total,
            "macs_on_chip": self.macs_on_chip,
            "sites": [_row_dict(row) for row in self.rows],
            "digital": [{"name": row.name, "macs": row.macs, "reason": row.reason} for row in self.digital],
            "unused_rules": [str(rule) for rule in self.unused_rules],
        }


def _row_dict(row: Placement) -> dict[str, Any]:
    site = row.site
    fields = ("name", "kind", "batch", "m", "k", "n", "trips", "dynamic", "macs", "layer")
    chip = getattr(row.chip, "name", type(row.chip).__name__) if row.on_chip else None
    return {field: getattr(site, field) for field in fields} | {
        "on_chip": row.on_chip,
        "chip": chip,
        "reason": row.reason,
    }


def place(site: Site, rules: Sequence[Rule], chip: AbstractMatmulUnit) -> Placement:
    """Where the rules, and what a chip can do, put a site."""
    if site.kind == FOLDED:
        return Placement(site, reason="made of weights and constants alone: computed once, with the weights")
    if site.k == 1:
        return Placement(site, reason=OUTER_PRODUCT)
    rule = deciding_rule(rules, site)
    if rule.action == "digital":
        by_default = any(rule is other for other in DEFAULT_RULES)
        return Placement(site, reason=f"{ROUTER} (default)" if by_default else f"rule {rule}", ruled=True)
    if site.obstacle is not None:
        return Placement(site, reason=site.obstacle)
    return Placement(site, chip if isinstance(rule.action, str) else rule.action)


def coverage(sites: Sequence[Site], rules: Sequence[Rule], chip: AbstractMatmulUnit) -> Coverage:
    """Place every site, and note the rules that decide none."""
    return Coverage(tuple(place(site, rules, chip) for site in sites), unused_rules(rules, sites))


def check_strict(table: Coverage) -> None:
    """Refuse a product that stays digital though no rule sent it there, and a rule that decides nothing."""
    silent = [row for row in table.digital if row.kind != FOLDED and row.site.k != 1 and not row.ruled]
    if silent:
        row = silent[0]
        others = f", and {len(silent) - 1} more" if len(silent) > 1 else ""
        raise PhotonsimError(
            f"strict: {row.name} ({row.macs} multiply-accumulates) stays digital, {row.reason}{others}. "
            f"Send it there with the rule '{row.name}=digital', or drop strict."
        )
    if table.unused_rules:
        raise PhotonsimError(
            f"strict: the rule '{table.unused_rules[0]}' decides no matrix product. Correct or drop it."
        )
