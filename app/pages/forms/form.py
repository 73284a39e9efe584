"""The form of a kind of job: its fields, with all that the contract says of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from app.pages.forms.fields import Field
from app.pages.forms.plans import Group, Plan, Switch, plan_of
from app.pages.forms.schema import Path, settings_in
from app.pages.forms.words import Words, titled, words_of
from app.settings_text import usual_of
from micronet.contract import PipelineSettings
from micronet.jobs import JOBS

SETTINGS = "settings"
"""The field for what has none of its own, as JSON."""
_OF_NO_RECIPE = ("recipe", "name", "team")


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a kind. `usual`: settings that need no saying, for they hold anyhow."""

    kind: str
    plan: Plan
    fields: Mapping[str, Field]
    usual: Mapping[str, Any]

    @property
    def switches(self) -> tuple[Switch, ...]:
        """Those of its groups."""
        return tuple(group.switch for group in self.plan.groups if group.switch is not None)

    @property
    def labelled(self) -> Mapping[str, Field | Switch]:
        """All of its controls that have words of their own, by name."""
        return {**self.fields, **{switch.name: switch for switch in self.switches}}

    @property
    def names(self) -> frozenset[str]:
        """Names of everything it sends beside the file."""
        return frozenset(self.labelled) | {SETTINGS}

    @property
    def comes(self) -> Mapping[str, str]:
        """The form as it comes: every default, but where a recipe may have another."""
        texts = {name: field.comes for name, field in self.fields.items()}
        return {name: text for name, text in texts.items() if text} | {switch.name: "on" for switch in self.switches}

    @property
    def by_recipe(self) -> bool:
        """Whether a recipe may say what holds where nothing is said."""
        return "recipe" in self.fields

    def opened(self, group: Group, given: Mapping[str, str], faults: Mapping[str, object]) -> bool:
        """Whether a group is to be seen at once: something in it is wrong, or is not as it comes."""
        switched = group.switch is not None and (group.switch.name in faults or group.switch.name not in given)
        changed = any(name in faults or given.get(name, "") != self.fields[name].comes for name in group.names)
        return group.open or switched or changed

    def leads_on(self, path: Path) -> bool:
        """Whether there are fields for what is in the object at `path`."""
        return any(field.setting.path[: len(path)] == path for field in self.fields.values())


@cache
def form_of(kind: str) -> Form:
    """The form of a kind of job; counting has that of a score."""
    model = JOBS[kind].settings
    recipes = issubclass(model, PipelineSettings)
    settings = {"/".join(path): setting for path, setting in settings_in(model).items()}
    plan = plan_of(kind, settings.values())
    drawn = [settings[name] for name in plan.names]
    fields = {}
    for setting, words in zip(drawn, _told_apart([setting.path for setting in drawn]), strict=True):
        name = "/".join(setting.path)
        by_recipe = recipes and len(setting.path) == 1 and name not in _OF_NO_RECIPE
        fields[name] = Field(setting, words, by_recipe)
    return Form(kind, plan, fields, {} if recipes else usual_of(model).model_dump(mode="json"))


def _told_apart(paths: Sequence[Path]) -> list[Words]:
    """The words of each; a label that several would have says in which object it is."""
    found = [words_of(path) for path in paths]
    often = Counter(words.label for words in found)
    return [
        Words(titled(path), words.hint) if often[words.label] > 1 else words
        for path, words in zip(paths, found, strict=True)
    ]
