"""What hardware, energy, people and data cost in dollars: dated inputs, each with its source and range (`prices.toml`).

An accelerator is bought with a server and a share of a network around it, written off over its lifetime, kept up, and
paid for in the hours in which it does something (Cottier et al. 2024, arXiv 2405.21015, without our last two):

    capital = price · server_ratio / (1 − network_share)
    $/hour = capital · (recovery + upkeep) / (8766 · busy_share)
    recovery = r / (1 − (1 + r)^−lifetime),   1 / lifetime at no interest
"""

import functools
import importlib.resources
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import equinox as eqx

from photonsim.chip import Source
from photonsim.chip.defaults import UNSOURCED
from photonsim.errors import PhotonsimError, check_fraction, check_number, nearest

HOURS_PER_YEAR = 8766.0
PHOTONIC = "photonic-chip"  # what every photonic chip is priced as: none has a public price


class Accelerator(eqx.Module):
    """What one accelerator costs.

    - `price_usd`: to buy, without server and network.
    - `rent_usd_per_hour`: of a cloud, all included; 0 where there is none.
    - `training_ops_per_s`: dense peak in the 16-bit format that models are trained in; 0 where it has none.
    """

    name: str = eqx.field(static=True)
    price_usd: float
    rent_usd_per_hour: float = 0.0
    training_ops_per_s: float = 0.0

    def __check_init__(self):
        for field in ("price_usd", "rent_usd_per_hour", "training_ops_per_s"):
            check_number(f"{self.name}.{field}", getattr(self, field), at_least=0.0)


class Prices(eqx.Module):
    """Everything that money is computed from.

    - `electricity_usd_per_kwh`: at the meter of the building.
    - `server_ratio`: servers over the accelerators in them; `network_share`: of the network in the whole cluster.
    - `lifetime_years`, `interest_per_year`, `upkeep_per_year`: how capital is paid for, see the module's header.
    - `busy_share`: share of its hours in which serving hardware answers somebody.
    - `model_flops_utilisation`: share of the peak that training reaches.
    - `experiments_ratio`: compute of experiments over that of the final run.
    - `staff_years`, `salary_usd_per_year`, `data_usd`: people and data of one model.
    """

    electricity_usd_per_kwh: float
    server_ratio: float
    network_share: float
    lifetime_years: float
    interest_per_year: float
    upkeep_per_year: float
    busy_share: float
    model_flops_utilisation: float
    experiments_ratio: float
    staff_years: float
    salary_usd_per_year: float
    data_usd: float
    accelerators: dict[str, Accelerator]
    sources: tuple[tuple[str, Source], ...] = eqx.field(static=True, default=())

    def __check_init__(self):
        free = ("electricity_usd_per_kwh", "network_share", "interest_per_year", "upkeep_per_year", "experiments_ratio")
        for name in (*free, "staff_years", "salary_usd_per_year", "data_usd"):
            check_number(name, getattr(self, name), at_least=0.0)
        check_number("lifetime_years", self.lifetime_years, above=0.0)
        check_number("server_ratio", self.server_ratio, at_least=1.0)
        for name in ("busy_share", "model_flops_utilisation"):
            check_fraction(name, getattr(self, name))
        if isinstance(self.network_share, int | float) and self.network_share >= 1:
            raise PhotonsimError(f"network_share = {self.network_share:g}: the network is not the whole cluster.")

    def capital_usd(self, price_usd):
        """An accelerator with its share of server and network."""
        return price_usd * self.server_ratio / (1 - self.network_share)

    @property
    def recovery_per_year(self):
        """Share of the capital that every year of the lifetime pays back, interest included."""
        interest, years = self.interest_per_year, self.lifetime_years
        if isinstance(interest, int | float) and interest == 0:
            return 1 / years
        return interest / (1 - (1 + interest) ** -years)

    def hour_usd(self, price_usd, busy_share=1.0):
        """Dollars for an hour of use of an accelerator that is used for `busy_share` of its life; no energy."""
        yearly = self.recovery_per_year + self.upkeep_per_year
        return self.capital_usd(price_usd) * yearly / (HOURS_PER_YEAR * busy_share)

    def energy_usd(self, joules):
        """Dollars for joules at the meter: cooling included by whoever counts them."""
        return joules / 3.6e6 * self.electricity_usd_per_kwh


def default_prices() -> Prices:
    """The prices that ship with photonsim."""
    return _read(_shipped())


def with_prices(assignments: Mapping[str, float]) -> Prices:
    """The default prices with some changed: `{"electricity_usd_per_kwh": 0.05, "h100-int8.price_usd": 20000}`.

    A changed price loses its source: it is now the user's. A new accelerator comes into being with its `price_usd`.
    """
    table = {name: dict(entry) for name, entry in _shipped().items()}
    table["accelerators"] = {name: dict(entry) for name, entry in table["accelerators"].items()}
    for name, value in assignments.items():
        owner, _, field = name.rpartition(".")
        if (owner not in table["accelerators"] and name not in table) or field == "accelerators":
            raise PhotonsimError(f"Price {name!r} is unknown. {nearest(name, price_names())}")
        if owner and field not in ACCELERATOR_FIELDS:
            raise PhotonsimError(f"Price {name!r} is unknown. {nearest(name, price_names())}")
        (table["accelerators"][owner] if owner else table)[field] = {"value": value}
    return _read(table)


def listed(prices: Prices) -> Iterator[tuple[str, float, Source]]:
    """Every price: its name, its value, where it is from."""
    sources = dict(prices.sources)
    for name in price_names():
        owner, _, field = name.rpartition(".")
        value = getattr(prices.accelerators[owner] if owner else prices, field)
        if value or name in sources:
            yield name, value, sources.get(name, UNSOURCED)


ACCELERATOR_FIELDS = ("price_usd", "rent_usd_per_hour", "training_ops_per_s")


def price_names() -> list[str]:
    """Names of all prices, as they are set."""
    shipped = _shipped()
    general = [name for name in shipped if name != "accelerators"]
    return general + [f"{name}.{field}" for name in shipped["accelerators"] for field in ACCELERATOR_FIELDS]


@functools.cache
def _shipped() -> dict[str, Any]:
    text = importlib.resources.files("photonsim.cost").joinpath("prices.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _read(table: Mapping[str, Any]) -> Prices:
    general = {name: entry for name, entry in table.items() if name != "accelerators"}
    entries = {f"{owner}.{field}": each for owner, own in table["accelerators"].items() for field, each in own.items()}
    sources = {name: _source(entry) for name, entry in (general | entries).items() if "source" in entry}
    accelerators = {
        owner: Accelerator(owner, **{field: entry["value"] for field, entry in own.items()})
        for owner, own in table["accelerators"].items()
    }
    values = {name: entry["value"] for name, entry in general.items()}
    return Prices(**values, accelerators=accelerators, sources=tuple(sources.items()))


def _source(entry: Mapping[str, Any]) -> Source:
    low, high = entry.get("range", (None, None))
    return Source(entry["source"], entry.get("assumed", False), low, high)
