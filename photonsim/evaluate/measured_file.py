"""What was measured on a chip, from files: pairs of expected and observed codes, and sweeps of one code.

An `.npz` may hold all of it:

    expected, observed               (vectors, columns)               needed
    input_codes, input_readings      (steps,), (steps, inputs)        a sweep of the inputs
    weight_codes, weight_readings    (steps,), (steps, rows, columns) a sweep of the weights

A `.csv` holds one thing, with a header and a line for each reading, in any order:

    column, expected, observed       pairs; with `vector` beside them, or else each column's lines in the same order
    input, code, reading             a sweep of the inputs
    row, column, code, reading       a sweep of the weights
"""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from photonsim.errors import PhotonsimError
from photonsim.evaluate.measurement import Measurement
from photonsim.evaluate.transfer import InputSweep, WeightSweep

PAIRS = ("expected", "observed")
INPUT_ARRAYS = ("input_codes", "input_readings")
WEIGHT_ARRAYS = ("weight_codes", "weight_readings")


def read_measurement(path: Path, tile_columns: int) -> Measurement:
    """Expected and observed codes from an `.npz` or a `.csv`."""
    if path.suffix == ".npz":
        expected, observed = _arrays(path, PAIRS)
    else:
        expected, observed = _pairs(_read_csv(path, ("column", *PAIRS)), path)
    return Measurement(expected, observed, tile_columns)


def read_input_sweep(path: Path) -> InputSweep:
    """A sweep of the inputs from an `.npz` or a `.csv`."""
    if path.suffix == ".npz":
        return InputSweep(*_arrays(path, INPUT_ARRAYS))
    codes, readings = _grid(_read_csv(path, ("input", "code", "reading")), ("input",), path)
    return InputSweep(codes, readings)


def read_weight_sweep(path: Path) -> WeightSweep:
    """A sweep of the weights from an `.npz` or a `.csv`."""
    if path.suffix == ".npz":
        return WeightSweep(*_arrays(path, WEIGHT_ARRAYS))
    codes, readings = _grid(_read_csv(path, ("row", "column", "code", "reading")), ("row", "column"), path)
    return WeightSweep(codes, readings)


def holds(path: Path, names: Sequence[str]) -> bool:
    """Whether an `.npz` has any of some arrays; a `.csv` has only what it is read for."""
    if path.suffix != ".npz":
        return False
    with _opened(path) as arrays:
        return bool(set(names) & set(arrays.files))


def _opened(path: Path) -> np.lib.npyio.NpzFile:
    try:
        arrays = np.load(path)
    except OSError as error:
        raise PhotonsimError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, EOFError, zipfile.BadZipFile):
        raise PhotonsimError(f"{path} is not an .npz file: write it with numpy.savez.") from None
    if not isinstance(arrays, np.lib.npyio.NpzFile):
        raise PhotonsimError(f"{path} is one array, not an .npz file: write it with numpy.savez.")
    return arrays


def _arrays(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    with _opened(path) as arrays:
        missing = [name for name in names if name not in arrays.files]
        if missing:
            raise PhotonsimError(
                f"{path} holds no {' and no '.join(missing)}: it needs the arrays {' and '.join(names)}; found "
                f"{', '.join(arrays.files) or 'none'}."
            )
        try:
            return [np.asarray(arrays[name], np.float64) for name in names]
        except (TypeError, ValueError):
            raise PhotonsimError(f"{path}: {' and '.join(names)} must be arrays of numbers.") from None
        except (zipfile.BadZipFile, zlib.error, EOFError):
            raise PhotonsimError(f"{path} is damaged: write it again.") from None


def _read_csv(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns of a CSV by name, those of `names` at least."""
    if path.suffix != ".csv":
        raise PhotonsimError(f"{path}: a measurement is an .npz or a .csv file.")
    try:
        header, _, body = path.read_text(encoding="utf-8-sig").partition("\n")
    except OSError as error:
        raise PhotonsimError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise PhotonsimError(f"{path} is not UTF-8 text.") from None
    found = [name.strip().strip('"') for name in header.split(",")]
    missing = [name for name in names if name not in found]
    if missing:
        raise PhotonsimError(
            f"{path} has no column {' and no '.join(missing)}: its first line must name {', '.join(names)}; it reads "
            f"{header.strip()[:60]!r}."
        )
    lines = [line for line in body.splitlines() if line.strip()]
    try:
        table = np.loadtxt(lines, delimiter=",", ndmin=2) if lines else np.zeros((0, len(found)))
    except ValueError as error:
        raise PhotonsimError(f"{path} holds something that is not a number: {str(error).rstrip('.')}.") from None
    if table.shape[1] != len(found):
        raise PhotonsimError(f"{path}: the header names {len(found)} columns, the lines have {table.shape[1]}.")
    return {name: table[:, place] for place, name in enumerate(found)}


def _pairs(table: dict[str, np.ndarray], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Expected and observed, (vectors, columns): by vector where the file numbers them, else in the order of lines."""
    vector = table.get("vector", np.arange(len(table["column"])))
    order = np.lexsort((vector, table["column"]))
    columns, counts = np.unique(table["column"], return_counts=True)
    if len(set(counts)) > 1:
        raise PhotonsimError(f"{path}: columns have from {counts.min()} to {counts.max()} lines; each needs as many.")
    shape = (max(len(columns), 1), -1) if len(columns) else (0, 0)
    expected, observed = (table[name][order].reshape(shape).T for name in PAIRS)
    return expected, observed


def _grid(table: dict[str, np.ndarray], curves: Sequence[str], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Codes (steps,) and readings (steps, …) of a file that has every code of every curve once."""
    keys = [np.unique(table[name], return_inverse=True) for name in ("code", *curves)]
    shape = tuple(len(values) for values, _ in keys)
    place = np.ravel_multi_index([index for _, index in keys], shape) if 0 not in shape else np.zeros(0, int)
    if len(np.unique(place)) != len(place) or len(place) != int(np.prod(shape)):
        raise PhotonsimError(
            f"{path}: {len(place):,} lines are no full grid of {' × '.join(f'{n:,}' for n in shape)} "
            f"(code × {' × '.join(curves)}): every combination is needed, once."
        )
    readings = np.empty(len(place))
    readings[place] = table["reading"]
    return keys[0][0], readings.reshape(shape)
