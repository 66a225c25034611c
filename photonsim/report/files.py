"""Results onto disk, whole or not at all."""

import csv
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from photonsim.errors import PhotonsimError


def check_writable(path: Path) -> None:
    """Refuse, before a long run, a place where its result could not be written."""
    folder = path.parent
    if path.is_dir():
        raise PhotonsimError(f"{path} is a folder: give the name of a file in it.")
    if not folder.is_dir():
        raise PhotonsimError(f"{path} cannot be written: the folder {folder} does not exist.")
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise PhotonsimError(f"{path} cannot be written: permission denied.")


def write_json(record: Any, path: Path) -> None:
    """A record as indented UTF-8 JSON."""
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_csv(rows: Iterable[Sequence[str | float]], path: Path) -> None:
    """Rows as UTF-8 CSV."""

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)

    write_whole(path, write)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write through a temporary file beside `path` that takes its place at the end; a failure leaves nothing behind."""
    check_writable(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise PhotonsimError(f"{path} cannot be written: {error.strerror}.") from None
    finally:
        temporary.unlink(missing_ok=True)
