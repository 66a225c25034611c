"""Requests, several chips, the choice of a dataflow, break-even, sensitivity, and many chips at once."""

import time
from dataclasses import replace

import equinox as eqx
import numpy as np
import pytest

from photonsim.chip import load_chip
from photonsim.cost import ForwardPass, architecture, baselines, energy, forward, latency, load_architecture
from photonsim.cost.bill import SITE_BOUNDARIES
from photonsim.cost.break_even import ARRAY_SIZE, BATCH, CONVERTER_ENERGY, LASER_EFFICIENCY, break_even
from photonsim.cost.cluster import linked, several
from photonsim.cost.design_points import design_points
from photonsim.cost.mapping import INPUT_STATIONARY
from photonsim.cost.planning import OBJECTIVES, best_plan
from photonsim.cost.sensitivity import sensitivities
from photonsim.cost.serving import Request, concurrent_requests, last_step, serve, serve_digitally, workloads
from photonsim.cost.site import site_bill
from photonsim.cost.workload import Storage
from photonsim.errors import PhotonsimError

ENVISE, LIGHTENING = load_chip("lightmatter-envise-2025"), load_chip("lightening-transformer-b-4bit")
FLOOR = baselines()["nvidia-5nm-int4"]
MODEL = architecture(
    {
        "vocab_size": 512,
        "hidden_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 512,
        "tie_word_embeddings": True,
    },
    "small",
)
REQUEST = Request(prompt=32, output=9)


def test_a_request_costs_its_prefill_and_every_step_of_its_answer():
    """The step in the middle stands for all: their sum is reproduced to what the padding of tiles moves it."""
    service = serve(LIGHTENING, MODEL, REQUEST)
    first = energy(LIGHTENING, forward(MODEL, ForwardPass(1, 32))).total_j
    steps = [energy(LIGHTENING, forward(MODEL, ForwardPass(1, 1, past=32 + n))).total_j for n in range(1, 9)]
    assert service.j_per_request == pytest.approx(first + sum(steps), rel=0.01)
    assert service.first_token_s == latency(LIGHTENING, forward(MODEL, ForwardPass(1, 32))).seconds


def test_memory_must_hold_a_request_at_its_last_token():
    """What fits in the middle of an answer may not at its end."""
    long = REQUEST._replace(output=20_001)
    middle, last = workloads(MODEL, long)[1], last_step(MODEL, long)
    assert middle is not None
    assert last.resident_bits - last.model_bits == pytest.approx(
        2 * (middle.resident_bits - middle.model_bits), rel=0.01
    )
    between = replace(ENVISE.memory, dram_capacity_bits=(middle.resident_bits + last.resident_bits) / 2)
    with pytest.raises(PhotonsimError, match="too little"):
        serve(replace(ENVISE, memory=between), MODEL, long)
    board = replace(baselines()["h100-int8"], dram_capacity_bits=between.dram_capacity_bits)
    assert serve_digitally(board, ENVISE, MODEL, long).accelerators == 2


def test_a_larger_batch_spreads_the_weights():
    alone, together = (serve(ENVISE, MODEL, REQUEST._replace(batch=batch)) for batch in (1, 8))
    assert together.j_per_request < alone.j_per_request
    assert together.tokens_per_s > alone.tokens_per_s


def test_requests_that_fit_the_memory_do_and_one_more_does_not():
    room = ENVISE.memory.dram_capacity_bits
    fit = concurrent_requests(ENVISE, MODEL, REQUEST)
    full = REQUEST._replace(prompt=41, output=1)
    held = [workloads(MODEL, full._replace(batch=batch))[1] for batch in (fit, fit + 1)]
    assert [step is not None and step.resident_bits <= room for step in held] == [True, False]


def test_host_and_cooling_multiply_what_is_inside():
    """`(E + P t + bits e) PUE`, the same rule for a chip and for a board."""
    workload = forward(MODEL, ForwardPass(1, 32))
    for bill in (energy(ENVISE, workload), baselines()["h100-int8"].energy(ENVISE, workload)):
        host = ENVISE.host
        inside = bill.total_j + host.power_w * bill.seconds + workload.host_bits * host.link_j_per_bit
        site = site_bill(bill, ENVISE, workload)
        assert site.total_j == pytest.approx(inside * host.pue, rel=1e-12)
        assert list(site.by_boundary_j()) == list(SITE_BOUNDARIES)
        assert site.by_boundary_j()["+ memory"] == pytest.approx(bill.total_j, rel=1e-12)


