"""Write the real output of the README's commands into the README: `python benchmarks/readme.py`.

A block between `<!-- begin: COMMAND -->` and `<!-- end -->` is replaced by what the command prints; `| accuracy` keeps
the first table alone. The figure of the first run goes to `docs/images/envise.png`.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIGURE = ROOT / "docs/images/envise.png"
BLOCK = re.compile(r"(<!-- begin: (?P<command>.*?)(?: \| (?P<part>\w+))? -->\n).*?(<!-- end -->)", re.DOTALL)


def output_of(command: str, part: str | None) -> str:
    """What a command prints, without trailing blanks; with `accuracy`, its first table."""
    words = shlex.split(command)
    if words[0] == "photonsim":
        words = [sys.executable, "-m", *words] + ([] if part else ["--plot", str(FIGURE)])
    else:
        words = [sys.executable, str(ROOT / words[0]), *words[1:]]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=FIGURE.parent)
    lines = [line.rstrip() for line in done.stdout.splitlines() if not line.startswith("wrote ")]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
    return text.split("\n\nError budget")[0] if part == "accuracy" else text


def main() -> None:
    """Run every command of the README once and write the file."""
    FIGURE.parent.mkdir(parents=True, exist_ok=True)
    readme = ROOT / "README.md"

    def replaced(match: re.Match[str]) -> str:
        return f"{match[1]}```text\n{output_of(match['command'], match['part'])}\n```\n{match[4]}"

    readme.write_text(BLOCK.sub(replaced, readme.read_text()))


if __name__ == "__main__":
    main()
