"""The form of a score job means what it says: every setting has its field, and filling it in is reversible."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from app.pages.forms import UnclearForm, filled, form_of, settings_of
from micronet.contract import ScoreSettings

_FORM = form_of("score")


def _settings(given_texts: dict[str, str]) -> ScoreSettings:
    return ScoreSettings.model_validate_json(json.dumps(settings_of(_FORM, given_texts)))


def _paths(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Every setting that is a value, by its path."""
    found = set()
    for name, field in model.model_fields.items():
        inner = [kind for kind in (field.annotation, *getattr(field.annotation, "__args__", ())) if _is_model(kind)]
        found |= _paths(inner[0], f"{prefix}{name}/") if inner else {f"{prefix}{name}"}
    return found


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def test_every_setting_has_a_field_and_every_field_a_setting() -> None:
    assert _paths(ScoreSettings) == set(_FORM.fields)


def test_every_field_is_shown_once() -> None:
    assert sorted(_FORM.plan.names) == sorted(_FORM.fields)


def test_the_form_as_it_comes_means_the_defaults() -> None:
    assert _settings(dict(_FORM.comes)) == ScoreSettings()


def test_an_empty_form_is_not_quantized_and_otherwise_the_default_but_for_boxes() -> None:
    unchecked = {"bits": None, "fuse_batchnorm": False, "evaluate": False}
    assert _settings({}) == ScoreSettings(**unchecked)


_BITS = st.none() | st.fixed_dictionaries(
    {"param_bits": st.integers(2, 32), "mul_bits": st.integers(2, 32), "exponent_bits": st.integers(0, 32)}
)
_SETTINGS = st.fixed_dictionaries(
    {
        "bits": _BITS,
        "track": st.sampled_from(["cifar100", "digits"]),
        "policy": st.sampled_from(["report", "challenge"]),
        "evaluate": st.booleans(),
        "bit_true": st.booleans(),
        "seed": st.integers(0, 2**63 - 1),
        "normalize": st.none() | st.just({"mean": [0.5, 0.25, 0.125], "std": [1.0, 2.0, 1e-3]}),
        "architecture": st.none() | st.just({"name": "pyramidnet", "options": {"depth": 272, "bottleneck": True}}),
        "quantizer": st.fixed_dictionaries({"weight_stds": st.floats(0.5, 100), "rule": st.sampled_from(["max"])}),
        "name": st.none() | st.just("<script>alert(1)</script>"),
    }
)


@given(_SETTINGS)
def test_settings_survive_the_way_through_the_form(settings: dict[str, object]) -> None:
    wanted = ScoreSettings.model_validate_json(json.dumps(settings))
    assert _settings(filled(_FORM, wanted.model_dump(mode="json"))) == wanted


@pytest.mark.parametrize(
    ("field", "text"),
    [("bits/param_bits", "nine"), ("bits/param_bits", "1"), ("normalize/std", "0.2, x"), ("policy", "mine")],
)
def test_what_is_no_value_is_left_for_the_contract_to_refuse_at_its_place(field: str, text: str) -> None:
    given_text = dict(_FORM.comes) | {"normalize/mean": "0, 0, 0", "normalize/std": "1, 1, 1"} | {field: text}
    with pytest.raises(ValidationError) as refused:
        _settings(given_text)
    places = {"/".join(str(part) for part in fault["loc"]) for fault in refused.value.errors()}
    assert any(place.startswith(field) for place in places), places


def test_options_that_are_no_pairs_are_refused() -> None:
    with pytest.raises(UnclearForm, match="KEY=VALUE"):
        settings_of(_FORM, {"architecture/options": "depth 272"})


def test_bounds_come_from_the_contract() -> None:
    field = _FORM.fields["bits/param_bits"]
    assert (field.hint, field.whole, field.default) == ("bits (2 to 32)", True, "9")
    assert _FORM.fields["policy"].options == (("report", "report"), ("challenge", "challenge"))
