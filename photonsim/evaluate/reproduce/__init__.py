"""Published numbers, computed again: one file per kind of source, one `Row` per number.

No preset and no tolerance is tuned until a row passes; a row that cannot pass says why. A file's rows are its `ROWS`.
"""

from photonsim.evaluate.reproduce import (
    albireo,
    chips,
    devices,
    envise,
    laws,
    lightening_transformer,
    money,
    peaks,
    scaling,
)
from photonsim.evaluate.reproduce.row import EXPLAINED as EXPLAINED
from photonsim.evaluate.reproduce.row import FAILS as FAILS
from photonsim.evaluate.reproduce.row import HOLDS as HOLDS
from photonsim.evaluate.reproduce.row import Comparison as Comparison
from photonsim.evaluate.reproduce.row import Row as Row
from photonsim.evaluate.reproduce.row import compare as compare
from photonsim.evaluate.reproduce.row import select as select

ROWS: tuple[Row, ...] = (
    *laws.ROWS,
    *devices.ROWS,
    *peaks.ROWS,
    *chips.ROWS,
    *lightening_transformer.ROWS,
    *albireo.ROWS,
    *envise.ROWS,
    *scaling.ROWS,
    *money.ROWS,
)
