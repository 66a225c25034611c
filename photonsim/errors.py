"""The one exception users meet: a sentence that says what was given, what is wrong with it, and the fix."""

import difflib
from collections.abc import Iterable


class PhotonsimError(ValueError):
    """Input that cannot be right. The message is written for the person who typed it; the CLI exits with 2."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: `Did you mean a, b? Known: ...`."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"Did you mean {', '.join(close)}? " if close else ""
    return f"{hint}Known: {', '.join(known)}."
