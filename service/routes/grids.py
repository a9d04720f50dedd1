"""Many composites in one request: a grid, a list of pairs, a walk between two appearances.

Pictures are sent, decoded and encoded by the model once each, however many composites they are in.
The answer is a sheet to look at, a zip of single files, or all pixels as arrays.

Legend: N appearances, M structures, K composites, H x W pixels of the model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np
from fastapi import APIRouter, Query, Request
from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from dgnet.arrays import Pixels
from dgnet.jobs.contract import GridCell, GridJob, GridResult, ModelInfo, Scene
from dgnet.jobs.errors import JobFailed
from dgnet.jobs.media_types import FORM, GRIDS, JPEG, JSON, NPZ, PNG, ZIP
from dgnet.jobs.plain_words import in_words
from dgnet.jobs.views import GridIndex, GridMember
from dgnet.pictures.sheets import crossed, grid, lines
from dgnet.service.answers import negotiated
from dgnet.service.dependencies import AppDependencies, Dependencies, ModelQuery
from dgnet.service.encoding import encode_composite, encode_npz, encode_zip
from dgnet.service.forms import FormPart, parse_form
from dgnet.service.negotiation import negotiate
from dgnet.service.openapi import (
    BINARY,
    PICTURE_TYPES,
    QUEUE_KINDS,
    RESULT_HEADERS,
    Responses,
    problems,
    request_header,
)
from dgnet.service.picture_pool import Source
from dgnet.service.problems import (
    ANIMATED_PICTURE,
    BAD_REQUEST,
    DAMAGED_PICTURE,
    INVALID_REQUEST,
    MISSING_PART,
    NOT_A_PICTURE,
    NOT_ACCEPTABLE,
    PICTURE_DIMENSIONS,
    PICTURE_TOO_LARGE,
    TOO_MANY_COMPOSITES,
    TOO_MANY_PICTURES,
    UNKNOWN_MODEL,
    UNSUPPORTED_CONTENT_TYPE,
    Problem,
)
from dgnet.service.routes.swaps import SceneQuery, source_of

router = APIRouter(tags=["swaps"])
GAP: Final = 3  # pixels between the pictures of a sheet
TRIPLES_ACROSS: Final = 4
MOST_JPEG_SIDE: Final = 65_500
DEFAULT_STEPS: Final = 5
_PAIRS: Final = TypeAdapter[list[tuple[int, int]]](list[tuple[int, int]])


def _responses() -> Responses:
    pictures: dict[str, Any] = {media_type: {"schema": BINARY} for media_type in GRIDS}
    return {
        200: {
            "description": "A sheet (PNG, JPEG); or a zip of PNG files with `index.json`, which "
            "names their pictures; or the arrays `composites`, `appearances`, `structures`, "
            "`weights` and `model_version` (npz)",
            "content": pictures,
            "headers": RESULT_HEADERS,
        },
        **problems(
            BAD_REQUEST,
            UNKNOWN_MODEL,
            NOT_ACCEPTABLE,
            PICTURE_TOO_LARGE,
            TOO_MANY_PICTURES,
            TOO_MANY_COMPOSITES,
            UNSUPPORTED_CONTENT_TYPE,
            NOT_A_PICTURE,
            INVALID_REQUEST,
            MISSING_PART,
            DAMAGED_PICTURE,
            PICTURE_DIMENSIONS,
            ANIMATED_PICTURE,
            *QUEUE_KINDS,
        ),
    }


def _extra(**parts: dict[str, Any]) -> dict[str, Any]:
    """What the document says of a form of these parts; all are needed."""
    pictures = [name for name in parts if name != "pairs"]
    return {
        "parameters": [request_header("Accept", "Form of the answer; image/png if absent", ZIP)],
        "requestBody": {
            "required": True,
            "content": {
                FORM: {
                    "schema": {"type": "object", "required": list(parts), "properties": parts},
                    "encoding": {name: {"contentType": PICTURE_TYPES} for name in pictures},
                }
            },
        },
    }


def _pictures(description: str, *, least: int = 1, most: int | None = None) -> dict[str, Any]:
    bounds = {"minItems": least, **({} if most is None else {"maxItems": most})}
    return {"type": "array", "items": BINARY, "description": description, **bounds}


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """What is made of a request's pictures, by their positions among those of a role."""

    cells: list[GridCell]
    shape: tuple[int, ...]
    """Of the composites, before H, W and 3."""
    sheet: Callable[[list[Pixels], Pixels], Pixels]
    """Pictures of the request and composites (K, H, W, 3) on one."""
    name: Callable[[int, GridCell], str]
    """Of a file of the zip."""
    structures_from: int = 0
    """Where structures begin among the pictures, if they are not told by the same positions."""

    def member(self, index: int) -> GridMember:
        """What the zip says of a composite."""
        cell = self.cells[index]
        return GridMember(
            file=self.name(index, cell),
            appearance=cell.appearance,
            second_appearance=cell.second,
            weight=cell.weight,
            structure=cell.structure,
        )


