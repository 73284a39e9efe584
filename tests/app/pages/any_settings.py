"""Any settings that a kind of job takes, drawn from the contract's schema and not from what forms know of it."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st
from pydantic import ValidationError

from micronet.contract import JobSettings
from micronet.contract.values import NAME_PATTERN
from micronet.jobs import JOBS

_RANKS = ("train", "prune", "sparsify", "fuse", "quantize")
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
_NAMES = st.one_of(
    st.sampled_from(["none", " padded ", "two\u3000words", "<b>", "a=b", "yes"]),
    st.text(min_size=1, max_size=8).filter(lambda text: re.search(NAME_PATTERN, text) is not None),
)
_WIDTHS = st.lists(st.integers(2, 16), min_size=2, max_size=2).map(sorted)
_FITTING: Mapping[str, st.SearchStrategy[Any]] = {
    "milestones": st.lists(st.floats(0, 0.99), max_size=3, unique=True).map(sorted),
    "weight_bits": _WIDTHS,
    "input_bits": _WIDTHS,
    "gate_bits": _WIDTHS,
    "best": st.integers(1, 4),
    "candidates": st.integers(4, 10_000),
    "folds": st.integers(1, 4),
    "searches": st.integers(1, 4),
    "lists": st.integers(2, 8),
}
"""What has to fit together, which schemas do not say."""


def any_settings(kind: str) -> st.SearchStrategy[JobSettings]:
    """Settings of a kind of job, as a caller would send them."""
    model = JOBS[kind].settings
    document = model.model_json_schema()

    def made(given: Mapping[str, Any]) -> JobSettings | None:
        try:
            return model.model_validate_json(json.dumps(given))
        except ValidationError:
            return None

    return _values(document, document).map(made).filter(lambda settings: settings is not None)  # type: ignore[arg-type,return-value]


def _values(document: Mapping[str, Any], schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        return st.deferred(lambda: _values(document, document["$defs"][schema["$ref"].rpartition("/")[2]]))
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return st.one_of([_values(document, choice) for choice in schema[several]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    if "type" not in schema:
        return _JSON
    return _OF_TYPE[schema["type"]](document, schema)


def _texts(document: Mapping[str, Any], schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    return st.from_regex(schema["pattern"], fullmatch=True) if "[0-9a-f]" in schema["pattern"] else _NAMES


def _lists(document: Mapping[str, Any], schema: Mapping[str, Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(_values(document, schema["items"]), min_size=schema.get("minItems", 0), max_size=3)


def _numbers(document: Mapping[str, Any], schema: Mapping[str, Any]) -> st.SearchStrategy[float]:
    least = schema.get("minimum", schema.get("exclusiveMinimum", -1e9))
    most = schema.get("maximum", schema.get("exclusiveMaximum", 1e9))
    return st.floats(least, most, exclude_min="exclusiveMinimum" in schema, exclude_max="exclusiveMaximum" in schema)


def _objects(document: Mapping[str, Any], schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if "properties" not in schema:
        return st.dictionaries(
            st.text(min_size=1, max_size=5), _values(document, schema["additionalProperties"]), max_size=3
        )
    inner = {
        name: _FITTING[name] if name in _FITTING else _values(document, part)
        for name, part in schema["properties"].items()
    }
    if "stages" in inner:
        inner["stages"] = inner["stages"].map(_in_order)
    needed = {name: inner.pop(name) for name in schema.get("required", ())}
    return st.fixed_dictionaries(needed, optional=inner)


def _in_order(stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(stages, key=lambda stage: _RANKS.index(stage["stage"]))


_OF_TYPE: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], st.SearchStrategy[Any]]] = {
    "null": lambda document, schema: st.none(),
    "boolean": lambda document, schema: st.booleans(),
    "integer": lambda document, schema: st.integers(schema.get("minimum"), schema.get("maximum", 10**30)),
    "number": _numbers,
    "string": _texts,
    "array": _lists,
    "object": _objects,
}
