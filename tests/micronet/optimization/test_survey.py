"""What there is to choose from, written down and read again."""

import torch
from torch import nn

from micronet.analysis.counts import LayerCounts
from micronet.contract import OptimizeSettings
from micronet.graph.capture import capture
from micronet.graph.grid import Grid
from micronet.journal import MemoryJournal
from micronet.optimization.network_parts import network_parts
from micronet.optimization.survey import Survey, survey
from tests.micronet import networks

SETTINGS = OptimizeSettings(weight_bits=(3, 5), input_bits=(4, 6), gate_bits=(5, 6))


def layer_score(layer: LayerCounts) -> float:
    return float(layer.operations.multiplications + sum(parameter.nonzero for parameter in layer.parameters))


def surveyed() -> Survey:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [nn.Conv2d(4, 8, 1), nn.Hardswish(), nn.Conv2d(8, 8, 3, groups=8), nn.Hardswish()]
        module = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)).eval()
    of = network_parts(capture(module.requires_grad_(False), networks.IMAGE))
    return survey(of, networks.images(64), SETTINGS, layer_score)


def test_a_journal_gives_back_what_it_was_given() -> None:
    found, journal = surveyed(), MemoryJournal()
    journal.write("survey", found.entry())
    entry = journal.read("survey")
    assert entry is not None
    again = Survey.of(entry)
    assert (again.layers, again.gates, again.grids) == (found.layers, found.gates, found.grids)
    for name, places in found.places.items():
        assert all(map(torch.equal, places, again.places[name]))
        assert len(places) == len(again.places[name])
    assert found.errors.keys() == again.errors.keys()
    assert all(torch.equal(errors, again.errors[name]) for name, errors in found.errors.items())


def test_an_entry_has_the_names_that_journals_have() -> None:
    facts = surveyed().entry().facts
    assert facts.keys() == {"layers", "gates", "ranges"}
    (layer, *_), (gate, *_) = (next(iter(facts[kind].values())) for kind in ("layers", "gates"))
    assert layer.keys() == {"weight_bits", "input_bits", "rule", "support", "loss", "cost"}
    assert gate.keys() == {"bits", "rule", "loss", "cost"}
    _, (placed, *_) = facts["ranges"][0]
    assert placed.keys() == {"ends", "step", "rule", "noise"}


def test_every_width_is_offered_and_every_option_says_what_is_read() -> None:
    found = surveyed()
    assert {one.rule for options in found.layers.values() for one in options} == {"error", "answers"}
    assert found.layers.keys() == found.places.keys() == found.errors.keys()
    for name, options in found.layers.items():
        assert {one.weight_bits for one in options} == {3, 4, 5}
        assert {one.input_bits for one in options} == {4, 5, 6}
        for one in options:
            read = found.inputs(name, one)
            assert (read.bits if isinstance(read, Grid) else read) == one.input_bits
            assert isinstance(read, Grid) is (one.rule == "answers")
    for name, gates in found.gates.items():
        assert {one.bits for one in gates} == {5, 6}
        assert all(isinstance(found.gate(name, one), Grid) is (one.rule == "answers") for one in gates)
