"""Every kind has a form that means what it says: all its settings, in fields or as JSON, there and back."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.http.access import Caller
from app.http.errors import InvalidSettings
from app.http.job_settings import read_settings
from app.pages.forms import (
    RECIPE_WORDS,
    REST,
    SETTINGS,
    UnclearForm,
    carried,
    choices_of,
    faults_by_field,
    filled,
    form_of,
    rest_of,
    sent,
    settings_of,
)
from app.pages.forms import words as all_words
from app.pages.forms.fields import NOTHING, Field
from app.pages.forms.schema import settings_in
from micronet.architectures import architectures
from micronet.contract import JobSettings
from micronet.contract.pipeline import RECIPES, recipe
from micronet.jobs import JOBS
from micronet.tracks import BUILT_IN
from tests.app.pages.any_settings import any_settings

KINDS = sorted(JOBS)
AS_JSON = {
    "quantize": {"layers"},
    "pipeline": {"stages"},
    "optimize": {"policy"},  # these three may be one thing only
    "augment": {"evaluate"},
    "sparsify": {"fine_tuning/hold_zeros"},
}
MANY = settings(max_examples=40, suppress_health_check=list(HealthCheck))


def meant(kind: str, given: Mapping[str, str]) -> JobSettings:
    """What a job would be told."""
    text = json.dumps(settings_of(form_of(kind), given))
    return JOBS[kind].settings.model_validate_json(text, strict=True)


def with_fields(kind: str, **fields: str) -> dict[str, str]:
    """The form as it comes, but for these; __ stands for a slash."""
    return dict(form_of(kind).comes) | {name.replace("__", "/"): text for name, text in fields.items()}


def put(path: tuple[str, ...], value: object) -> dict[str, Any]:
    """An object with one value in it."""
    return {path[0]: value if len(path) == 1 else put(path[1:], value)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_has_a_field_of_its_own_or_is_known_to_have_none(kind: str) -> None:
    there = {"/".join(path) for path in settings_in(JOBS[kind].settings)}
    assert there - set(form_of(kind).fields) == AS_JSON.get(kind, set())
    assert sorted(form_of(kind).plan.names) == sorted(form_of(kind).fields)


@pytest.mark.parametrize("kind", KINDS)
def test_no_two_fields_of_a_form_are_called_the_same_and_every_one_is_explained(kind: str) -> None:
    labels = [control.words.label for control in form_of(kind).labelled.values()]
    assert len(set(labels)) == len(labels)
    for field in form_of(kind).fields.values():
        assert field.hint or field.words.hint == "", f"{field.name}: its label says all"
        assert "null" not in field.hint, field.name


def test_every_label_is_used() -> None:
    used = {id(field.words) for kind in KINDS for field in form_of(kind).fields.values()}
    assert [name for name, words in all_words._WORDS.items() if id(words) not in used] == []


def test_hints_and_choices_and_bounds_come_from_the_contract() -> None:
    fields = form_of("prune").fields
    assert fields["fine_tuning/epochs"].hint == "how often it sees every training image"
    assert fields["floor"].hint.endswith("empty: no floor (0 to 1)")
    assert fields["ratio"].hint.endswith("(above 0, below 1)")
    assert fields["fine_tuning/clip_norm"].hint.endswith("“none”: none are")
    assert fields["fine_tuning/schedule"].options == (("cosine", "cosine"), ("step", "step"), ("constant", "constant"))
    assert (fields["fine_tuning/learning_rate"].comes, fields["fine_tuning/steps"].comes) == ("0.01", "")


@pytest.mark.parametrize("kind", KINDS)
def test_the_form_as_it_comes_says_nothing(kind: str) -> None:
    assert settings_of(form_of(kind), form_of(kind).comes) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_settings_survive_the_way_through_the_form(kind: str) -> None:
    @MANY
    @given(any_settings(kind))
    def check(wanted: JobSettings) -> None:
        assert meant(kind, filled(form_of(kind), sent(wanted))) == wanted

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_settings_as_json_mean_what_they_mean_to_everybody(kind: str) -> None:
    """In a form left as it comes: an expert loses nothing, and what is sent is what was put in."""

    @MANY
    @given(any_settings(kind), st.booleans())
    def check(wanted: JobSettings, briefly: bool) -> None:
        text = wanted.model_dump_json(exclude_defaults=briefly)
        assert meant(kind, with_fields(kind, settings=text)) == JOBS[kind].settings.model_validate_json(text)

    check()


def otherwise(field: Field) -> str:
    """A text that is not what the field comes with."""
    texts = ("a=1", "3, 9", *(value for value, _ in field.options)) if field.control != "check" else ("on", "")
    return next(text for text in texts if field.said({field.name: text}) is not NOTHING)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_in_a_field_and_as_json_is_refused_and_both_places_are_named(kind: str) -> None:
    form = form_of(kind)
    for field in form.fields.values():
        text = otherwise(field)
        told = dict(form.comes) | {field.name: text}
        if not text:
            del told[field.name]
        assert settings_of(form, told), field.name
        place = ".".join(field.setting.path)
        for path in {field.setting.path, field.setting.path[:1]}:  # itself, or something else in place of all around it
            with pytest.raises(UnclearForm) as refused:
                settings_of(form, told | {SETTINGS: json.dumps(put(path, None))})
            assert set(refused.value.by_field) == {field.name, SETTINGS}
            assert REST in refused.value.by_field[field.name][0]
            assert f"at {'.'.join(path)};" in refused.value.by_field[field.name][0]
            assert field.words.label in refused.value.by_field[SETTINGS][0]
            assert place.startswith(".".join(path))


def test_what_is_said_in_a_field_goes_with_what_is_said_beside_it_as_json() -> None:
    policy = {"policies": [[{"operation": "invert", "probability": 1.0, "magnitude": 0.5}]]}
    rest = json.dumps({"train": {"augmentation": {"policy": policy}}, "layers": {"stem*": {"param_bits": 8}}})
    settings = meant(
        "quantize", with_fields("quantize", train__epochs="3", train__augmentation__crop="2", settings=rest)
    )
    told = settings.model_dump(mode="json")
    assert told["train"]["epochs"] == 3
    assert told["train"]["augmentation"] == {"crop": 2, "flip": True, "policy": policy, "cutout": 0}
    assert told["layers"]["stem*"]["param_bits"] == 8


def test_a_box_that_is_not_checked_and_widths_as_json_do_not_fit_together() -> None:
    told = with_fields("score", settings='{"bits": {"param_bits": 7}}')
    assert meant("score", told).model_dump()["bits"]["param_bits"] == 7
    del told["quantize"]
    with pytest.raises(UnclearForm) as refused:
        settings_of(form_of("score"), told)
    assert set(refused.value.by_field) == {"quantize", SETTINGS}
    assert meant("score", told | {SETTINGS: '{"bits": null}'}).model_dump()["bits"] is None


@pytest.mark.parametrize(("kind", "place"), [("prune", "fine_tuning"), ("quantize", "train"), ("optimize", "tuning")])
def test_a_field_says_nothing_about_those_beside_it(kind: str, place: str) -> None:
    """An augmentation of which only the crop is given has another policy than one that is not given at all."""
    told = meant(kind, with_fields(kind, **{f"{place}/augmentation/crop": "2"})).model_dump(mode="json")
    assert told[place]["augmentation"] == {"crop": 2, "flip": True, "policy": "none", "cutout": 0}
    assert form_of(kind).fields[f"{place}/augmentation/policy"].default == "none"


def test_what_is_null_by_default_is_there_once_something_in_it_is_said() -> None:
    assert meant("optimize", with_fields("optimize")).model_dump()["tuning"] is None
    told = meant("optimize", with_fields("optimize", tuning__steps="200")).model_dump()
    assert (told["tuning"]["steps"], told["tuning"]["batch"]) == (200, 64)


def test_there_is_a_word_for_null_where_an_empty_field_means_something_else() -> None:
    assert (
        meant("prune", with_fields("prune", fine_tuning__clip_norm="none")).model_dump()["fine_tuning"]["clip_norm"]
        is None
    )
    told = meant("pipeline", with_fields("pipeline", recipe="digits", floor="None")).model_dump()
    assert (told["floor"], told["below"]) == (None, "step_back")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_holds_wherever_nothing_else_is_said(name: str) -> None:
    assert settings_of(form_of("pipeline"), with_fields("pipeline", recipe=name)) == {"recipe": name}
    told = with_fields("pipeline", recipe=name, evaluate="no", seed="0")
    assert settings_of(form_of("pipeline"), told) == {"recipe": name, "evaluate": False, "seed": 0}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_that_is_spelled_out_is_the_same_pipeline(name: str) -> None:
    spelled = filled(form_of("pipeline"), recipe(name))
    assert set(json.loads(spelled[SETTINGS])) == {"stages"}
    named = meant("pipeline", {"recipe": name})
    assert meant("pipeline", spelled) == named.model_copy(update={"recipe": None})


def test_a_pipeline_says_again_no_more_than_it_was_told() -> None:
    told = {"recipe": "cifar100", "distillation": {"teacher": "a" * 64}, "seed": 3}
    settings = JOBS["pipeline"].settings.model_validate_json(json.dumps(told))
    again = filled(form_of("pipeline"), sent(settings))
    assert again == {
        "recipe": "cifar100",
        "seed": "3",
        "distillation/teacher": "a" * 64,
        "distillation/weight": "0.5",
        "distillation/temperature": "4.0",
    }


def test_ranges_and_layers_are_texts_that_people_write() -> None:
    told = meant("optimize", with_fields("optimize", weight_bits="3,6", floor="0.8")).model_dump()
    assert (told["weight_bits"], told["floor"]) == ((3, 6), 0.8)
    kept = meant("sparsify", with_fields("sparsify", keep_layers="stem\n\n classifier ")).model_dump()
    assert kept["keep_layers"] == ("stem", "classifier")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"seed": 7', "it is not JSON"),
        ('{"seed": 7, "seed": 8}', "comes twice"),
        ("[]", 'an object of JSON is needed, as in {"seed": 7}'),
        ("[" * 10_000, "nested too deeply"),
        ('{"seed": NaN}', "no number of JSON"),
    ],
)
def test_what_is_no_object_of_json_is_refused_at_its_field(text: str, words: str) -> None:
    with pytest.raises(UnclearForm) as refused:
        settings_of(form_of("train"), with_fields("train", settings=text))
    ((name, (detail,)),) = refused.value.by_field.items()
    assert name == SETTINGS
    assert words in detail


def faults(kind: str, **fields: str) -> dict[str, list[str]]:
    """What the contract says is wrong, by field."""
    told = with_fields(kind, **fields)
    text = json.dumps(settings_of(form_of(kind), told)).encode()
    with pytest.raises(InvalidSettings) as refused:
        read_settings(JOBS[kind], text, Caller("", None), None)
    return faults_by_field(form_of(kind), rest_of(told), refused.value.faults)


@pytest.mark.parametrize(
    ("kind", "fields", "where", "words"),
    [
        ("train", {"milestones": "0.7, 0.5"}, "milestones", "growing order"),
        ("train", {"milestones": "0.7, x"}, "milestones", "number"),
        ("quantize", {"train__milestones": "0.7, 0.5"}, "train/milestones", "growing order"),
        ("optimize", {"weight_bits": "8, 2"}, "weight_bits", "narrowest comes first"),
        ("optimize", {"weight_bits": "8"}, "weight_bits", "required"),
        ("augment", {"candidates": "5"}, "best", "10 of 5 candidates"),
        ("train", {"seed": "9" * 400}, "seed", "Input should be"),
        ("train", {"distillation__weight": "0.5"}, "distillation/teacher", "required"),
        ("train", {"distillation__teacher": "mine"}, "distillation/teacher", "64 hexadecimal digits"),
        ("pipeline", {"architecture__options": "width=8"}, "architecture/name", "required"),
        ("pipeline", {"evaluate": "perhaps"}, "evaluate", "boolean"),
        ("train", {"settings": '{"epoch": 3}'}, SETTINGS, "epoch: no such setting; did you mean epochs?"),
        ("prune", {"settings": '{"fine_tuning": {"epochs": -1}}'}, SETTINGS, "fine_tuning/epochs: Input should"),
        ("train", {"settings": '{"milestones": [0.7, 0.5]}'}, SETTINGS, "growing order"),
        ("train", {"settings": '{"normalize": {"mean": [0]}}'}, "normalize/std", "required"),
        (
            "pipeline",
            {"settings": '{"stages": [{"stage": "train", "epochs": -1}]}'},
            SETTINGS,
            "stages/0/train/epochs: ",
        ),
        (
            "pipeline",
            {"settings": '{"stages": [{"stage": "quantize"}, {"stage": "fuse"}]}'},
            SETTINGS,
            "quantize comes last",
        ),
        ("train", {"settings": '{"architecture": {"name": "resnet51"}}'}, SETTINGS, "architecture/name: "),
        ("sparsify", {"settings": '{"fine_tuning": {"hold_zeros": false}}'}, SETTINGS, "has to be true"),
        ("train", {"settings": '{"a/b~": 1}'}, SETTINGS, "a/b~: no such setting"),
    ],
)
def test_faults_stand_where_they_are_mended(kind: str, fields: dict[str, str], where: str, words: str) -> None:
    ((name, details),) = faults(kind, **fields).items()
    assert name == where
    assert words in " ".join(details)


def taken_along(old: str, new: str, **fields: str) -> dict[str, str]:
    """What the form of one kind, filled so, has for that of another."""
    filled_so = {name: text for name, text in with_fields(old, **fields).items() if text}  # as browsers send them
    return carried(form_of(old), form_of(new), filled_so)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"pipeline"}))
def test_a_box_and_a_choice_of_yes_and_no_say_the_same(kind: str) -> None:
    for choice, box in (("yes", "on"), ("no", "")):
        expected = {"evaluate": box} if "evaluate" in form_of(kind).fields else {}
        assert taken_along("pipeline", kind, evaluate=choice) == expected
    assert taken_along("pipeline", kind, evaluate="") == {}, "the recipe's, which another kind has not"
    if expected:
        assert form_of(kind).comes["evaluate"] == "on"
        assert taken_along(kind, "pipeline", evaluate="") == {"evaluate": "no"}


def test_the_word_for_null_goes_only_where_it_is_known() -> None:
    for kind, name in (("train", "train_images"), ("prune", "floor"), ("sparsify", "floor"), ("optimize", "floor")):
        assert not form_of(kind).fields[name].may_say_none
        assert taken_along("pipeline", kind, **{name: "none"}) == {name: ""}
        assert taken_along("pipeline", kind, **{name: "0.75"})[name] == "0.75"
    assert taken_along("train", "quantize", clip_norm="3") == {}, (
        "which is said of a part of that kind, train/clip_norm"
    )


@pytest.mark.parametrize("old", KINDS)
@pytest.mark.parametrize("new", KINDS)
def test_what_goes_along_means_the_same_there(old: str, new: str) -> None:
    """Of every field that both have: with another value in it, the settings say the same of it."""
    before, after = form_of(old), form_of(new)
    for name in before.fields.keys() & after.fields.keys():
        was, field = before.fields[name], after.fields[name]
        texts = {"number": ("3", "4"), "choice": [choice for choice, _ in was.options]}.get(was.control, ())
        text = next((text for text in texts if text not in ("", was.comes)), None) or otherwise(was)
        taken = taken_along(old, new, **{name.replace("/", "__"): text})
        if name not in taken:
            assert field.control == "choice", name
            assert text not in dict(field.options), name
            continue
        said, expected = field.said(taken), was.said({name: text})
        assert said == expected or (said is NOTHING and expected == field.setting.default), name


def test_what_is_no_value_goes_along_to_be_mended() -> None:
    for name, text in (("seed", "seven"), ("architecture/options", "depth"), ("normalize/mean", "0.5; 0.25")):
        assert taken_along("score", "train", **{name.replace("/", "__"): text}) == {name: text}
    assert taken_along("pipeline", "train", evaluate="perhaps") == {}


def test_what_goes_along_is_in_the_order_of_the_other_form() -> None:
    filled_so = {"seed": "7", "name": "ours", "normalize/std": "0.5", "normalize/mean": "0.25", "epochs": "3"}
    names = list(taken_along("augment", "train", **{n.replace("/", "__"): text for n, text in filled_so.items()}))
    assert names == [name for name in form_of("train").labelled if name in filled_so]


@pytest.mark.parametrize("kind", KINDS)
def test_every_choice_is_offered_and_what_was_given_stays_one(kind: str) -> None:
    form = form_of(kind)
    for told in (form.comes, {}, {"track": "gone", "architecture/name": "gone"}):
        offered = choices_of(form, told, BUILT_IN.values(), architectures())
        for name, choices in offered.items():
            values = [value for value, _ in choices]
            assert (told.get(name) or form.fields[name].comes) in values, name
            assert all(text for _, text in choices), name
            assert len(set(values)) == len(values), name


def test_the_words_of_recipes_are_those_that_there_are() -> None:
    assert tuple(RECIPE_WORDS) == RECIPES
