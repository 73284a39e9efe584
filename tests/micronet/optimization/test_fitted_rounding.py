"""Fitted rounding: on the grid, zeros kept, and never worse than nearest rounding."""

from dataclasses import replace
from itertools import product

import pytest
import torch

from micronet.analysis.counts import Counts, LayerCounts
from micronet.optimization.accumulator_widths import OperandRange, sum_bits
from micronet.optimization.fitted_rounding import (
    Objective,
    Rounding,
    RoundingProblem,
    ScoreTradeoff,
    nearest_placed,
    on_grids_of,
    round_rows,
)
from micronet.optimization.layer_options import OperandBits, score_tradeoff
from micronet.optimization.moments import moments, quadratic
from micronet.optimization.zeros import solved
from micronet.scoring.policies import POLICIES, UNQUANTIZED, Terms
from tests.micronet.optimization.making import LAYERS, one_layer, outputs_of, rounding_problem


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("kind", LAYERS)
def test_every_filter_lies_on_its_grid_and_errs_no_more_than_by_nearest_rounding(kind: str, bits: int) -> None:
    problem, _ = rounding_problem(kind)
    found, plain = round_rows(problem, bits), nearest_placed(problem.rows, problem.inputs, bits)
    assert torch.equal(found.integers, found.integers.round())
    assert found.integers.min() >= -(2 ** (bits - 1))
    assert found.integers.max() <= 2 ** (bits - 1) - 1
    assert bool((found.error <= plain.error * (1 + 1e-9)).all())
    torch.testing.assert_close(found.error, quadratic(found.rows - problem.rows, problem.inputs))


@pytest.mark.parametrize("kind", ["linear", "pointwise", "convolution"])
def test_where_inputs_depend_on_each_other_it_errs_much_less(kind: str) -> None:
    problem, _ = rounding_problem(kind)
    found, plain = round_rows(problem, 4), nearest_placed(problem.rows, problem.inputs, 4)
    assert float(found.error.sum()) < 0.6 * float(plain.error.sum())


def test_no_single_step_of_any_weight_helps_any_more() -> None:
    problem, _ = rounding_problem("grouped")
    found = round_rows(problem, 4, sweeps=100)
    for filter_, term in product(range(len(found.integers)), range(found.integers.shape[1])):
        for step in (-1, 1):
            moved = found.integers.clone()
            moved[filter_, term] += step
            if abs(moved[filter_, term] + 0.5) > 8:
                continue
            rows = torch.ldexp(moved, found.exponents.unsqueeze(1))
            assert quadratic(rows - problem.rows, problem.inputs)[filter_] >= found.error[filter_] * (1 - 1e-6)


def test_it_comes_close_to_the_best_of_all_roundings() -> None:
    """One filter of four weights of 3 bits, at the exponents it may choose from: 8^4 roundings each."""
    generator = torch.Generator().manual_seed(3)
    columns = torch.randn(50, 4, generator=generator, dtype=torch.float64)
    columns[:, 1] += columns[:, 0]
    inputs = (columns.T @ columns / 50).unsqueeze(0)
    rows = torch.randn(1, 4, generator=generator, dtype=torch.float64)
    factors = torch.linalg.cholesky(torch.linalg.inv(inputs), upper=True)
    found = round_rows(RoundingProblem(rows, inputs, factors), 3)
    every = torch.tensor(list(product(range(-4, 4), repeat=4)), dtype=torch.float64)
    step = 2.0 ** int(found.exponents)
    best = min(float(quadratic((one * step - rows.squeeze(0)).unsqueeze(0), inputs)) for one in every)
    plain = nearest_placed(rows, inputs, 3)
    assert best <= float(found.error) <= float(plain.error)
    assert float(found.error) <= 1.5 * best


def test_zeros_stay_zero_and_a_filter_of_zeros_is_one() -> None:
    problem, _ = rounding_problem("pointwise")
    rows = problem.rows.clone()
    rows[:, ::2] = 0
    rows[3] = 0
    found = round_rows(RoundingProblem(rows, problem.inputs, problem.factors), 4)
    assert not found.integers[rows == 0].any()
    assert float(found.error[3]) == 0


