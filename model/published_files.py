"""Reads the published release's files and makes a checkpoint of them.

The release keeps each part in a `.pt` or `.pth` file that `torch.save` wrote: a state dict, plain
or under one name. Files are read with `weights_only`: what would need unpickling is refused,
because unpickling runs whatever code a file asks for. Which tensor goes where is `published`'s
business.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard, cast

import torch
from torch import Tensor

from dgnet.model.checkpoints import Metadata, save_checkpoint
from dgnet.model.config import NetworkConfig, preset
from dgnet.model.dgnet import DGNet
from dgnet.model.published import (
    PublishedCheckpointError,
    load_appearance_encoder,
    load_discriminator,
    load_generator,
    load_teacher,
)
from dgnet.model.teacher import Teacher
from dgnet.paths import local_path

LEGACY_MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
"""How files of torch.save before PyTorch 1.6 begin; later ones are zip archives."""

_WRAPPERS = re.compile(r"\b(?:module|_orig_mod)\.")

APPEARANCE_CLASSIFIERS = ("classifier1.classifier.0.weight", "classifier2.classifier.0.weight")
TEACHER_CLASSIFIERS = ("classifier.classifier.0.weight",)


@dataclass(frozen=True, kw_only=True)
class PublishedFiles:
    """The files of one published model; discriminator and teacher matter to training alone."""

    generator: str | Path
    appearance: str | Path
    discriminator: str | Path | None = None
    teacher: str | Path | None = None
    teacher_last_stride: int = 2
    """The weights do not tell it; 2 is the release's default."""


def import_published(
    files: PublishedFiles, directory: str | Path, *, data: dict[str, Any] | None = None
) -> Metadata:
    """Write a checkpoint of the paper's configuration from published files.

    Raises PublishedCheckpointError, which names file and tensor, for whatever does not fit.
    """
    generator = read_published(files.generator)
    appearance = read_published(files.appearance)
    identities = _identities(files.appearance, appearance, APPEARANCE_CLASSIFIERS)
    config = preset("paper", identities=identities)
    networks = DGNet(config)
    parts = {name for name, _ in networks.named_children()}
    _fill(files.generator, lambda: load_generator(networks, generator))
    _fill(
        files.appearance, lambda: load_appearance_encoder(networks.appearance_encoder, appearance)
    )
    if files.discriminator is None:
        parts.remove("discriminator")
    else:
        discriminator = read_published(files.discriminator)
        _fill(
            files.discriminator, lambda: load_discriminator(networks.discriminator, discriminator)
        )
    return save_checkpoint(
        directory,
        networks,
        parts=parts,
        teacher=None if files.teacher is None else _teacher(files, files.teacher, config),
        training={
            "imported_from": {
                role: local_path(path).name
                for role, path in (
                    ("generator", files.generator),
                    ("appearance", files.appearance),
                    ("discriminator", files.discriminator),
                    ("teacher", files.teacher),
                )
                if path is not None
            }
        },
        data=data,
    )


def read_published(path: str | Path) -> dict[str, Tensor]:
    """The state dict that a published file holds, plain or under one name, on the CPU."""
    path = local_path(path)
    if not path.is_file():
        raise PublishedCheckpointError(f"{path}: no such file; expected a file of torch.save")
    with path.open("rb") as file:
        legacy = file.read(len(LEGACY_MAGIC)) == LEGACY_MAGIC
    if not legacy and not zipfile.is_zipfile(path):
        raise PublishedCheckpointError(
            f"{path} is not a whole file of torch.save: expected a zip archive, or the format "
            "before PyTorch 1.6; is it the right file, and was it copied whole?"
        )
    try:
        loaded: object = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise PublishedCheckpointError(
            f"{path} is refused: it holds Python objects besides tensors, and reading those "
            "(unpickling) runs whatever code the file asks for. Expected a state dict of tensors: "
            "save `network.state_dict()` where the file comes from, not the network"
        ) from error
    except (RuntimeError, EOFError, KeyError, ValueError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise PublishedCheckpointError(f"{path} is damaged or cut short: {reason}") from error
    return _state_dict(path, loaded)


def _state_dict(path: Path, loaded: object) -> dict[str, Tensor]:
    """The tensors by name, whether they are the file's own or all under one of its names."""
    if _is_state_dict(loaded):
        return _unwrapped(path, loaded)
    what, found = _kind(loaded), dict[object, object]()
    if isinstance(loaded, Mapping):
        found.update(cast(Mapping[object, object], loaded))
    inner = [value for value in found.values() if _is_state_dict(value)]
    if len(inner) == 1:
        return _unwrapped(path, inner[0])
    if found:
        entries = [f"{key!r}: {_kind(value)}" for key, value in list(found.items())[:5]]
        what = f"{{{', '.join([*entries, '...'] if len(found) > 5 else entries)}}}"
    raise PublishedCheckpointError(
        f"{path} holds {what}; expected one mapping of names to tensors, plain or under a single "
        "name"
    )


def _unwrapped(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without what wrappers put before names: DataParallel `module.`, compilation `_orig_mod.`."""
    plain = {_WRAPPERS.sub("", name): tensor for name, tensor in tensors.items()}
    if len(plain) < len(tensors):
        raise PublishedCheckpointError(
            f"{path} holds tensors twice, with and without `module.` or `_orig_mod.` before their "
            "names; expected them once"
        )
    return plain


def _is_state_dict(value: object) -> TypeGuard[Mapping[str, Tensor]]:
    if not isinstance(value, Mapping) or not value:
        return False
    entries = cast(Mapping[object, object], value).items()
    return all(isinstance(key, str) and isinstance(entry, Tensor) for key, entry in entries)


def _kind(value: object) -> str:
    if _is_state_dict(value):
        return f"{len(value)} tensors"
    return "a tensor" if isinstance(value, Tensor) else type(value).__name__


def _identities(
    path: str | Path, tensors: Mapping[str, Tensor], classifiers: tuple[str, ...]
) -> int:
    """How many people the classifiers of a file tell apart."""
    counts: dict[str, int] = {}
    for name in classifiers:
        if name not in tensors or tensors[name].ndim != 2:
            raise PublishedCheckpointError(
                f"{path}: {name} is missing or no matrix; its rows say how many identities there "
                f"are. The file holds {len(tensors)} tensors such as {min(tensors)}: is it the "
                "right part?"
            )
        counts[name] = tensors[name].shape[0]
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{name} has {count} rows" for name, count in counts.items())
        raise PublishedCheckpointError(f"{path}: {shown}; expected one number of identities")
    return counts[classifiers[0]]


def _teacher(files: PublishedFiles, path: str | Path, config: NetworkConfig) -> Teacher:
    tensors = read_published(path)
    identities = _identities(path, tensors, TEACHER_CLASSIFIERS)
    if identities != config.identities:
        raise PublishedCheckpointError(
            f"{path} knows {identities} identities, {files.appearance} knows {config.identities}; "
            "expected a teacher of the same training set"
        )
    teacher = Teacher(config, last_stride=files.teacher_last_stride)
    _fill(path, lambda: load_teacher(teacher, tensors))
    return teacher


def _fill(path: str | Path, load: Callable[[], None]) -> None:
    """Say which file a tensor's trouble is in."""
    try:
        load()
    except PublishedCheckpointError as error:
        raise PublishedCheckpointError(f"{path}: {error}") from error
