"""From one form to another, and from an address to a form: texts that take the place of what a form comes with."""

import json
from collections.abc import Mapping

from app.handed_on import taken_by
from app.pages.forms.fields import Field
from app.pages.forms.filled import UnclearForm, rest_of
from app.pages.forms.form import SETTINGS, Form
from micronet.jobs import JOBS


def carried(old: Form, new: Form, given: Mapping[str, str]) -> dict[str, str]:
    """What was put into a form, for the fields that another one has as well; an empty text empties a field.

    What is as it came is left out: the other form has defaults of its own. So is what none of its texts means, as a
    choice that it does not offer, and of what stands there as JSON, what its kind does not take. The fields are in the
    order of the other form.
    """
    texts = {}
    for name, control in new.labelled.items():
        before, text = old.labelled.get(name), given.get(name, "")
        if before is None or text == old.comes.get(name, ""):
            continue
        meant: str | None = text  # a box that switches a group says the same in all
        if isinstance(control, Field) and isinstance(before, Field):
            meant = control.meaning(before, text)
        if meant is not None:
            texts[name] = meant
    if rest := _rest(new, given):
        texts[SETTINGS] = rest
    return texts


def replaced(form: Form, given: Mapping[str, str], texts: Mapping[str, str]) -> dict[str, str]:
    """The form with these texts in its fields; other names are none of it, and an empty text empties a field."""
    own = {name: text for name, text in texts.items() if name in form.names}
    return {name: text for name, text in {**given, **own}.items() if text}


def _rest(new: Form, given: Mapping[str, str]) -> str:
    """What stands as JSON in a form, for one of another kind; as it is where nobody can read it."""
    try:
        rest = rest_of(given)
    except UnclearForm:
        return given.get(SETTINGS, "")
    left = taken_by(JOBS[new.kind].settings, rest)
    return given[SETTINGS] if left == rest and rest else json.dumps(left, indent=2) if left else ""
