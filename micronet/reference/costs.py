"""The table of costs, in the order and under the headings of its source."""

import ast
import inspect
import re
from collections.abc import Mapping
from itertools import pairwise
from types import ModuleType, SimpleNamespace
from typing import cast

from micronet.analysis import dot_products, formulas, rules
from micronet.analysis.operations import Call, Operations, Rule
from micronet.analysis.rules import RULES, operation_name
from micronet.reference.values import Amounts, Cost, CostGroup

_ONE_ELEMENT = cast(Call, SimpleNamespace(outputs=1))
"""All that a rule looks at which costs the same for every element."""


def cost_groups() -> tuple[CostGroup, ...]:
    """Every row of RULES; those with one rule under one heading are one row here."""
    found: dict[str, dict[Rule, list[str]]] = {}
    for heading, (target, rule) in zip(_headings(), RULES.items(), strict=True):
        names = found.setdefault(heading, {}).setdefault(rule, [])
        if operation_name(target) not in names:
            names.append(operation_name(target))
    words = _words()
    return tuple(
        CostGroup(
            title=heading,
            costs=tuple(
                Cost(operations=tuple(names), amounts=_per_element(rule), words=words[rule])
                for rule, names in costs.items()
            ),
        )
        for heading, costs in found.items()
    )


def amounts(operations: Operations) -> Amounts:
    """The same, as data."""
    return Amounts(
        multiplications=operations.multiplications,
        additions=operations.additions,
        inner_multiplications=operations.inner_multiplications,
        inner_additions=operations.inner_additions,
    )


def _per_element(rule: Rule) -> Amounts | None:
    """What it costs for each element of the result; None where it looks at more of the call."""
    try:
        return amounts(rule(_ONE_ELEMENT))
    except AttributeError:
        return None


def _words() -> Mapping[object, str]:
    """The docstring of every rule: of functions their own, of constants what stands below them."""
    below = docstrings_of_constants(formulas)
    named = {name: rule for module in (formulas, dot_products) for name, rule in inspect.getmembers(module, callable)}
    return {rule: below.get(name) or _one_line(inspect.getdoc(rule) or "") for name, rule in named.items()}


def docstrings_of_constants(module: ModuleType) -> Mapping[str, str]:
    """Strings that stand right below assignments at the top of a module, by the names assigned to."""
    found = {}
    body = ast.parse(inspect.getsource(module)).body
    for statement, after in pairwise(body):
        targets = statement.targets if isinstance(statement, ast.Assign) else ()
        named = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            for name in (each for target in named for each in ast.walk(target)):
                if isinstance(name, ast.Name):
                    found[name.id] = _one_line(after.value.value)
    return found


def _headings() -> list[str]:
    """The comment that each row of RULES stands under."""
    source = inspect.getsource(rules)
    (table,) = (node for node in ast.parse(source).body if isinstance(node, ast.AnnAssign) and _names_rules(node))
    assert isinstance(table.value, ast.Dict)
    lines = source.splitlines()
    comments = {number: line.strip("# ") for number, line in enumerate(lines, 1) if re.match(r" {4}# ", line)}
    rows = [key.lineno for key in table.value.keys if key is not None]
    return [comments[max(number for number in comments if number < row)] for row in rows]


def _names_rules(assignment: ast.AnnAssign) -> bool:
    return isinstance(assignment.target, ast.Name) and assignment.target.id == "RULES"


def _one_line(text: str) -> str:
    """Without references to a document that readers of the data may not have."""
    return " ".join(re.sub(r" \(SCORING section \d+\)", "", text).split())
