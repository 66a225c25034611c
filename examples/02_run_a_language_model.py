"""A small language model twice over the same text, digitally and on Lightmatter's Envise: perplexity, joules, a figure.

    python 02_run_a_language_model.py [FIGURE.png]

The model is the tiny one that ships (361,088 parameters). Any other of the Llama family is `load("folder")` away.
"""

import sys
import tempfile
from pathlib import Path

from photonsim.chip import load_chip
from photonsim.evaluate import run
from photonsim.models import load, sample_text
from photonsim.report import save_run_figure
from photonsim.report.quantities import si

model = load("tiny")
chip = load_chip("lightmatter-envise-2025")
result = run(model, chip, sample_text(), tokens=1024, context=256, seed=0)

share = 100 * result.coverage.mac_share
per_token_j = result.bill.per_token(result.context)
print(f"{model.name} on {chip.title}, {result.tokens} tokens, {share:.0f} % of the multiply-accumulates on the chip")
print(f"  perplexity, digital       {result.digital.perplexity:8.2f}")
print(f"  perplexity, on the chip   {result.on_chip.perplexity:8.2f}")
print(f"  same most likely token    {100 * float(result.on_chip.top1_agrees.mean()):8.1f} %")
print(f"  energy per token          {si(per_token_j, 'J'):>11}")
for baseline in result.baselines:
    print(f"    {baseline.title}: {si(baseline.bill.per_token(result.context), 'J')}")

path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()) / "run.png"
save_run_figure(result, path)
print(f"figure: {path}")

assert result.on_chip.perplexity > result.digital.perplexity, "errors of this size do not make a model better"
