"""How a run is computed: by whom, keeping what, compiled or not; what is learned stays the same,
but for rounding.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import nn

from dgnet.model.config import ConfigError
from dgnet.model.recompute import set_recompute
from dgnet.model.training.workers import Workers


class CompilationError(RuntimeError):
    """torch.compile gave up; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How both kinds of training are executed."""

    workers: Workers = field(default_factory=Workers)
    recompute: bool = False
    """Activation checkpointing: less memory, about a third more time."""
    compile_backend: str | None = None
    """Of `torch.compile`, usually "inductor"; None leaves networks as they are."""

    def __post_init__(self) -> None:
        if self.recompute and self.compile_backend:
            raise ConfigError(
                "activation checkpointing and torch.compile were both asked for; expected one of "
                "them: compiled networks choose by themselves what to compute again"
            )

    def prepare(self, *networks: nn.Module) -> None:
        """Before anything is copied from them: let networks recompute, if asked for."""
        for network in networks:
            set_recompute(network, self.recompute)

    def compile(self, networks: Iterable[nn.Module]) -> None:
        """Compile the calls of networks in place, if asked for; their names and states stay."""
        if self.compile_backend:
            for network in networks:
                network.compile(  # pyright: ignore[reportUnknownMemberType]
                    backend=self.compile_backend
                )

    @contextmanager
    def compiling(self) -> Generator[None]:
        """Around the calls of compiled networks, which the first calls compile."""
        try:
            yield
        except RuntimeError as error:
            if not self.compile_backend:
                raise
            from torch._dynamo.exc import TorchDynamoException

            if not isinstance(error, TorchDynamoException):
                raise
            reason = str(error).strip().partition("\n")[0]
            raise CompilationError(
                f"the networks cannot be compiled here ({reason}): train without compiling"
            ) from error
