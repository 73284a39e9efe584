"""The forms of all kinds of jobs: a field for every setting that one can hold, all of it read off the contract."""

from app.pages.forms.carried import carried, replaced
from app.pages.forms.choices import choices_of
from app.pages.forms.faults import faults_by_field
from app.pages.forms.filled import REST, UnclearForm, filled, rest_of, sent, settings_of
from app.pages.forms.form import SETTINGS, Form, form_of
from app.pages.forms.words import RECIPE_WORDS

__all__ = [
    "RECIPE_WORDS",
    "REST",
    "SETTINGS",
    "Form",
    "UnclearForm",
    "carried",
    "choices_of",
    "faults_by_field",
    "filled",
    "form_of",
    "replaced",
    "rest_of",
    "sent",
    "settings_of",
]
