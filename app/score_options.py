"""Score settings as command-line options: one table, for every command that takes them."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

import typer
from pydantic import BaseModel

from app.reporting import reported
from app.settings_text import pairs, put_, validated, whole
from micronet.contract import ScoreSettings
from micronet.contract.words import words_of_fields
from micronet.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its type, its help (None: what the contract says), where its value goes, what to make of it first."""

    kind: Any
    help: str | None
    path: tuple[str, ...]
    convert: Callable[[Any], object] = lambda value: value
    flags: tuple[str, ...] = ()


_SWITCH = ("--{0}/--no-{0}",)
"""An option that is on or off, whatever its default."""


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.replace(",", " ").split()]
    except ValueError as error:
        raise SettingsError(f"{text!r}: numbers are needed, one per channel, as in 0.5071,0.4865,0.4409") from error


def _architecture_options(given: list[str]) -> Mapping[str, object]:
    return pairs("--option", given, "depth=272")


OPTIONS: Mapping[str, Option] = {
    "track": Option(str, "Track to score on; `micronet tracks` lists them.", ("track",)),
    "architecture": Option(str, "Network of a state dict; see `micronet architectures`.", ("architecture", "name")),
    "option": Option(
        list[str], "KEY=VALUE for the architecture; repeatable.", ("architecture", "options"), _architecture_options
    ),
    "policy": Option(Literal["report", "challenge"], None, ("policy",)),
    "unquantized": Option(bool, "No bit widths: the network as it is.", ("bits",), lambda _: None, ("--unquantized",)),
    "param_bits": Option(int, "Bits of weights.", ("bits", "param_bits")),
    "mul_bits": Option(int, "Bits of activations, and so of multiplications.", ("bits", "mul_bits")),
    "add_bits": Option(int, "Bits of additions (report).", ("bits", "add_bits")),
    "exponent_bits": Option(int, "Bits of a shared exponent (report).", ("bits", "exponent_bits")),
    "fuse_batchnorm": Option(bool, None, ("fuse_batchnorm",), flags=_SWITCH),
    "rule": Option(Literal["sigmamax", "max", "mse"], None, ("quantizer", "rule")),
    "granularity": Option(Literal["tensor", "channel"], None, ("quantizer", "granularity")),
    "weight_stds": Option(float, None, ("quantizer", "weight_stds")),
    "activation_stds": Option(float, None, ("quantizer", "activation_stds")),
    "calibration_images": Option(int, None, ("quantizer", "calibration_images")),
    "mean": Option(str, "Mean per channel, as in 0.5071,0.4865,0.4409.", ("normalize", "mean"), _numbers),
    "std": Option(str, "Deviation per channel.", ("normalize", "std"), _numbers),
    "encoding": Option(Literal["cheapest", "masked"], None, ("encoding",)),
    "accumulators": Option(Literal["declared", "proven"], None, ("accumulators",)),
    "evaluate": Option(bool, None, ("evaluate",), flags=_SWITCH),
    "bit_true": Option(bool, None, ("bit_true",), flags=_SWITCH),
    "seed": Option(int, None, ("seed",)),
    "team": Option(str, None, ("team",)),
    "name": Option(str, "Name of the entry, for the leaderboard.", ("name",)),
    "settings": Option(str, "All settings as JSON, or @FILE (JSON or TOML); single options win over it.", ()),
}
"""Parameter name -> option. Defaults are those of `ScoreSettings`; an option not given changes nothing."""


def score_settings(given: Mapping[str, Any]) -> ScoreSettings:
    """Settings from option values (None where not given) on top of --settings. Raises SettingsError."""
    return validated(ScoreSettings, given_settings(given))


def given_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same, not yet checked: only what was given. Raises SettingsError."""
    settings = whole(given.get("settings"))
    for name, option in OPTIONS.items():
        value = given.get(name)
        if option.path and value not in (None, []) and not (name == "unquantized" and value is False):
            put_(settings, option.path, option.convert(value))
    return settings


def with_score_settings(command: Callable[..., None]) -> Callable[..., None]:
    """`command(settings=ScoreSettings, ...)` as a command that takes every option of the table beside its own."""
    return _with_options(command, score_settings, ScoreSettings())


def with_given_settings(command: Callable[..., None]) -> Callable[..., None]:
    """`command(settings=dict, ...)`, with the same options, for settings of any kind of job."""
    return _with_options(command, given_settings, None)


def _with_options(
    command: Callable[..., None], read: Callable[[Mapping[str, Any]], object], usual: ScoreSettings | None
) -> Callable[..., None]:
    """`usual`: what holds where nothing is said, for the help; None where that depends on the kind of job."""

    @functools.wraps(command)
    def run(**values: Any) -> None:
        given = {name: values.pop(name) for name in OPTIONS}
        with reported(bool(values.get("as_json"))):
            settings = read(given)
        command(settings=settings, **values)

    own = [parameter for name, parameter in inspect.signature(command).parameters.items() if name != "settings"]
    shared = [_parameter(name, option, usual) for name, option in OPTIONS.items()]
    signature = inspect.Signature([*own, *shared])
    run.__dict__["__signature__"] = signature
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in signature.parameters.values()}
    return run


def _parameter(name: str, option: Option, usual: ScoreSettings | None) -> inspect.Parameter:
    flags = tuple(flag.format(name.replace("_", "-")) for flag in option.flags or ("--{0}",))
    told = _words(option.path) if option.help is None else option.help
    option_type = typer.Option(*flags, help=told, show_default=_shown(name, option, usual) or False)
    annotation = cast(Any, Annotated)[option.kind | None, option_type]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _shown(name: str, option: Option, usual: ScoreSettings | None) -> str:
    """What holds where the option is not given; nothing where nothing does."""
    value: Any = usual
    for part in option.path if name != "unquantized" else ():
        value = getattr(value, part, None)
    if value is None or value is usual:
        return ""
    if isinstance(value, bool):
        return f"{'' if value else 'no-'}{name.replace('_', '-')}"
    return str(value)


def _words(path: tuple[str, ...]) -> str:
    """What the contract says of a setting, as a sentence."""
    model: type[BaseModel] = ScoreSettings
    for name in path[:-1]:
        inner = model.model_fields[name].annotation
        assert isinstance(inner, type), path
        assert issubclass(inner, BaseModel), path
        model = inner
    words = words_of_fields(model)[path[-1]]
    return f"{words[0].upper()}{words[1:]}."
