"""The one door for inference: pictures in, uint8 composites and float32 embeddings out.

Codes are computed once and decoded any number of times. Every network runs in evaluation mode and
row by row independently, so a picture's result does not depend on the batch it happens to be in.
What the networks compute is in their own modules, how it is made cheap in `dgnet.model.inference`.

`swap` and `embed` take pictures in any form and size, everything below them uint8 RGB (B, H, W, 3).

Legend: B batch, H x W pixels of the checkpoint's size, D embedding values.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from dgnet.arrays import Floats, Pixels
from dgnet.model.checkpoints import DEFAULT_CHECKPOINT, Checkpoint, load_checkpoint
from dgnet.model.codes import AppearanceCode, StructureCode, join_appearances
from dgnet.model.config import NetworkConfig
from dgnet.model.data.transforms import denormalize, normalize
from dgnet.model.devices import Precision, autocast_dtype, choose_device
from dgnet.model.inference.compiled import CompiledPrograms, buckets
from dgnet.model.inference.prepare import inference_copy
from dgnet.model.inference.programs import Tensors, programs_of
from dgnet.model.inference.transfers import HostCopies, to_device
from dgnet.model.rows import Rows
from dgnet.model.waist import joined_at_waist
from dgnet.pictures import AnyPictures, PictureRefused, as_list, is_single, name_of, pixels_of

T = TypeVar("T")
Coded = TypeVar("Coded", bound=Rows)
Scene = Literal["keep", "generate"]
"""What becomes of everything that a swap does not change: the structure picture's own pixels, or
the decoder's (for those who must not pass on pixels of the structure picture)."""
Scenes = Scene | list[Scene | None] | None
"""Of all pictures of a call, or of each; what a predictor does if not said, where it is None."""

CUDA_MAX_BATCH = 64

CPU_MAP_BYTES = 8 * 2**20
"""Of the decoder's largest map on a CPU: 16 rows of the small preset, 2 of the paper's.

Measured (docs/benchmarks.md): more rows gain nothing, and maps beyond 32 MiB, which the C library
gives back to the system after every layer, take up to 30 times as long to fill.
"""


@dataclass(frozen=True, kw_only=True)
class Composed:
    """Composites, and what they keep."""

    pictures: Pixels
    kept_shares: Floats
    """(B,): share of the pixels that equal the structure picture's; 0 where the scene is generated,
    whatever the decoder hit upon."""


class PredictorError(ValueError):
    """Pictures or codes that cannot be taken; the message says what to change."""


class NonFiniteError(PredictorError):
    """What the networks gave of some pictures is no number; cast to pixels it would look like one.

    Rows are those of the call; whoever knows their names says them by `of`.
    """

    def __init__(self, what: str, rows: Sequence[int], names: Sequence[object] | None = None):
        self.what, self.rows = what, tuple(rows)
        first = f"row {rows[0]}" if names is None else str(names[rows[0]])
        more = f" and of {len(rows) - 1} more" if len(rows) > 1 else ""
        super().__init__(
            f"the {what} of {first}{more} has values that are no finite numbers: try the precision "
            "fp32, and if that does not help the checkpoint is broken"
        )

    def of(self, names: Sequence[object]) -> NonFiniteError:
        """The same with the names of all rows."""
        return NonFiniteError(self.what, self.rows, names)


@contextmanager
def rows_named(names: Callable[[], Sequence[object]]) -> Generator[None]:
    """Says by name whose result is no number, where the block raises NonFiniteError."""
    try:
        yield
    except NonFiniteError as error:
        raise error.of(names()) from error


class InTurn(Protocol):
    """How a call of the device is made: at once, or when others have had their turn."""

    def __call__(self, call: Callable[[], T], /) -> T: ...


def at_once(call: Callable[[], T]) -> T:
    """Whoever calls has the device to himself."""
    return call()