@router.post(
    "/v1/swaps/grid",
    summary="Swap every appearance with every structure",
    response_class=Response,
    responses=_responses(),
    openapi_extra=_extra(
        appearance=_pictures("Those who give the clothes, a row for each"),
        structure=_pictures("Those who give pose and scene, a column for each"),
    ),
)
async def create_grid(
    request: Request,
    dependencies: AppDependencies,
    scene: SceneQuery = None,
    model: ModelQuery = None,
) -> Response:
    """N appearances and M structures in, N x M composites out; each picture is encoded once."""
    form = await _Form.of(request, dependencies, scene, model, "appearance", "structure")
    appearances, structures = form.all("appearance"), form.all("structure")
    count, across = len(appearances), len(structures)
    form.require_at_most(count * across)
    cells = [
        GridCell(appearance=row, structure=column)
        for row in range(count)
        for column in range(across)
    ]

    def sheet(pictures: list[Pixels], composites: Pixels) -> Pixels:
        rows = composites.reshape(count, across, *composites.shape[1:])
        return crossed(np.stack(pictures[count:]), np.stack(pictures[:count]), rows, gap=GAP)

    wanted = _Wanted(
        cells=cells,
        shape=(count, across),
        sheet=sheet,
        name=lambda _, one: f"appearance-{one.appearance:03}-structure-{one.structure:03}.png",
        structures_from=count,
    )
    return await form.answer([*appearances, *structures], wanted)


@router.post(
    "/v1/swaps/batch",
    summary="Swap many pairs of pictures",
    response_class=Response,
    responses=_responses(),
    openapi_extra=_extra(
        pictures=_pictures("Each once; in whatever role"),
        pairs={
            "type": "string",
            "contentMediaType": JSON,
            "description": "JSON: a list of pairs of positions among `pictures`, from 0: who gives "
            "the clothes, and who gives pose and scene",
            "example": "[[0, 1], [0, 2], [1, 0]]",
        },
    ),
)
async def create_batch(
    request: Request,
    dependencies: AppDependencies,
    scene: SceneQuery = None,
    model: ModelQuery = None,
) -> Response:
    """Pictures once, and pairs of their positions; a composite for each pair."""
    form = await _Form.of(request, dependencies, scene, model, "pictures", "pairs")
    sources = form.all("pictures")
    pairs = _read_pairs(form.one("pairs"), len(sources))
    form.require_at_most(len(pairs))

    def sheet(pictures: list[Pixels], composites: Pixels) -> Pixels:
        triples = [
            np.concatenate([pictures[appearance], pictures[structure], composite], axis=1)
            for (appearance, structure), composite in zip(pairs, composites, strict=True)
        ]
        return grid(lines(triples, across=min(TRIPLES_ACROSS, len(triples))), gap=GAP, margin=GAP)

    wanted = _Wanted(
        cells=[GridCell(appearance=first, structure=second) for first, second in pairs],
        shape=(len(pairs),),
        sheet=sheet,
        name=lambda index, _: f"pair-{index:04}.png",
    )
    return await form.answer(sources, wanted)


