"""Faults at awaits: finds every one in a module and lets a chosen one raise.

The functions of the modules get new code in place, in which each `await X` is `await _at(PLACE, X)`
and each `async with` and `async for` passes its place before it begins. Nothing else changes, so
that any await of the real code can be made to fail, and a new await is a new case by itself. What
is armed belongs to the context, and so to the tasks that are begun there: many cases run side by
side.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, cast

_AT, _PASS = "_at_an_await", "_passing"


@dataclass(frozen=True, order=True)
class Place:
    """An await, or the begin of an `async with` or `async for`."""

    module: str
    function: str
    text: str
    """What is awaited, and which of several alike in the function."""

    def __str__(self) -> str:
        return f"{self.module}:{self.function}:{self.text}"


@dataclass
class Faults:
    """What is armed, and which places were passed."""

    armed: Place | None = None
    make: Callable[[], BaseException] = RuntimeError
    left: int = 0
    fired: int = 0
    before: bool = True
    """Whether the fault comes instead of what is awaited, or after it was done."""

    def arm(
        self, place: Place, make: Callable[[], BaseException], *, times: int, before: bool
    ) -> None:
        self.armed, self.make, self.left, self.fired = place, make, times, 0
        self.before = before

    def due(self, place: Place) -> bool:
        if place != self.armed or self.left <= 0:
            return False
        self.left -= 1
        self.fired += 1
        return True

    async def at(self, place: Place, awaited: Awaitable[Any]) -> Any:
        if not self.due(place):
            return await awaited
        if self.before:
            if asyncio.iscoroutine(awaited):
                awaited.close()
            raise self.make()
        await awaited
        raise self.make()

    def passing(self, place: Place, value: Any) -> Any:
        if self.due(place):
            raise self.make()
        return value


_FAULTS: ContextVar[Faults | None] = ContextVar("faults", default=None)


@contextlib.contextmanager
def own_faults() -> Generator[Faults]:
    """Faults of the tasks that are begun meanwhile."""
    faults = Faults()
    token = _FAULTS.set(faults)
    try:
        yield faults
    finally:
        _FAULTS.reset(token)


async def side_by_side(cases: dict[str, Coroutine[None, None, None]]) -> None:
    """Runs all; raises a group of what they raised, each with its name."""

    async def named(name: str, case: Coroutine[None, None, None]) -> None:
        try:
            await case
        except Exception as error:
            error.add_note(f"the case {name}")
            raise

    results = await asyncio.gather(
        *(named(name, case) for name, case in cases.items()), return_exceptions=True
    )
    errors = [error for error in results if isinstance(error, Exception)]
    if errors:
        raise ExceptionGroup(f"{len(errors)} of {len(cases)} cases", errors)


def places_of(module: ModuleType) -> list[Place]:
    """All awaits of a module, in the order of its text."""
    return _instrumented(module)[1]


def install(modules: list[ModuleType]) -> Callable[[], None]:
    """Gives the functions of the modules their new code; call the answer to undo it."""
    undo: list[tuple[FunctionType, CodeType]] = []
    for module in modules:
        tree, places = _instrumented(module)
        code = compile(tree, str(module.__file__), "exec")
        new = {(c.co_qualname, c.co_firstlineno): c for c in _codes(code)}

        def at(number: int, awaited: Any, places: list[Place] = places) -> Any:
            faults = _FAULTS.get()
            return awaited if faults is None else faults.at(places[number], awaited)

        def passing(number: int, value: Any, places: list[Place] = places) -> Any:
            faults = _FAULTS.get()
            return value if faults is None else faults.passing(places[number], value)

        vars(module)[_AT], vars(module)[_PASS] = at, passing
        for function in _functions(module):
            before = function.__code__
            undo.append((function, before))
            function.__code__ = new[before.co_qualname, before.co_firstlineno]

    def restore() -> None:
        for function, code in undo:
            function.__code__ = code

    return restore


def _instrumented(module: ModuleType) -> tuple[ast.Module, list[Place]]:
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    rewriter = _Rewriter(module.__name__)
    rewritten = cast("ast.Module", rewriter.visit(tree))
    return ast.fix_missing_locations(rewritten), rewriter.places


class _Rewriter(ast.NodeTransformer):
    def __init__(self, module: str) -> None:
        self.places: list[Place] = []
        self._module = module
        self._scopes: list[str] = []

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._scoped(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._scoped(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._scoped(node)

    def visit_Await(self, node: ast.Await) -> ast.AST:
        number = self._new_place(node.value)
        self.generic_visit(node)
        node.value = self._call(_AT, number, node.value)
        return node

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        for item in node.items:
            number = self._new_place(item.context_expr)
            item.context_expr = self._call(_PASS, number, item.context_expr)
        self.generic_visit(node)
        return node

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        node.iter = self._call(_PASS, self._new_place(node.iter), node.iter)
        self.generic_visit(node)
        return node

    def _scoped(self, node: Any) -> ast.AST:
        self._scopes.append(node.name)
        self.generic_visit(node)
        self._scopes.pop()
        return node

    def _new_place(self, awaited: ast.expr) -> int:
        text = ast.unparse(awaited)[:50]
        function = ".".join(self._scopes)
        alike = sum(p.function == function and p.text.startswith(text) for p in self.places)
        self.places.append(Place(self._module, function, f"{text}#{alike + 1}" if alike else text))
        return len(self.places) - 1

    @staticmethod
    def _call(name: str, number: int, value: ast.expr) -> ast.expr:
        return ast.copy_location(
            ast.Call(ast.Name(name, ast.Load()), [ast.Constant(number), value], []), value
        )


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    """Functions and methods whose text is the module's own."""
    for value in vars(module).values():
        members = vars(value).values() if inspect.isclass(value) else [value]
        for found in list(members):
            member: Any = getattr(found, "__func__", None) or getattr(found, "fget", None) or found
            if isinstance(member, types.FunctionType) and member.__code__.co_filename == (
                module.__file__
            ):
                yield member