@pytest.mark.parametrize("magnitude", [0.0, 1e-38, 2.0**-41])
def test_a_layer_of_zeros_or_of_next_to_none_has_the_steps_of_ones(magnitude: float) -> None:
    """And a filter of them those of the rest: its bias is in units of its products."""
    problem, _ = rounding_problem("pointwise")
    nothing = torch.full_like(problem.rows, magnitude)
    for found in (round_rows(replace(problem, rows=nothing), 4), nearest_placed(nothing, problem.inputs, 4)):
        assert not found.integers.any()
        assert set(found.exponents.tolist()) <= {-2 - place for place in range(3)}  # 1 is 2^1 / 2, and 2^3 steps
    rows = problem.rows.clone()
    rows[3] *= magnitude
    found = nearest_placed(rows, problem.inputs, 4)
    assert not found.integers[3].any()
    assert bool(found.exponents[3] >= found.exponents.max() - 1)


@pytest.mark.parametrize("kind", LAYERS)
def test_moments_say_what_a_change_of_weights_does_to_the_outputs(kind: str) -> None:
    """Mean square over images and positions, the best bias taken for both."""
    _, layer, values = one_layer(kind)
    before = outputs_of(layer, values)
    seen = moments(layer, values, before)
    change = 0.1 * torch.randn(layer.rows.shape, generator=torch.Generator().manual_seed(0))
    x = layer.columns(values)
    moved = torch.bmm(change.view(layer.groups, -1, change.shape[1]), x).double()
    if layer.linear.bias is not None:
        moved = moved - moved.mean(2, keepdim=True)
    torch.testing.assert_close(seen.error(change), moved.square().mean(2).flatten(), rtol=1e-4, atol=1e-6)
    assert torch.allclose(
        torch.bmm(layer.rows.view(layer.groups, -1, change.shape[1]), x),
        layer.outputs(
            before if layer.linear.bias is None else before - layer.linear.bias.view(-1, *[1] * (before.dim() - 2))
        ),
        atol=1e-4,
    )


def traded(kind: str, loss_per_score: float, bits: int = 4) -> tuple[Rounding, Rounding, Objective]:
    """A layer rounded for least error, and with an objective; and the objective."""
    problem, _ = rounding_problem(kind)
    _, layer, _ = one_layer(kind)
    errors = torch.linspace(0.5, 2, len(problem.rows), dtype=torch.float64)
    made = score_tradeoff(
        layer, errors, OperandBits(bits, 8, 8), lambda counts: layer_score(counts) / 1e4, loss_per_score
    )
    objective = Objective(made, OperandRange(-128, 127, 2**-5), layer.linear.bias)
    return round_rows(problem, bits), round_rows(replace(problem, objective=objective), bits), objective


def layer_score(counts: LayerCounts) -> float:
    terms = Terms(UNQUANTIZED, "cheapest", "proven")
    part = POLICIES["challenge"](Counts((counts,), True, 0), counts, terms)
    return part.storage_bits + part.math_bits


@pytest.mark.parametrize("kind", LAYERS)
def test_a_trade_gives_up_some_error_for_fewer_weights_and_narrower_sums(kind: str) -> None:
    plain, found, objective = traded(kind, 2.0)
    by_objective = objective.of(plain.integers, plain.exponents, plain.error)
    assert bool((found.objective <= by_objective * (1 + 1e-9)).all())
    assert float(found.objective.sum()) < float(by_objective.sum())
    assert int(found.integers.count_nonzero()) < int(plain.integers.count_nonzero())
    widths = [
        sum_bits(one.integers, one.exponents, objective.bias, objective.operands).double().mean()
        for one in (plain, found)
    ]
    assert widths[1] < widths[0]
    assert bool((found.error >= plain.error * 0.9).all())


def test_where_weights_cost_nothing_a_trade_rounds_for_least_error_and_where_they_cost_much_nothing_is_left() -> None:
    plain, free, _ = traded("convolution", 0.0)
    assert float(free.error.sum()) <= float(plain.error.sum()) * 1.001  # another way down, to about as low
    assert not traded("convolution", 1e9)[1].integers.any()


def test_a_weight_costs_what_the_score_has_it_for() -> None:
    """Storage of its bits and its mask's none, a product per position at the wider operand, and one addition."""
    _, layer, _ = one_layer("convolution")
    errors = torch.linspace(1, 2, 6)
    made = score_tradeoff(layer, errors, OperandBits(4, 8, 8), layer_score, 2.0)
    assert made.weight == 2 * (4 + layer.positions * 8)
    assert made.bit == 2 * layer.positions
    assert made.exponent == 2 * 8
    assert torch.equal(made.error, errors)


