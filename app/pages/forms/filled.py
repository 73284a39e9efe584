"""From a filled form to the settings it means, and back."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.http.errors import InvalidSettings
from app.http.problems import Fault
from app.pages.forms.fields import NOTHING, Field
from app.pages.forms.form import SETTINGS, Form
from app.pages.forms.plans import Switch
from app.pages.forms.schema import Path
from app.pages.stored import chosen_of
from app.settings_text import put_
from micronet.contract import JobSettings, PipelineSettings
from micronet.errors import SettingsError
from worker.bounded_json import JsonBounds, JsonRefused, parse

REST = "More settings, as JSON"
"""The label of the field for them."""
_BOUNDS = JsonBounds(values=20_000, keys=1000)
_EXAMPLE = '{"seed": 7}'


class UnclearForm(InvalidSettings):
    """Fields from which no settings can be made; `by_field`: what is wrong, by name."""

    def __init__(self, by_field: Mapping[str, list[str]]) -> None:
        super().__init__([Fault(detail=detail) for details in by_field.values() for detail in details])
        self.by_field = by_field


def settings_of(form: Form, given: Mapping[str, str]) -> dict[str, Any]:
    """The settings that a filled form means. Raises UnclearForm.

    An empty field means the default, and so does one that was left as it came: neither is sent, so that what was put in
    as JSON holds, or what the recipe says. What is said in a field and as JSON is refused.
    """
    rest, settings = rest_of(given), rest_of(given)
    faults: dict[str, list[str]] = {}
    for switch in _off(form, given):
        if rest.get(switch.path[0]) is not None:
            _refuse_(faults, switch.name, switch.words.label, switch.path)
        settings[switch.path[0]] = None
    objects = set()
    for field, value in _said_(form, given, faults):
        place = taken(rest, field.setting.path)
        if place is not None:
            _refuse_(faults, field.name, field.words.label, place)
            continue
        put_(settings, field.setting.path, value)
        objects.add(field.setting.path[:-1])
    if faults:
        raise UnclearForm(faults)
    _restate_(settings, [field for field in form.fields.values() if field.setting.path[:-1] in objects])
    return settings


def rest_of(given: Mapping[str, str]) -> dict[str, Any]:
    """What the form says as JSON. Raises UnclearForm."""
    text = given.get(SETTINGS, "").strip()
    if not text:
        return {}
    try:
        rest = parse(text.encode(), _BOUNDS)
    except JsonRefused as error:
        raise UnclearForm({SETTINGS: [f"the settings cannot be read: {error}."]}) from None
    if not isinstance(rest, dict):
        raise UnclearForm({SETTINGS: [f"an object of JSON is needed, as in {_EXAMPLE}."]})
    return rest


def taken(settings: Mapping[str, Any], path: Path) -> Path | None:
    """Where something stands in the way of putting a value there: at `path`, or above it; None where nothing does."""
    inner: Any = settings
    for depth, key in enumerate(path):
        if key not in inner:
            return None
        inner = inner[key]
        if not isinstance(inner, Mapping):
            return path[: depth + 1]
    return path


def filled(form: Form, settings: Mapping[str, Any]) -> dict[str, str]:
    """The form as it has to be filled to mean these settings: what no field can say, it says as JSON."""
    given, on = dict(form.comes), dict(settings)
    for switch in form.switches:
        if on.get(switch.path[0], {}) is None:
            del given[switch.name], on[switch.path[0]]
    rest = _fill_(given, form, on, ())
    if rest is not NOTHING:
        given[SETTINGS] = json.dumps(rest, indent=2)
    return {name: text for name, text in given.items() if text}


def sent(settings: JobSettings) -> Mapping[str, Any]:
    """Settings as they have to be sent: of a pipeline, only those that its recipe would have otherwise."""
    if not isinstance(settings, PipelineSettings):
        return settings.model_dump(mode="json")
    chosen = chosen_of(settings)
    if "stages" in chosen:
        chosen["stages"] = [{"stage": stage["stage"], **stage} for stage in chosen["stages"]]  # first what it is
    fewer = {name: value for name, value in chosen.items() if name != "stages"}
    same = PipelineSettings.model_validate_json(json.dumps(fewer)) == settings  # taught by the teacher of them all
    return fewer if same else chosen


def _off(form: Form, given: Mapping[str, str]) -> tuple[Switch, ...]:
    """The switches that are off."""
    return tuple(switch for switch in form.switches if switch.name not in given)


def _said_(form: Form, given: Mapping[str, str], faults: dict[str, list[str]]) -> Iterator[tuple[Field, object]]:
    """Fields that say something, and what; but what is in an object that is switched off."""
    off = {switch.path for switch in _off(form, given)}
    for field in form.fields.values():
        if field.setting.path[:-1] in off:
            continue
        try:
            value = field.said(given)
        except SettingsError as error:
            faults[field.name] = [str(error)[:300]]
            continue
        if value is not NOTHING:
            yield field, value


def _restate_(settings: dict[str, Any], fields: Iterable[Field]) -> None:
    """Say the defaults that would be others once something beside them is said, for they are what the form shows."""
    for field in fields:
        setting = field.setting
        if setting.alone != setting.default and taken(settings, setting.path) is None:
            put_(settings, setting.path, setting.default)


def _refuse_(faults: dict[str, list[str]], name: str, label: str, place: Path) -> None:
    where = ".".join(place)
    faults[name] = [f"it is said here, and in “{REST}” at {where}; take one of the two out."]
    faults.setdefault(SETTINGS, []).append(f"{where}: it is said here, and in the field “{label}”; take one out.")


def _fill_(given: dict[str, str], form: Form, value: Any, path: Path) -> Any:
    """Fill the fields for what is at `path`; what they cannot say, or NOTHING."""
    field = form.fields.get("/".join(path))
    if field is not None and field.setting.path == path:
        text = field.text(value)
        given[field.name] = field.comes if text is None else text
        return value if text is None else NOTHING
    if isinstance(value, Mapping) and form.leads_on(path):
        parts = {key: _fill_(given, form, inner, (*path, key)) for key, inner in value.items()}
        return {key: rest for key, rest in parts.items() if rest is not NOTHING} or NOTHING
    within = len(path) > 1 and form.leads_on(path)  # what is in another object, and may be null, is null by default
    return NOTHING if value == _at(form.usual, path) or (value is None and within) else value


def _at(settings: Any, path: Path) -> Any:
    """What is at a place; NOTHING where there is nothing."""
    for key in path:
        if not isinstance(settings, Mapping) or key not in settings:
            return NOTHING
        settings = settings[key]
    return settings