class Predictor:
    """A checkpoint on a device. Thread-safe: nothing is stored between calls."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str = "auto",
        precision: Precision = "auto",
        max_batch: int | None = None,
        scene: Scene | None = None,
        compiled: bool | None = False,
    ) -> None:
        """`max_batch` bounds the rows on the device at once; the default suits the device.
        `compiled`: by torch.compile, on a card as CUDA graphs (None: there alone); see `warm_up`.

        `scene` is what becomes of it where a call does not say; kept if absent, where the networks
        can. PredictorError where it cannot be kept.
        """
        self.metadata = checkpoint.metadata
        config = self.metadata.config
        self.height = config.height
        self.width = config.width
        self.embedding_size = 2 * config.head_features
        self.device = choose_device(device)
        self.max_batch = _default_max_batch(config, self.device) if max_batch is None else max_batch
        if self.max_batch < 1:
            raise PredictorError(f"max_batch is {max_batch}; expected at least 1")
        self.autocast = autocast_dtype(precision, self.device)
        self.scene: Scene = "keep" if self.keeps_scene else "generate"
        self.scene = self.chosen_scene(scene)
        self.in_turn: InTurn = at_once
        self._networks = inference_copy(checkpoint.networks, self.device, self.autocast)
        self._programs = programs_of(self._networks)
        self._compiled = (
            CompiledPrograms(self._programs, device=self.device)
            if compiled or (compiled is None and self.device.type == "cuda")
            else None
        )

    @classmethod
    def load(
        cls,
        checkpoint: str | Path = DEFAULT_CHECKPOINT,
        *,
        device: str = "auto",
        precision: Precision = "auto",
        max_batch: int | None = None,
        scene: Scene | None = None,
        compiled: bool | None = False,
    ) -> Predictor:
        """Read a checkpoint folder; `device` is auto, cpu, cuda or cuda:N."""
        return cls(
            load_checkpoint(checkpoint),
            device=device,
            precision=precision,
            max_batch=max_batch,
            scene=scene,
            compiled=compiled,
        )

    def taking_turns(self, in_turn: InTurn) -> Predictor:
        """The same networks on the same device, without a copy, for whoever shares the device."""
        other = copy(self)
        other.in_turn = in_turn
        return other

    @property
    def model_id(self) -> str:
        """The preset's name."""
        return self.metadata.config.preset

    @property
    def model_version(self) -> str:
        """First digits of the weights' sha256."""
        return self.metadata.model_version

    @property
    def card(self) -> dict[str, Any]:
        """What is known of the checkpoint, JSON-safe."""
        return self.metadata.to_json()

    @property
    def device_name(self) -> str:
        """How people and heartbeats call the device."""
        if self.device.type == "cuda":
            return f"{self.device} ({torch.cuda.get_device_name(self.device)})"
        return str(self.device)

    @property
    def precision(self) -> str:
        """`float32` or `bfloat16`."""
        return str(self.autocast or torch.float32).removeprefix("torch.")

    @property
    def is_compiled(self) -> bool:
        """Whether it was asked to be."""
        return self._compiled is not None

    def warm_up(self, most: int) -> list[str]:
        """Compile swaps and embeddings for every batch up to `most` pictures. Returns why some
        could not be; does nothing where nothing is compiled.
        """
        if self._compiled is None:
            return []
        for rows in buckets(min(most, self.max_batch)):
            pictures = np.zeros((rows, self.height, self.width, 3), np.uint8)
            self.swap(pictures, pictures)
            self.embed(pictures)
        return self._compiled.failures

    def free_memory(self) -> None:
        """Gives back what torch keeps of the device for later calls, as after one that did not
        fit.
        """
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    @property
    def keeps_scene(self) -> bool:
        """Whether the networks tell what a swap changes, so that the rest can be kept."""
        return self.metadata.config.keep_scene

    def appearance_styles(self, images: Pixels) -> AppearanceCode:
        """What the decoder takes of pictures that give the clothes, on the device: AdaIN parameters
        in float32, what can be looked up in bf16.

        It costs no further work, however often it is worn.
        """
        code = self.in_turn(lambda: self._coded(AppearanceCode, "appearance", images))
        return AppearanceCode(
            code.style.float(), _stored(code.keys), _stored(code.values), code.tone.float()
        )

    def join_appearances(self, codes: AppearanceCode, pictures: Sequence[int]) -> AppearanceCode:
        """Codes of persons of whom there are several pictures: row i is made of the next
        `pictures[i]` rows (`codes.join_appearances`). PredictorError where they do not add up.
        """
        try:
            return join_appearances(codes, pictures)
        except ValueError as error:
            raise PredictorError(str(error)) from error

    def structure_codes(self, images: Pixels) -> StructureCode:
        """What the decoder takes of pictures that give pose, body and scene, on the device, in the
        arithmetic that makes it.
        """
        return self.in_turn(lambda: self._coded(StructureCode, "structure", images))

    def compose(
        self,
        appearances: AppearanceCode,
        structures: StructureCode,
        *,
        scene: Scenes = None,
    ) -> Pixels:
        """Composites (B, H, W, 3): row i wears appearance i in pose and scene of structure i.

        The scene is kept to the pixel or generated, of all rows alike or of each as told.
        Raises PredictorError for rows that do not match and for a scene that cannot be kept.
        """
        if len(appearances) != len(structures):
            raise PredictorError(
                f"{len(appearances)} appearance codes and {len(structures)} structure codes; "
                "expected as many of one as of the other"
            )
        if not len(appearances):
            raise PredictorError("no code given; expected at least one")
        keep_scene = self._keep_scene(scene, len(structures))

        def decode(rows: slice) -> Tensor:
            codes = *appearances[rows].tensors(), *structures[rows].tensors()
            return self._run("compose", self._kept(keep_scene[rows]), *codes)[0]

        return self.in_turn(lambda: self._composed(decode, len(structures)))

    def compose_halves(
        self,
        upper: AppearanceCode,
        lower: AppearanceCode,
        structures: StructureCode,
        *,
        scene: Scenes = None,
    ) -> Pixels:
        """Composites as `compose` makes them: row i wears the upper clothes of `upper` i and the
        lower ones, shoes among them, of `lower` i (`waist`).
        """
        return joined_at_waist(
            *(self.compose(worn, structures, scene=scene) for worn in (upper, lower))
        )

    def composed(
        self,
        appearances: AppearanceCode,
        structures: StructureCode,
        *,
        scene: Scenes = None,
    ) -> Composed:
        """`compose`, and how much of its structure picture each composite passes on."""
        pictures = self.compose(appearances, structures, scene=scene)
        shares = np.zeros(len(pictures), np.float32)
        kept = np.flatnonzero(self._keep_scene(scene, len(structures))).tolist()
        if kept:
            own = denormalize(structures.picture[kept]).cpu().numpy()
            shares[kept] = (pictures[kept] == own).all(axis=3).mean(axis=(1, 2))
        return Composed(pictures=pictures, kept_shares=shares)

    def interpolate(
        self,
        first: AppearanceCode,
        second: AppearanceCode,
        shares: Sequence[float],
        structures: StructureCode,
        *,
        scene: Scenes = None,
    ) -> Pixels:
        """Composites as `compose` makes them, between two appearances in each row.

        `shares` (B,) are those of the second, 0 to 1.
        """
        keep_scene = self._keep_scene(scene, len(structures))
        of_second = to_device(torch.tensor(shares, dtype=torch.float32), self.device)

        def decode(rows: slice) -> Tensor:
            codes = (*first[rows].tensors(), *second[rows].tensors(), *structures[rows].tensors())
            kept = self._kept(keep_scene[rows])
            return self._run("interpolate", kept, of_second[rows], *codes)[0]

        return self.in_turn(lambda: self._composed(decode, len(structures)))

    def chosen_scene(self, scene: Scene | None) -> Scene:
        """What is done about the scene: as asked for, or this predictor's own way."""
        if scene == "keep" and not self.keeps_scene:
            raise PredictorError(
                f"the scene is to be kept, but the checkpoint ({self.model_id} "
                f"{self.model_version}) has no mask of what a swap changes: generate the scene, or "
                "use a checkpoint of the preset detail"
            )
        return scene or self.scene

    def _keep_scene(self, scene: Scenes, rows: int) -> list[bool]:
        """Of each row."""
        scenes: list[Scene | None] = scene if isinstance(scene, list) else [scene] * rows
        if len(scenes) != rows:
            raise PredictorError(
                f"{len(scenes)} scenes of {rows} structure codes; expected one of each, or of all"
            )
        return [self.chosen_scene(each) == "keep" for each in scenes]

    def swap(
        self,
        appearance_images: AnyPictures,
        structure_images: AnyPictures,
        *,
        pictures: Sequence[int] | None = None,
        scene: Scenes = None,
    ) -> Pixels:
        """Composites (B, H, W, 3) of pairs of pictures, row by row; one (H, W, 3) of two single
        pictures. A single one on one side goes with each of the other side, and is encoded once.

        Pictures are paths, bytes of files, PIL images or arrays of any size. With `pictures` row i
        wears what the next `pictures[i]` appearance pictures show, all of one person.
        """
        styles = self.appearance_styles(self.pixels(appearance_images))
        single_appearance = is_single(appearance_images)
        if pictures is not None:
            styles, single_appearance = self.join_appearances(styles, pictures), len(pictures) == 1
        codes = self.structure_codes(self.pixels(structure_images))
        single = single_appearance, is_single(structure_images)
        if single == (True, False):
            styles = styles[[0] * len(codes)]
        elif single == (False, True):
            codes = codes[[0] * len(styles)]
        composites = self.compose(styles, codes, scene=scene)
        return composites[0] if all(single) else composites

    def embed(self, images: AnyPictures) -> Floats:
        """Retrieval embeddings (B, D), L2-normalized; (D,) of a single picture.

        The dot product of two is (primary cosine + 0.5 * fine cosine) / 1.5 (spec, "At test time").
        Pictures are paths, bytes of files, PIL images or arrays of any size.
        """
        pixels = self.pixels(images)
        embeddings = self.numbers("embedding", self.map_pictures(self.embed_images, pixels))
        return embeddings[0] if is_single(images) else embeddings

    def pixels(self, pictures: AnyPictures) -> Pixels:
        """Pictures of any form at the checkpoint's size, (B, H, W, 3) uint8; PredictorError names
        the first that is none.
        """
        if isinstance(pictures, np.ndarray) and pictures.shape[1:] == (self.height, self.width, 3):
            return self._checked(pictures)
        rows: list[Pixels] = []
        for index, picture in enumerate(as_list(pictures)):
            try:
                rows.append(pixels_of(picture, height=self.height, width=self.width))
            except (PictureRefused, OSError) as error:
                refused = isinstance(error, PictureRefused)
                what = error.what if refused else f"cannot be read ({error})"
                raise PredictorError(f"{name_of(picture, index)} {what}") from error
        if not rows:
            raise PredictorError("no picture given; expected at least one")
        return np.stack(rows)

    def embed_images(self, images: Tensor) -> Tensor:
        """`embed` for normalized images (B, 3, H, W) on the device, in their precision."""
        return self._run("embed", images)[0]

    @property
    def has_discriminator(self) -> bool:
        """Whether the checkpoint carries a trained one."""
        return "discriminator" in self.metadata.networks

    def realism(self, images: Pixels) -> Floats:
        """What the discriminator says of each picture (B,): it was trained to say 1 of real ones
        and 0 of composites. The mean of a scale's patches, averaged over the scales.
        """
        if not self.has_discriminator:
            raise PredictorError(
                f"the checkpoint carries no discriminator, only "
                f"{', '.join(self.metadata.networks)}; use one that kept it"
            )
        return self.numbers("realism", self.map_pictures(self._realism, images))

    def _realism(self, images: Tensor) -> Tensor:
        return self._run("realism", images)[0]

    def map_pictures(self, network: Callable[[Tensor], Tensor], images: Pixels) -> Tensor:
        """What any network on this device says of pictures, row by row; float32, on the device.

        `network` takes normalized images (B, 3, H, W), at most `max_batch` at once.
        """
        checked = self._checked(images)
        return self.in_turn(lambda: self._rows(network, checked))

    @staticmethod
    def numbers(what: str, values: Tensor) -> Floats:
        """Values (B, ...) of pictures on the CPU; NonFiniteError where some are none."""
        _require_finite(what, finite_rows(values))
        return values.cpu().numpy()

    def _run(self, program: str, *inputs: Any) -> Tensors:
        if self._compiled is not None:
            return self._compiled.run(program, inputs)
        return self._programs[program](*inputs)

    def _kept(self, keep_scene: list[bool]) -> list[bool] | Tensor:
        """As the programs take it: compiled ones in a tensor, where it lies without a copy if all
        rows agree.
        """
        if self._compiled is None:
            return keep_scene
        if len(set(keep_scene)) == 1:
            return torch.full((len(keep_scene),), keep_scene[0], device=self.device)
        return to_device(torch.tensor(keep_scene), self.device)

    def _coded(self, code: type[Coded], program: str, images: Pixels) -> Coded:
        """Codes of pictures, `max_batch` rows at a time."""
        with self._inference():
            parts = [
                code(*self._run(program, batch)) for batch in self._batches(self._checked(images))
            ]
            return code.cat(parts)

    def _composed(self, decode: Callable[[slice], Tensor], rows: int) -> Pixels:
        """Pictures (rows, H, W, 3) of what `decode` makes of at most `max_batch` rows at once."""
        copies = HostCopies(self.device)
        with self._inference():
            for start in range(0, rows, self.max_batch):
                images = decode(slice(start, start + self.max_batch))
                copies.add(denormalize(images), finite_rows(images))
            pictures, finite = copies.arrived()
            _require_finite("composite", finite)
            return pictures.numpy()

    def _checked(self, images: Pixels) -> Pixels:
        expected = (self.height, self.width, 3)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected:
            raise PredictorError(
                f"pictures are {images.dtype} {images.shape}; expected uint8 "
                f"(B, {self.height}, {self.width}, 3)"
            )
        if not len(images):
            raise PredictorError("no picture given; expected at least one")
        return images

    def _rows(self, function: Callable[[Tensor], Tensor], images: Pixels) -> Tensor:
        """Apply a network to normalized pictures, `max_batch` rows at a time."""
        with self._inference():
            return torch.cat([function(batch).float() for batch in self._batches(images)])

    def _batches(self, images: Pixels) -> Iterator[Tensor]:
        """Normalized pictures on the device, `max_batch` rows at a time."""
        for start in range(0, len(images), self.max_batch):
            # A picture of PIL may not be written to, and torch takes only what may.
            rows = np.require(images[start : start + self.max_batch], requirements=("C", "W"))
            pixels = torch.from_numpy(rows)  # pyright: ignore[reportUnknownMemberType]
            batch = normalize(to_device(pixels, self.device))
            yield batch.to(memory_format=torch.channels_last)

    def _inference(self) -> _Inference:
        return _Inference(self.device, self.autocast)


