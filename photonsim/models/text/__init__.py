"""Text to judge a language model on: the address that ships with the package, or any UTF-8 file."""

import importlib.resources
from pathlib import Path

from photonsim.errors import PhotonsimError


def sample_text() -> str:
    """The State of the Union address of 2021, public domain: 48 kB of English, about 10,000 tokens of SmolLM2."""
    file = importlib.resources.files(__name__) / "state_of_the_union_2021.txt"
    return file.read_text(encoding="utf-8")


def read_text(path: str | Path) -> str:
    """The contents of a UTF-8 text file. Raises `PhotonsimError` where there is none, or it holds something else."""
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise PhotonsimError(f"Cannot read the text {path}: {error.strerror}. Give a UTF-8 text file.") from error
    except UnicodeDecodeError as error:
        raise PhotonsimError(
            f"{path} is not UTF-8 text (byte {error.start} cannot be decoded): convert it, or give another file."
        ) from error
    if "\0" in text:
        raise PhotonsimError(f"{path} holds NUL bytes, so it is a binary file: give a UTF-8 text file.")
    return text
