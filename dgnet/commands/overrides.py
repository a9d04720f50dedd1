"""`--set NAME=VALUE`: any field of a frozen configuration, checked by the type of the field.

A dot reaches into a configuration inside another (`final_weights.cycle_reconstruction=1`), a comma
parts the values of a tuple (`milestones=1000,1500`). Which configurations a command offers, and
what a field means, is theirs to say.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from dgnet.commands.failures import InputError

Config = TypeVar("Config")


def apply_overrides(config: Config, settings: Sequence[str]) -> Config:
    """A frozen dataclass with fields replaced; raises InputError that names what is wrong."""
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting}: expected NAME=VALUE, such as seed=1")
        try:
            config = _replaced(config, name.strip().split("."), text.strip())
        except ValueError as error:
            raise InputError(f"--set {setting}: {error}") from error
    return config


def split_overrides(
    settings: Sequence[str], *configs: Any, fixed: Sequence[str] = ()
) -> tuple[list[str], ...]:
    """The settings of each configuration by the field they name.

    `fixed` fields are decided elsewhere and cannot be set. Raises InputError for a field that none
    has.
    """
    owned = [{field.name for field in fields(config)} - set(fixed) for config in configs]
    parts: tuple[list[str], ...] = tuple([] for _ in configs)
    for setting in settings:
        name = setting.partition("=")[0].strip().partition(".")[0]
        owners = [index for index, names in enumerate(owned) if name in names]
        if not owners:
            raise InputError(
                f"--set {setting}: there is no field {name!r} to set; known: "
                f"{', '.join(sorted(set[str]().union(*owned)))}"
            )
        parts[owners[0]].append(setting)
    return parts


def _replaced(config: Any, path: list[str], text: str) -> Any:
    name, *deeper = path
    hints = get_type_hints(config.__class__)
    if name not in hints or name not in {field.name for field in fields(config)}:
        known = ", ".join(sorted(field.name for field in fields(config)))
        raise ValueError(f"there is no field {name!r}; known: {known}")
    present = getattr(config, name)
    if deeper:
        if not is_dataclass(present):
            raise ValueError(f"{name} is a plain value; it has no field {'.'.join(deeper)!r}")
        return replace(config, **{name: _replaced(present, deeper, text)})
    if is_dataclass(present):
        inside = ", ".join(sorted(field.name for field in fields(present)))
        raise ValueError(f"{name} holds several values: set {name}.NAME, one of {inside}")
    return replace(config, **{name: _parsed(hints[name], text)})


def _parsed(hint: Any, text: str) -> Any:
    """The value that a text stands for; "none" is None where the type allows it."""
    value: Any = text
    if get_origin(hint) is tuple:
        value = [part.strip() for part in text.split(",") if part.strip()]
    elif text.lower() == "none" and get_origin(hint) is types.UnionType:
        return None
    try:
        return TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        raise ValueError("; ".join(problem["msg"] for problem in error.errors())) from error
