"""What a damaged file of weights does to the library that reads it, as one sentence."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from photonsim.errors import PhotonsimError


@contextlib.contextmanager
def damage_as_a_sentence(path: Path, kind: str, missing: str) -> Iterator[None]:
    """Whatever reading a file of a `kind` raises, as a `PhotonsimError`.

    `missing`: what to say after the path of a key that is not there, with `{}` for its name.
    """
    try:
        yield
    except PhotonsimError:
        raise
    except OSError as error:
        raise PhotonsimError(f"Cannot read {path}: {error.strerror}.") from error
    except KeyError as error:
        raise PhotonsimError(f"{path} {missing.format(error.args[0])}") from error
    except Exception as error:  # the readers have no common class for the many ways in which bytes can be wrong
        raise PhotonsimError(
            f"{path} is not a complete {kind} file (truncated or corrupt): copy or download it again."
        ) from error
