"""Coverage: which matrix products of a model run on the chip, which stay digital, and why. No arithmetic is run."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from photonsim.errors import PhotonsimError
from photonsim.swap.naming import without_layers
from photonsim.swap.rules import (
    DEFAULT_RULES,
    NO_LAYERS,
    Layers,
    Rule,
    deciding_rule,
    layer_counts,
    unused_rules,
    with_units,
)
from photonsim.swap.site import FOLDED, WEIGHT, AbstractMatmulUnit, Site

OUTER_PRODUCT = "outer product (k = 1): nothing to add up"


@dataclass(frozen=True)
class Placement:
    """Where a site runs: on `chip`, or digitally (`chip` is `None`) for a `reason`. `ruled` where a rule says so.

    `digital_columns`: of the `k` columns of its inputs, how many the digital unit multiplies though the site is on a
    chip; not whole where it is a mean. Has the fields of a site that a price depends on.
    """

    site: Site
    chip: AbstractMatmulUnit | None = None
    reason: str | None = None
    ruled: bool = False
    digital_columns: float = 0.0

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

    @property
    def macs_on_chip(self) -> int:
        """Those of them that the chip does."""
        return round(self.macs * (1 - self.digital_columns / self.k)) if self.on_chip else 0

    @property
    def weights(self) -> int:
        """Numbers in the weight that the site multiplies by; a loop that hands out slices of one has them all."""
        trips = self.trips if self.site.loops else 1
        return self.batch * self.k * self.n * trips if self.kind == WEIGHT else 0


@dataclass(frozen=True)
class Share:
    """Products, multiply-accumulates and weights, in all and on the chip. `layer` is `None` outside the layers."""

    layer: int | None
    products: int
    products_on_chip: int
    macs: int
    macs_on_chip: int
    weights: int
    weights_on_chip: int


@dataclass(frozen=True)
class Group:
    """Sites that are alike but for their layer: `count` of them under one name with `*` for the layer."""

    name: str
    kind: str
    on_chip: bool
    reason: str | None
    count: int
    macs: int
    macs_on_chip: int


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
        return sum(row.macs_on_chip for row in self.products)

    @property
    def mac_share(self) -> float:
        """Share of the multiply-accumulates that the chip does."""
        return self.macs_on_chip / self.macs_total

    @property
    def total(self) -> Share:
        """All products of a run together."""
        return _share(None, self.products)

    def layers(self) -> tuple[Share, ...]:
        """What each layer has and the chip does of it; first what belongs to no layer. Stacks are added up."""
        members: dict[int | None, list[Placement]] = {}
        for row in self.products:
            members.setdefault(row.site.layer, []).append(row)
        order = sorted(members, key=lambda layer: -1 if layer is None else layer)
        return tuple(_share(layer, members[layer]) for layer in order)

    def groups(self) -> tuple[Group, ...]:
        """The rows collapsed over layers, for a table that fits a screen."""
        members: dict[tuple, list[Placement]] = {}
        for row in self.rows:
            members.setdefault((without_layers(row.name), row.kind, row.on_chip, row.reason), []).append(row)
        return tuple(
            Group(
                name,
                kind,
                on_chip,
                reason,
                len(rows),
                sum(row.macs for row in rows),
                sum(row.macs_on_chip for row in rows),
            )
            for (name, kind, on_chip, reason), rows in members.items()
        )

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, strings and lists, for JSON."""
        return {
            "mac_share": self.mac_share,
            "macs_total": self.macs_total,
            "macs_on_chip": self.macs_on_chip,
            "weights_total": self.total.weights,
            "weights_on_chip": self.total.weights_on_chip,
            "products_total": self.total.products,
            "products_on_chip": self.total.products_on_chip,
            "layers": [asdict(share) for share in self.layers()],
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
        "weights": row.weights,
        "digital_columns": row.digital_columns,
    }


def _share(layer: int | None, rows: Sequence[Placement]) -> Share:
    on_chip = [row for row in rows if row.on_chip]
    return Share(
        layer,
        products=len(rows),
        products_on_chip=len(on_chip),
        macs=sum(row.macs for row in rows),
        macs_on_chip=sum(row.macs_on_chip for row in on_chip),
        weights=sum(row.weights for row in rows),
        weights_on_chip=sum(row.weights for row in on_chip),
    )


def place(site: Site, rules: Sequence[Rule], chip: AbstractMatmulUnit, layers: Layers = NO_LAYERS) -> Placement:
    """Where the rules, and what a chip can do, put a site; `layers` as `layer_counts` gives it."""
    if site.kind == FOLDED:
        return Placement(site, reason="made of weights and constants alone: computed once, with the weights")
    if site.k == 1:
        return Placement(site, reason=OUTER_PRODUCT)
    rule = deciding_rule(rules, site, layers)
    unit = rule.unit(chip)
    if unit is None:
        by_default = any(rule is other for other in DEFAULT_RULES)
        reason = f"rule {rule}" if rule.reason is None else f"{rule.reason}{' (default)' if by_default else ''}"
        return Placement(site, reason=reason, ruled=True)
    if site.obstacle is not None:
        return Placement(site, reason=site.obstacle)
    return Placement(site, unit)


def coverage(sites: Sequence[Site], rules: Sequence[Rule], chip: AbstractMatmulUnit) -> Coverage:
    """Place every site, and note the rules that decide none."""
    layers, made = layer_counts(site.name for site in sites), with_units(rules, chip)
    return Coverage(tuple(place(site, made, chip, layers) for site in sites), unused_rules(rules, sites))


def check_strict(table: Coverage, uncounted: Sequence[str] = ()) -> None:
    """Refuse a product that stays digital though no rule sent it there, or that is not even counted, and a rule that
    decides nothing."""
    if uncounted:
        raise PhotonsimError(f"strict: {uncounted[0]} multiplies sparse matrices, which stay digital. Make them dense.")
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