def test_one_exponent_for_all_where_the_others_cost_more_than_they_are_worth() -> None:
    problem, _ = rounding_problem("pointwise")
    made = ScoreTradeoff(torch.ones(7, dtype=torch.float64), 0.0, 0.0, 0.0)
    objective = Objective(made, OperandRange(-128, 127, 2**-5), None)
    apart = round_rows(replace(problem, objective=objective), 4)
    assert len(apart.exponents.unique()) > 1
    dear = round_rows(replace(problem, objective=replace(objective, tradeoff=replace(made, exponent=1e6))), 4)
    assert len(dear.exponents.unique()) == 1
    assert float(dear.objective.sum()) >= float(apart.objective.sum())


def test_a_layer_that_always_reads_the_same_can_be_solved_for() -> None:
    """Its inputs' second moments about their means are nothing but rounding errors, whichever way they fall."""
    _, layer, values = one_layer("pointwise")
    still = torch.full_like(values, 2.173828125)
    still[:, 3:] = 0
    seen = moments(layer, still, outputs_of(layer, still))
    noisy = replace(seen, inputs=seen.inputs - 1e-13 * torch.eye(12).double())
    rows, factors = solved(layer.rows.double(), layer.rows != 0, noisy)
    assert bool(torch.isfinite(rows).all())
    assert bool(torch.isfinite(factors).all())


@pytest.mark.parametrize("cost", [None, 1e-9, 1.0])
def test_no_weight_leaves_its_grid_where_squares_are_rounding_errors(cost: float | None) -> None:
    """Of a value that hardly changes, some squares come out below zero: no step there is worth anything."""
    problem, _ = rounding_problem("pointwise")
    noise = torch.randn(12, 12, generator=torch.Generator().manual_seed(0)).double()
    still = replace(problem, inputs=1e-25 * (noise + noise.T).unsqueeze(0))
    if cost is not None:
        tradeoff = ScoreTradeoff(torch.full((7,), 1e-3, dtype=torch.float64), cost, cost, cost)
        still = replace(still, objective=Objective(tradeoff, OperandRange(-128, 127, 2**-5), None))
    found = round_rows(still, 4)
    assert -8 <= float(found.integers.min()) <= float(found.integers.max()) <= 7


def test_a_weight_whose_square_came_out_below_zero_stays_where_it_is() -> None:
    problem, _ = rounding_problem("pointwise")
    squares = torch.ones(12).double()
    squares[3] = -1e-9
    form = replace(problem, inputs=torch.diag(squares).unsqueeze(0), factors=torch.eye(12).double().expand(7, -1, -1))
    found = round_rows(form, 4)
    nearest = (problem.rows / torch.ldexp(torch.ones(7).double(), found.exponents).unsqueeze(1)).round().clamp(-8, 7)
    assert torch.equal(found.integers[:, 3], nearest[:, 3])


@pytest.mark.parametrize("kind", LAYERS)
def test_tries_side_by_side_are_the_tries_one_by_one(kind: str) -> None:
    """Filters of a group stay in it, however many grids are tried at once."""
    problem, _ = rounding_problem(kind)
    exponents = torch.arange(-5, -1).unsqueeze(1).expand(-1, len(problem.rows))
    together = on_grids_of(problem, 4, exponents, sweeps=3).tries()
    for found, one in zip(together, exponents, strict=True):
        alone = on_grids_of(problem, 4, one.unsqueeze(0), sweeps=3).tries()[0]
        assert torch.equal(found.integers, alone.integers)
        torch.testing.assert_close(found.error, alone.error)


def test_moments_of_inputs_that_hardly_change_are_right() -> None:
    """Far from zero, what float32 leaves of a mean's square is more than the change; it is taken about the mean."""
    _, layer, values = one_layer("pointwise")
    wobble = 1e-4 * torch.randn(values.shape, generator=torch.Generator().manual_seed(0))
    far = 300.0 + wobble
    outputs = outputs_of(layer, far)
    seen = moments(layer, far, outputs)
    x, y = layer.columns(far)[0].double(), layer.outputs(outputs)[0].double()
    means = x.mean(1), y.mean(1)
    x, y = x - means[0].unsqueeze(1), y - means[1].unsqueeze(1)
    torch.testing.assert_close(seen.inputs[0], x @ x.T / x.shape[1], rtol=1e-3, atol=1e-13)
    torch.testing.assert_close(seen.cross, y @ x.T / x.shape[1], rtol=1e-3, atol=1e-13)
    torch.testing.assert_close((seen.x_mean[0], seen.y_mean), means)