@router.post(
    "/v1/swaps/interpolation",
    summary="Walk from one appearance to another",
    response_class=Response,
    responses=_responses(),
    openapi_extra=_extra(
        appearance=_pictures("From whose clothes, and to whose", least=2, most=2),
        structure={**BINARY, "description": "Who gives pose and scene"},
    ),
)
async def create_interpolation(
    request: Request,
    dependencies: AppDependencies,
    scene: SceneQuery = None,
    model: ModelQuery = None,
    steps: Annotated[
        int | None,
        Query(ge=2, description=f"So many equal steps from 0 to 1; {DEFAULT_STEPS} if absent"),
    ] = None,
    weight: Annotated[
        list[Annotated[float, Query(ge=0, le=1, allow_inf_nan=False)]] | None,
        Query(description="Instead: weights of the second appearance; may be repeated"),
    ] = None,
) -> Response:
    """Two appearances and a structure in, a composite for each weight of the second out."""
    if steps is not None and weight:
        raise Problem(INVALID_REQUEST, "steps and weight came together; expected one of them.")
    count = len(weight) if weight else steps or DEFAULT_STEPS
    form = await _Form.of(request, dependencies, scene, model, "appearance", "structure")
    form.require_at_most(count)
    appearances, structures = form.all("appearance"), form.all("structure")
    if len(appearances) != 2 or len(structures) != 1:
        raise Problem(
            MISSING_PART if len(appearances) < 2 else TOO_MANY_PICTURES,
            f"{len(appearances)} parts 'appearance' and {len(structures)} parts 'structure' "
            "arrived; expected two and one.",
        )
    weights = weight or [step / (count - 1) for step in range(count)]

    def sheet(pictures: list[Pixels], composites: Pixels) -> Pixels:
        return grid([[pictures[0], *composites, pictures[1]]], gap=GAP, margin=GAP)

    wanted = _Wanted(
        cells=[GridCell(appearance=0, second=1, weight=each, structure=0) for each in weights],
        shape=(count,),
        sheet=sheet,
        name=lambda index, _: f"step-{index:04}.png",
        structures_from=2,
    )
    return await form.answer([*appearances, *structures], wanted)


