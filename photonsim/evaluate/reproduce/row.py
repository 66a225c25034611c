"""A published number beside ours, and what is said about the two."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from photonsim.errors import PhotonsimError, nearest

HOLDS = "holds"
FAILS = "fails"
EXPLAINED = "explained"  # it differs, and why is known


@dataclass(frozen=True)
class Row:
    """A number that others published, and the computation that should give it.

    - `ours`: computes our number by photonsim's own models.
    - `tolerance`: largest difference that holds, relative to `published`; `reason` says what sets it.
    - `known_difference`: why the row cannot hold, where that is known; such a row is printed, and fails nothing.
    - `note`: what a reader should know about the number.
    """

    name: str
    what: str
    unit: str
    ours: Callable[[], float]
    published: float
    tolerance: float
    reason: str
    source: str
    note: str = ""
    known_difference: str = ""


@dataclass(frozen=True)
class Comparison:
    """A row with our number in it."""

    row: Row
    ours: float

    @property
    def relative_difference(self) -> float:
        """`(ours − published) / |published|`."""
        return (self.ours - self.row.published) / abs(self.row.published)

    @property
    def verdict(self) -> str:
        """Whether the row holds; a NaN does not."""
        if abs(self.relative_difference) <= self.row.tolerance:
            return HOLDS
        return EXPLAINED if self.row.known_difference else FAILS

    @property
    def remark(self) -> str:
        """The note of the row and, where it differs for a known reason, that reason."""
        known = self.row.known_difference if self.verdict == EXPLAINED else ""
        return " ".join(part for part in (self.row.note, known) if part)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "row": self.row.name,
            "what": self.row.what,
            "unit": self.row.unit,
            "ours": self.ours,
            "published": self.row.published,
            "relative_difference": self.relative_difference,
            "tolerance": self.row.tolerance,
            "reason": self.row.reason,
            "source": self.row.source,
            "verdict": self.verdict,
            "note": self.remark,
        }


def compare(row: Row) -> Comparison:
    """Compute our number."""
    return Comparison(row, float(row.ours()))


def select(rows: Iterable[Row], names: Iterable[str]) -> list[Row]:
    """The rows of these names, in their own order; all rows where no name is given.

    A name is a row's, with its section or without, or a section's. Raises `PhotonsimError` for one that is unknown.
    """
    rows, names = list(rows), list(names)
    known = {name for row in rows for name in _names(row)}
    for name in names:
        if name not in known:
            close = nearest(name, known).partition("Known:")[0]
            sections = ", ".join(dict.fromkeys(row.name.split("/")[0] for row in rows))
            raise PhotonsimError(f"Row {name!r} is unknown. {close}Sections of rows: {sections}.")
    return [row for row in rows if not names or _names(row) & set(names)]


def _names(row: Row) -> set[str]:
    section, short = row.name.split("/")
    return {row.name, section, short}
