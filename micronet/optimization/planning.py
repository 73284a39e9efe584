"""From a foreseen loss to a plan: options chosen layer by layer, or one width for everything of a kind."""

import json
from collections.abc import Mapping
from itertools import product

from micronet.graph.grid import Grid
from micronet.optimization.gate_options import GateOption
from micronet.optimization.lagrangian import choose, multiplier_for_loss, total
from micronet.optimization.layer_options import LayerOption, OperandBits, score_tradeoff
from micronet.optimization.objective import ScoreTradeoff
from micronet.optimization.plan import LayerChoice, NamedPlan, NetworkPlan, short_name
from micronet.optimization.search_setup import SearchSetup
from micronet.optimization.survey import Survey, every_width


class Planner:
    """Plans for the network of a setup, by its survey. Losses are squared changes of the logits, as options foresee."""

    def __init__(self, setup: SearchSetup, survey: Survey) -> None:
        self._setup, self._survey = setup, survey
        self._trades = setup.settings.sparsify and setup.settings.correct

    def by_layer(self, loss: float) -> NamedPlan:
        """The lowest score for about this loss, every part of the network on an option of its own."""
        layers, gates = self._survey.layers, self._survey.gates
        multiplier = multiplier_for_loss([*layers.values(), *gates.values()], loss)
        chosen = choose(layers, multiplier), choose(gates, multiplier)
        return self._planned(f"by layer, foreseen loss {loss:.4g}", *chosen, loss_per_score=multiplier)

    def uniform(self, loss: float) -> NamedPlan:
        """The lowest score for this loss at most, or the least loss, with one width for all weights, one for all that
        layers read and one for all hard swishes."""
        settings = self._setup.settings
        widths = map(every_width, (settings.weight_bits, settings.input_bits, settings.gate_bits))
        found = [self._of_widths(*each) for each in product(*widths)]
        within = [one for one in found if one.foreseen.loss <= loss]
        return (
            min(within, key=lambda one: one.foreseen.cost) if within else min(found, key=lambda one: one.foreseen.loss)
        )

    def _of_widths(self, weights: int, inputs: int, gates: int) -> NamedPlan:
        layers = {
            name: next(one for one in found if _is_plain(one, weights, inputs))
            for name, found in self._survey.layers.items()
        }
        values = {
            name: next(one for one in found if (one.bits, one.rule) == (gates, "error"))
            for name, found in self._survey.gates.items()
        }
        read = f", {gates} of what hard swishes read" if values else ""
        return self._planned(f"weights of {weights} bits, {inputs} of what layers read{read}", layers, values)

    def _planned(
        self,
        words: str,
        layers: Mapping[str, LayerOption],
        gates: Mapping[str, GateOption],
        loss_per_score: float | None = None,
    ) -> NamedPlan:
        """With `loss_per_score`, rounding trades errors for a lower score too, where the settings let it."""
        traded = loss_per_score if self._trades else None
        chosen = {name: (one.weight_bits, one.input_bits, one.rule, one.support) for name, one in layers.items()}
        gated = {name: (one.bits, one.rule) for name, one in gates.items()}
        return NamedPlan(
            name=short_name(json.dumps([chosen, gated, traded])),
            description=words,
            plan=self._plan(layers, gates, traded),
            foreseen=total([*layers.values(), *gates.values()]),
        )

    def _plan(
        self, layers: Mapping[str, LayerOption], gates: Mapping[str, GateOption], loss_per_score: float | None
    ) -> NetworkPlan:
        settings, survey = self._setup.settings, self._survey
        choices = {
            name: LayerChoice(
                one.weight_bits,
                survey.inputs(name, one),
                survey.places[name][one.support],
                None if loss_per_score is None else self._tradeoff(name, one, loss_per_score),
            )
            for name, one in layers.items()
        }
        values: dict[str, int | Grid] = dict.fromkeys(self._setup.network.values, settings.value_bits)
        values |= {name: survey.gate(name, one) for name, one in gates.items()}
        return NetworkPlan(choices, values, settings.bias_bits)

    def _tradeoff(self, name: str, option: LayerOption, loss_per_score: float) -> ScoreTradeoff:
        setup = self._setup
        widths = OperandBits(option.weight_bits, option.input_bits, setup.settings.bias_bits)
        return score_tradeoff(
            setup.network.layers[name], self._survey.errors[name], widths, setup.layer_score, loss_per_score
        )


def _is_plain(option: LayerOption, weights: int, inputs: int) -> bool:
    """Whether it is of these widths, of all weights, and its grid by the rule that all other values follow."""
    return (option.weight_bits, option.input_bits, option.rule, option.support) == (weights, inputs, "error", 0)
