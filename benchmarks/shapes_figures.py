"""The four figures of the shapes: ours on the left, the published on the right."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from shapes_points import (
    ABFP,
    DEIT_MAGNITUDE,
    DEIT_PHASE,
    PILOT,
    PILOT_PHOTONS,
    QWEN,
    Points,
    cases,
    curve,
    models_in,
    operand_curve,
    photon_curves,
)

from photonsim.report.figure import PALETTE

WORST = 1e6  # perplexities beyond are drawn here
DASHES = {"tiny": "--", "smollm2-135m": "-"}


def gain_figure(axes: Sequence[Axes], points: Points) -> None:
    ours, theirs = axes
    for (model, block), colour in cases(points, "gain"):
        x, y, own = curve(points, "gain", model, block)
        ours.plot(x, np.minimum(y / own, WORST), DASHES[model], marker=".", color=colour, label=f"{model}, {block}")
    ours.set(xscale="log", yscale="log", xlabel="gain before the output converter", ylabel="perplexity over digital")
    ours.set_xscale("log", base=2)
    ours.set(title="Ours: 8/8/8 bits, by block", ylim=(0.5, 1e10))
    ours.legend(fontsize=7, frameon=False, ncols=2, loc="upper right", handlelength=3.2)
    theirs.axhline(ABFP["fp32"], color=PALETTE[7], ls=":", label="FP32")
    theirs.plot(ABFP["gains"], ABFP["top1"], "o", color=PALETTE[4], label="blocks of 128")
    theirs.set_xscale("log", base=2)
    theirs.set(xlabel="gain", ylabel="top-1, %", xlim=(0.8, 80), title="Published: ResNet-50, 8/8/8 bits")
    theirs.legend(fontsize=7, frameon=False)


def bits_figure(axes: Sequence[Axes], points: Points) -> None:
    ours, theirs = axes
    for (model, granularity), colour in cases(points, "bits"):
        x, y, own = curve(points, "bits", model, granularity)
        ours.plot(
            x, np.minimum(y / own, WORST), DASHES[model], marker=".", color=colour, label=f"{model}, {granularity}"
        )
    for place, (granularity, values) in enumerate(QWEN.items()):
        label = "feature" if granularity == "vector" else granularity
        theirs.plot(
            (8, 7, 6, 5, 4), np.array(values) / 6.79, ".-", color=PALETTE[(3, 2, 4)[place]], label=f"per {label}"
        )
    for panel, title in ((ours, "Ours: linear layers"), (theirs, "Published: Qwen2.5-7B")):
        panel.set(yscale="log", xlabel="bits of an activation", ylabel="perplexity over exact", title=title)
        panel.invert_xaxis()
        panel.legend(fontsize=7, frameon=False, handlelength=3.2)


def photons_figure(axes: Sequence[Axes], points: Points) -> None:
    ours, theirs = axes
    for (training, (x, y, error, ideal)), colour in zip(
        photon_curves(points).items(), (PALETTE[3], PALETTE[4]), strict=True
    ):
        ours.errorbar(x, y, error, fmt=".-", color=colour, label=f"{training} training")
        ours.axhline(ideal, color=colour, lw=0.7, ls=":")
    for (data, training), values in PILOT.items():
        style = "-" if data == "MNIST" else "--"
        colour = PALETTE[3] if training == "digital" else PALETTE[4]
        theirs.plot(PILOT_PHOTONS, values, style, marker=".", color=colour, label=f"{data}, {training}")
    for panel, title in ((ours, "Ours: 8 × 8 digits, 50,200 MACs"), (theirs, "Published: 266,000 MACs")):
        panel.set(
            xscale="log", xlabel="photons per multiply-accumulate", ylabel="accuracy, %", title=title, ylim=(0, 100)
        )
        panel.set_xlim(0.01, 100)
        panel.legend(fontsize=7, frameon=False)


def operands_figure(axes: Sequence[Axes], points: Points) -> None:
    names = {"magnitude": "σ of an operand's magnitude, ×100", "phase": "σ of its phase, degrees"}
    what = "digits" if "digits" in models_in(points, "operands") else "tiny"
    for sweep, colour in (("magnitude", PALETTE[3]), ("phase", PALETTE[4])):
        x, y, error = operand_curve(points, what, sweep)
        axes[0].errorbar(x * (100 if sweep == "magnitude" else 1), y, error, fmt=".-", color=colour, label=names[sweep])
        published = DEIT_MAGNITUDE if sweep == "magnitude" else DEIT_PHASE
        stretch = 100 if sweep == "magnitude" else 1
        axes[1].plot(
            [each * stretch for each in published], list(published.values()), ".-", color=colour, label=names[sweep]
        )
    label = "accuracy, %" if what == "digits" else "loss on the chip less digital, nats"
    axes[0].set(
        title=f"Ours: {what}, 4 bits, trained with the noise" if what == "digits" else "Ours: tiny, 4 bits",
        ylabel=label,
    )
    axes[1].set(title="Published: DeiT-T, 4 bits, trained with it", ylabel="top-1, %")
    for panel in axes:
        panel.set(xlabel="error")
        panel.legend(fontsize=7, frameon=False)
    spans = [panel.get_ylim() for panel in axes]
    if what == "digits":  # the same span of points in both
        width = max(high - low for low, high in spans) + 1
        for panel, (low, high) in zip(axes, spans, strict=True):
            panel.set_ylim((low + high - width) / 2, (low + high + width) / 2)