class _Inference:
    """No gradients, and autocast where the precision asks for it."""

    def __init__(self, device: torch.device, autocast: torch.dtype | None) -> None:
        self._mode = torch.inference_mode()
        self._autocast = torch.autocast(device.type, dtype=autocast, enabled=autocast is not None)

    def __enter__(self) -> None:
        self._mode.__enter__()
        self._autocast.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._autocast.__exit__(*error)
        self._mode.__exit__(*error)


def _stored(part: Tensor) -> Tensor:
    """Of codes that are kept in numbers: half the memory, and no difference that is seen."""
    return part.to(torch.bfloat16)


def finite_rows(values: Tensor) -> Tensor:
    """(B,): whether all values of a row of (B, ...) are finite, where they are."""
    # A sum of finite values may overflow in half precision, so that it proves nothing.
    return values.isfinite().flatten(1).all(dim=1) if values.ndim > 1 else values.isfinite()


def _require_finite(what: str, finite: Tensor) -> None:
    rows = [int(row) for row in (~finite).nonzero().flatten()]
    if rows:
        raise NonFiniteError(what, rows)


def _default_max_batch(config: NetworkConfig, device: torch.device) -> int:
    if device.type == "cuda":
        return CUDA_MAX_BATCH
    # Full size, a quarter of the decoder's channels, four bytes each.
    return max(1, CPU_MAP_BYTES // (config.height * config.width * config.decoder_channels))