def test_chips_that_share_the_layers_send_each_other_two_reductions_a_layer():
    """A ring of 4: each passes on 2 · 3/4 of rows × width numbers, twice a layer."""
    workload = forward(MODEL, ForwardPass(1, 32))
    ring = linked(workload, 4, "tensor")
    stream = 32 * 256 * 16
    assert ring.network_bits == 2 * 2 * 2 * 3 * stream
    assert ring.link_bits == ring.network_bits / 4
    assert ring.network_hops == 2 * 2 * 6
    line = linked(workload, 4, "pipeline")
    assert (line.network_bits, line.network_hops) == (3 * stream, 3)
    bill = energy(several(ENVISE, 4), ring)
    assert bill.component_j("network") == pytest.approx(ring.network_bits * ENVISE.network.link_j_per_bit)


def test_four_chips_are_four_times_as_fast_but_for_their_messages():
    """Wide products of many tiles: the rounds divide by four exactly, what the messages take comes on top."""
    model = architecture({**vars_of(), "hidden_size": 2048, "intermediate_size": 4096, "vocab_size": 4096})
    workload = forward(model, ForwardPass(1, 256))
    one, four = latency(ENVISE, workload), latency(several(ENVISE, 4), linked(workload, 4))
    messages = four.steps[-1].network_s
    assert four.seconds - messages == pytest.approx(one.seconds / 4, rel=0.05)
    assert messages > 0


def vars_of() -> dict:
    return {"num_hidden_layers": 2, "num_attention_heads": 16}


def test_a_pipeline_keeps_the_time_of_a_pass_and_has_as_many_under_way():
    one, line = serve(ENVISE, MODEL, REQUEST), serve(ENVISE, MODEL, REQUEST, chips=3, split="pipeline")
    assert line.under_way == 3
    assert line.first_token_s == pytest.approx(one.first_token_s, rel=0.05)
    assert line.tokens_per_s > 2.5 * one.tokens_per_s


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_best_plan_is_no_worse_than_the_usual_one(objective):
    for run in (ForwardPass(1, 32), ForwardPass(1, 1, past=32)):
        workload = forward(MODEL, run)
        plan, choices = best_plan(ENVISE, workload, objective)
        for choice in choices:
            scores = [option.score(objective) for option in choice.options]
            assert scores == sorted(scores)
        seconds = latency(ENVISE, workload, plan).seconds
        joules = energy(ENVISE, workload, plan=plan).total_j
        usual = (energy(ENVISE, workload).total_j, latency(ENVISE, workload).seconds)
        better = {"energy": joules <= usual[0], "latency": seconds <= usual[1]}
        assert better.get(objective, joules * seconds <= usual[0] * usual[1])


def test_a_single_row_is_best_written_into_the_cells_itself():
    """Decode at batch 1: the row is 256 cells, the weights 65,536; writing is what costs."""
    chip = eqx.tree_at(lambda c: c.memory.sram_capacity_bits, ENVISE, 0.0)
    _, choices = best_plan(chip, forward(MODEL, ForwardPass(1, 1, past=32)), "energy")
    found = {choice.product: choice for choice in choices}
    assert found["up_proj"].options[0].dataflow == INPUT_STATIONARY
    assert found["up_proj"].options[0].cells_written == 2 * 256
    assert "cells written against" in found["up_proj"].why("energy")


def test_at_break_even_light_costs_what_the_baseline_does():
    """Converters so dear that light loses to 3 pJ a MAC: at the factor that is found, the two requests are equal."""
    dear = eqx.tree_at(lambda c: c.tile.adc.energy_j, LIGHTENING, 1e-9)
    request, rival = Request(prompt=256, output=1), replace(FLOOR, mac_j=3e-12)
    large = load_architecture("gpt2")
    found = {each.setting: each for each in break_even(dear, large, request, rival)}
    converters = found[CONVERTER_ENERGY]
    assert not converters.wins_now
    assert converters.at is not None
    parts = ("input_dac", "weight_dac", "receiver", "adc")
    cheaper = [converters.at * getattr(dear.tile, part).energy_j for part in parts]
    even = eqx.tree_at(lambda c: [getattr(c.tile, part).energy_j for part in parts], dear, cheaper)
    light = serve(even, large, request).j_per_request
    assert light == pytest.approx(serve_digitally(rival, even, large, request).j_per_request, rel=1e-3)
    assert set(found) == {LASER_EFFICIENCY, CONVERTER_ENERGY, ARRAY_SIZE, BATCH}


