"""From a network in floating point to networks at lower and lower scores: the front that an optimize job looks at."""

import math
from collections.abc import Callable

from micronet.contract import Accuracy
from micronet.journal import Entry, once
from micronet.optimization.closing_in import close_in
from micronet.optimization.front import Allowance
from micronet.optimization.network_maker import FrontNetwork, NetworkMaker, PointKind
from micronet.optimization.plan import NamedPlan
from micronet.optimization.planning import Planner
from micronet.optimization.search_setup import SearchSetup
from micronet.optimization.survey import Survey, survey

FIRST_LOSS = 0.03
"""Squared change of the logits, as options foresee it, that is tried first."""
SAFER = 0.94
"""Of the foreseen loss of a point, that of the next safer one: about one hundredth of its score."""


class FrontSearch:
    """Makes networks, of one family after the other; what was made before it was broken off is read, not made."""

    def __init__(self, setup: SearchSetup) -> None:
        self._maker = NetworkMaker(setup)
        self._planner = Planner(setup, _surveyed(setup))
        self.allowance = Allowance(setup.drop, self.before[1].top1)
        self.made: list[FrontNetwork] = []

    @property
    def before(self) -> tuple[Accuracy, Accuracy]:
        """The network in floating point, on held-out images and on hard ones."""
        return self._maker.before

    def searched(self, points: int) -> None:
        """Networks whose widths and zeros are chosen layer by layer, ever closer to what may be lost, for which half of
        `points` are to do, or four; then ever safer ones, which make the front, and are what is stepped back to."""
        family = self._family("searched", self._planner.by_layer)
        loss = close_in(family, FIRST_LOSS, points, enough=max(points // 2, 4))
        if loss is None:
            return
        for step in range(1, _MOST_STEPS + 1):
            if len(self.made) < points:
                family(loss * SAFER**step)  # which may come to a network that is there

    def uniform(self, points: int) -> None:
        """The same with one width for all weights, one for all that layers read and one for all hard swishes."""
        close_in(self._family("uniform", self._planner.uniform), FIRST_LOSS, points)

    def _family(self, kind: PointKind, plan_for: Callable[[float], NamedPlan]) -> Callable[[float], float]:
        """Makes networks of a kind for foreseen losses, each once, and says what share of what may be lost each of them
        is expected to lose."""
        made, allowance = dict[str, FrontNetwork](), self.allowance

        def share_of(loss: float) -> float:
            plan = plan_for(loss)
            if plan.name not in made:
                made[plan.name] = self._maker.network(kind, plan)
                self.made.append(made[plan.name])
            among = [one.point for one in self.made if one.point.kind == kind]
            expected = allowance.expected(made[plan.name].point, among)
            return expected / allowance.drop if allowance.drop else math.inf

        return share_of


def _surveyed(setup: SearchSetup) -> Survey:
    def made() -> Entry:
        return survey(setup.network, setup.calibration, setup.settings, setup.layer_score, setup.advance).entry()

    return Survey.of(once(setup.journal, _SURVEY, made))


_MOST_STEPS = 50
"""Towards safer networks: what the last is foreseen to lose is a twentieth of what the first is."""
_SURVEY = "options"
"""Its entry in the journal."""