@dataclass(frozen=True, kw_only=True)
class _Form:
    """A request that was read, and whoever answers it."""

    dependencies: Dependencies
    model: ModelInfo
    scene: Scene | None
    media_type: str
    parts: list[FormPart]
    started: float

    @classmethod
    async def of(
        cls,
        request: Request,
        dependencies: Dependencies,
        scene: Scene | None,
        wanted: str | None,
        *names: str,
    ) -> _Form:
        """Refuses what cannot be answered before anything is decoded, and parts of other names."""
        media_type = negotiate(request.headers.get("accept"), GRIDS)
        model = await dependencies.serving_model(wanted)
        await dependencies.require_grids(model)
        if objection := model.objection_to(scene):
            raise Problem(INVALID_REQUEST, f"{objection}.")
        body = await request.body()
        started = time.perf_counter()
        most = dependencies.settings.max_pictures + ("pairs" in names)
        parts = parse_form(request.headers.get("content-type"), body, max_parts=most)
        for part in parts:
            if part.name not in names:
                raise Problem(
                    INVALID_REQUEST,
                    f"The form has a part {part.name[:100]!r}; expected {' and '.join(names)} "
                    "alone. Options belong into the address, such as ?scene=keep.",
                )
        return cls(
            dependencies=dependencies,
            model=model,
            scene=scene,
            media_type=media_type,
            parts=parts,
            started=started,
        )

    def all(self, name: str) -> list[Source]:
        """The pictures of one name, at least one."""
        sources = [source_of(part, number) for number, part in enumerate(self._named(name))]
        most = self.dependencies.settings.max_pictures
        if len(sources) > most:
            raise Problem(
                TOO_MANY_PICTURES,
                f"The form has {len(sources)} parts {name!r}; at most {most} are accepted. Send "
                "several requests.",
            )
        return sources

    def one(self, name: str) -> bytes:
        """The content of the only part of a name."""
        named = self._named(name)
        if len(named) > 1:
            raise Problem(INVALID_REQUEST, f"The form has {len(named)} parts {name!r}; expected 1.")
        return named[0].content

    def _named(self, name: str) -> list[FormPart]:
        named = [part for part in self.parts if part.name == name]
        if not named:
            raise Problem(
                MISSING_PART, f"The form has no part {name!r}; expected at least one of that name."
            )
        return named

    def require_at_most(self, composites: int) -> None:
        most = self.dependencies.settings.max_composites
        if composites > most:
            raise Problem(
                TOO_MANY_COMPOSITES,
                f"The request asks for {composites} composites; at most {most} are made at once. "
                "Send several requests.",
            )

    async def answer(self, sources: Sequence[Source], wanted: _Wanted) -> Response:
        """What is wanted of these pictures, in the negotiated form."""
        pool = self.dependencies.picture_pool
        prepared = await pool.prepare_or_refuse(sources, self.model)
        pictures = [picture.pixels for picture in prepared]
        decode_seconds = time.perf_counter() - self.started
        job = _job(pictures, wanted, self.scene)
        job_id = await self.dependencies.jobs.submit(
            job, lane="grid", model=self.model.model_version
        )
        result = await self.dependencies.jobs.wait(
            job_id, timeout_seconds=self.dependencies.settings.request_timeout_seconds
        )
        if not isinstance(result, GridResult):
            raise JobFailed("The worker answered a grid with something else; ask its operator.")
        started = time.perf_counter()
        content = await pool.write(
            lambda: self._written(pictures, result, wanted), pixels=result.composites.size // 3
        )
        return negotiated(
            content, self.media_type, result, decode_seconds=decode_seconds, started=started
        )

    def _written(self, pictures: list[Pixels], result: GridResult, wanted: _Wanted) -> bytes:
        composites, settings = result.composites, self.dependencies.settings
        if self.media_type == NPZ:
            cells = wanted.cells
            return encode_npz(
                composites=composites.reshape(*wanted.shape, *composites.shape[1:]),
                appearances=np.array([cell.appearance for cell in cells]),
                structures=np.array([cell.structure for cell in cells]),
                weights=np.array([cell.weight for cell in cells], np.float32),
                model_version=np.array(result.model_version),
            )
        if self.media_type == ZIP:
            members = [wanted.member(index) for index in range(len(wanted.cells))]
            index = GridIndex(model_version=result.model_version, data=members)
            files = [("index.json", index.model_dump_json(indent=1).encode())]
            for member, composite in zip(members, composites, strict=True):
                files.append((member.file, encode_composite(composite, PNG, settings)))
            return encode_zip(files)
        sheet = wanted.sheet(pictures, composites)
        if self.media_type == JPEG and max(sheet.shape) > MOST_JPEG_SIDE:
            raise Problem(
                INVALID_REQUEST,
                f"The sheet has {sheet.shape[1]} x {sheet.shape[0]} pixels; a JPEG has at most "
                f"{MOST_JPEG_SIDE} a side. Ask for {PNG}, {ZIP} or {NPZ}.",
            )
        return encode_composite(sheet, self.media_type, settings)


def _job(pictures: Sequence[Pixels], wanted: _Wanted, scene: Scene | None) -> GridJob:
    """Every picture goes along once for each role that it has; those of no pair stay behind."""
    cells = wanted.cells
    both = [(cell.appearance, cell.second) for cell in cells]
    appearances = sorted({index for pair in both for index in pair if index is not None})
    structures = sorted({cell.structure for cell in cells})
    return GridJob(
        appearance_images=np.stack([pictures[index] for index in appearances]),
        structure_images=np.stack(
            [pictures[wanted.structures_from + index] for index in structures]
        ),
        cells=tuple(
            GridCell(
                appearance=appearances.index(cell.appearance),
                structure=structures.index(cell.structure),
                second=None if cell.second is None else appearances.index(cell.second),
                weight=cell.weight,
            )
            for cell in cells
        ),
        scene=scene,
    )


def _read_pairs(content: bytes, pictures: int) -> list[tuple[int, int]]:
    try:
        pairs = _PAIRS.validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in ("pairs", *first["loc"]))
        raise Problem(
            INVALID_REQUEST,
            f"{place}: {in_words(first)}. Expected JSON such as [[0, 1], [0, 2]]: positions among "
            "'pictures', from 0.",
        ) from error
    if not pairs:
        raise Problem(INVALID_REQUEST, "pairs: the list is empty; expected at least one pair.")
    for number, pair in enumerate(pairs):
        if not all(0 <= index < pictures for index in pair):
            raise Problem(
                INVALID_REQUEST,
                f"pairs.{number} is {list(pair)}; {pictures} pictures arrived, their positions are "
                f"0 to {pictures - 1}.",
            )
    return pairs