def test_where_nothing_helps_the_answer_is_never():
    found = break_even(ENVISE, MODEL, REQUEST, FLOOR)
    laser = next(each for each in found if each.setting == LASER_EFFICIENCY)
    assert (laser.at, laser.wins_now) == (None, False)
    assert 1 < laser.ratio_best < laser.ratio_now


def test_a_sweep_over_many_chips_equals_the_bill_of_each():
    energies_j = np.geomspace(1e-13, 1e-10, 2000)
    found = design_points(LIGHTENING, MODEL, REQUEST, {"tile.adc.energy_j": energies_j})
    for index in (0, 999, 1999):
        chip = eqx.tree_at(lambda c: c.tile.adc.energy_j, LIGHTENING, float(energies_j[index]))
        service = serve(chip, MODEL, REQUEST)
        assert float(found.j_per_request[index]) == pytest.approx(service.j_per_request, rel=1e-5)
        assert float(found.s_per_request[index]) == pytest.approx(service.s_per_request, rel=1e-5)


def test_a_mixture_of_671_billion_parameters_is_priced_in_a_second():
    """Of processor time: 0.05 s where this was written, so the margin is for slow machines, not for slow code."""
    chip, model = load_chip("neurophos-t100"), load_architecture("deepseek-v3")
    start = time.process_time()
    service = serve(chip, model, Request(prompt=4096, output=512))
    assert service.j_per_request > 0
    assert time.process_time() - start < 1


def test_a_sweep_over_a_shape_is_refused():
    with pytest.raises(PhotonsimError, match=r"setting = 'tile\.rows' is unknown"):
        design_points(LIGHTENING, MODEL, REQUEST, {"tile.rows": np.ones(1)})
    with pytest.raises(PhotonsimError, match="as many values"):
        design_points(LIGHTENING, MODEL, REQUEST, {"tile.clock_hz": np.ones(1), "tile.adc.energy_j": np.ones(2)})


def test_halving_a_price_saves_half_of_its_lines():
    ranked = {each.setting: each for each in sensitivities(LIGHTENING, MODEL, REQUEST)}
    adc = ranked["tile.adc.energy_j"]
    service = serve(LIGHTENING, MODEL, REQUEST)
    assert service.decode is not None
    lines = [
        times * sum(charge.joules for charge in phase.bill.charges if charge.what == "ADC conversions")
        for times, phase in ((1, service.prefill), (8, service.decode))
    ]
    share = sum(lines) / service.j_per_request
    assert adc.elasticity == pytest.approx(share, rel=1e-4)
    assert adc.j_ratio == pytest.approx(1 - share / 2, rel=1e-6)
    assert ranked["tile.laser.wall_plug_efficiency"].factor == 2


def test_digital_hardware_answers_the_same_request():
    storage = Storage(weight_bits=4)
    answer = serve_digitally(baselines()["b200-fp4"], ENVISE, MODEL, REQUEST, storage)
    assert answer.decode is not None
    assert answer.prefill.workload == workloads(MODEL, REQUEST, storage)[0]
    assert answer.site_j_per_request > answer.j_per_request


def test_an_encoder_answers_in_one_pass():
    service = serve(LIGHTENING, load_architecture("deit-t"), Request())
    assert service.decode is None
    assert service.prefill.tokens == 198
    assert service.j_per_request == service.prefill.bill.total_j


def test_a_request_of_no_tokens_is_refused():
    with pytest.raises(PhotonsimError, match="output = 0"):
        serve(ENVISE, MODEL, REQUEST._replace(output=0))
    with pytest.raises(PhotonsimError, match=r"pipeline, tensor"):
        serve(ENVISE, MODEL, REQUEST, chips=2, split="half")
