"""Which files settings name beside the checkpoint they come with."""

from collections.abc import Iterator, Mapping

from micronet.contract.training import Distillation
from micronet.contract.values import Value, values_in


def files_named(settings: Value) -> tuple[str, ...]:
    """SHA-256s of other checkpoints, each once, in order: teachers, wherever in the settings they are."""
    return tuple(dict.fromkeys(one.teacher for one in distillations(settings)))


def may_name_files(kind: type[Value]) -> bool:
    """Whether there is a place for a teacher in settings of this kind."""
    if issubclass(kind, Distillation):
        return True
    annotations = (field.annotation for field in kind.model_fields.values())
    return any(may_name_files(inner) for annotation in annotations for inner in values_in(annotation))


def distillations(value: object) -> Iterator[Distillation]:
    """Those in settings, in order, wherever they are."""
    if isinstance(value, Distillation):
        yield value
    elif isinstance(value, Value):
        for name in type(value).model_fields:
            yield from distillations(getattr(value, name))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from distillations(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from distillations(item)
