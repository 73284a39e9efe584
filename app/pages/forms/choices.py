"""What there is to choose from, in fields whose choices the server knows, and in those that the contract lists."""

from collections.abc import Iterable, Mapping

from app.pages.forms.fields import Field
from app.pages.forms.form import Form
from micronet.tracks import Track

Choices = tuple[tuple[str, str], ...]
"""Values and texts."""


def choices_of(
    form: Form, given: Mapping[str, str], tracks: Iterable[Track], architectures: Iterable[str]
) -> Mapping[str, Choices]:
    """The choices of each field that has some. What was given stays one of them, though the server knows it no more."""
    known = {
        "track": tuple((track.name, track.title) for track in tracks),
        "architecture/name": tuple((name, name) for name in architectures),
    }
    found = {}
    for name, field in form.fields.items():
        kind = "/".join(field.setting.path[-2:])
        if kind in known:
            found[name] = (*_unsaid(form, field), *known[kind])
        elif field.control == "choice":
            found[name] = field.options
    return {name: _with(choices, given.get(name) or form.fields[name].comes) for name, choices in found.items()}


def _unsaid(form: Form, field: Field) -> Choices:
    """The choice to say nothing, where a field may be empty."""
    if not field.open:
        return ()
    if field.unsaid:
        return (("", field.unsaid),)
    says = "its file says it" if "distillation" in field.setting.path else "the file says it"
    return (("", "the recipe or the file says it" if form.by_recipe and field.name == "architecture/name" else says),)


def _with(choices: Choices, given: str) -> Choices:
    return choices if any(value == given for value, _ in choices) else (*choices, (given, given))
