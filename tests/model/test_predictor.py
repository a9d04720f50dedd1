"""The predictor's promises: a picture's result is its own, in whatever batch, order or thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dgnet.arrays import Pixels
from dgnet.model.checkpoints import Checkpoint, Metadata
from dgnet.model.codes import AppearanceCode, Decoded, StructureCode
from dgnet.model.data.transforms import normalize
from dgnet.model.devices import DeviceError, Precision
from dgnet.model.dgnet import DGNet
from dgnet.model.predictor import NonFiniteError, Predictor, PredictorError, rows_named
from dgnet.pictures.encoding import encode_picture
from tests.model.tiny import HEIGHT, WIDTH, tiny_network

PICTURES = 32


def build(
    *, device: str = "cpu", precision: Precision = "fp32", max_batch: int | None = None
) -> Predictor:
    """The same untrained networks every time, with styles that differ between appearances."""
    torch.manual_seed(7)  # pyright: ignore[reportUnknownMemberType]
    config = tiny_network()
    networks = DGNet(config)
    metadata = Metadata(config=config, networks=tuple(dict(networks.named_children())))
    return Predictor(
        Checkpoint(metadata=metadata, networks=networks, teacher=None),
        device=device,
        precision=precision,
        max_batch=max_batch,
    )


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return build()


@pytest.fixture(scope="module")
def appearances() -> Pixels:
    return np.random.default_rng(1).integers(0, 256, (PICTURES, HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def structures() -> Pixels:
    return np.random.default_rng(2).integers(0, 256, (PICTURES, HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def alone(predictor: Predictor, appearances: Pixels, structures: Pixels) -> Pixels:
    """Every composite computed in a batch of its own."""
    return np.concatenate(
        [
            predictor.swap(appearances[row : row + 1], structures[row : row + 1])
            for row in range(PICTURES)
        ]
    )


def _largest_difference(ours: Pixels, theirs: Pixels) -> int:
    return int(np.abs(ours.astype(int) - theirs).max())


def test_a_swap_gives_pictures_of_the_model_size(alone: Pixels) -> None:
    assert alone.dtype == np.uint8
    assert alone.shape == (PICTURES, HEIGHT, WIDTH, 3)
    assert alone.std() > 10  # not a constant that every comparison below would pass


@pytest.mark.parametrize("rows", [1, 3, 32])
def test_a_composite_is_the_same_whatever_batch_it_is_in(
    predictor: Predictor, appearances: Pixels, structures: Pixels, alone: Pixels, rows: int
) -> None:
    composites = np.concatenate(
        [
            predictor.swap(appearances[start : start + rows], structures[start : start + rows])
            for start in range(0, PICTURES, rows)
        ]
    )
    assert _largest_difference(composites, alone) <= 1


def test_a_composite_is_the_same_in_whatever_order(
    predictor: Predictor, appearances: Pixels, structures: Pixels, alone: Pixels
) -> None:
    order = np.random.default_rng(3).permutation(PICTURES)
    composites = predictor.swap(appearances[order], structures[order])
    assert _largest_difference(composites, alone[order]) <= 1


@pytest.mark.parametrize("max_batch", [1, 5, 64])
def test_max_batch_bounds_the_device_and_changes_no_result(
    appearances: Pixels, structures: Pixels, alone: Pixels, max_batch: int
) -> None:
    composites = build(max_batch=max_batch).swap(appearances, structures)
    assert _largest_difference(composites, alone) <= 1


def test_no_batch_on_the_device_is_larger_than_max_batch(
    appearances: Pixels, structures: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    compose = DGNet.compose

    def recording(self: DGNet, appearance: AppearanceCode, structure: StructureCode) -> Decoded:
        seen.append(len(structure))
        return compose(self, appearance, structure)

    monkeypatch.setattr(DGNet, "compose", recording)
    build(max_batch=5).swap(appearances[:12], structures[:12])
    assert seen == [5, 5, 2]


def test_the_default_batch_keeps_the_largest_map_small(predictor: Predictor) -> None:
    # 64 x 48 pixels, 8 / 4 channels, 4 bytes: 24 KiB a row; 8 MiB hold 341 of them.
    assert predictor.max_batch == 341


def test_codes_computed_once_compose_what_swap_gives(
    predictor: Predictor, appearances: Pixels, structures: Pixels
) -> None:
    styles = predictor.appearance_styles(appearances[:2])
    codes = predictor.structure_codes(structures[:3])
    grid = predictor.compose(styles[[0, 0, 0, 1, 1, 1]], codes[[0, 1, 2, 0, 1, 2]])
    for row, (appearance, structure) in enumerate((a, s) for a in (0, 1) for s in (0, 1, 2)):
        swapped = predictor.swap(
            appearances[appearance : appearance + 1], structures[structure : structure + 1]
        )
        assert _largest_difference(grid[row], swapped[0]) <= 1


def test_every_row_wears_its_own_appearance(
    predictor: Predictor, appearances: Pixels, structures: Pixels
) -> None:
    contrast = appearances[:3].copy()
    contrast[1] //= 4
    contrast[2, ..., 0] = 255
    composites = predictor.swap(contrast, np.repeat(structures[:1], 3, axis=0)).astype(int)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(composites[one] - composites[other]).mean() > 1


def test_two_threads_at_once_get_what_each_gets_alone(
    predictor: Predictor, appearances: Pixels, structures: Pixels, alone: Pixels
) -> None:
    halves = [slice(0, 16), slice(16, 32)] * 4

    def swap(half: slice) -> Pixels:
        return predictor.swap(appearances[half], structures[half])

    with ThreadPoolExecutor(2) as threads:
        composites = list(threads.map(swap, halves))
    for half, result in zip(halves, composites, strict=True):
        assert _largest_difference(result, alone[half]) <= 1


def test_bf16_stays_close_to_float32(
    appearances: Pixels, structures: Pixels, alone: Pixels
) -> None:
    composites = build(precision="bf16").swap(appearances, structures)
    assert np.abs(composites.astype(int) - alone).mean() <= 2


@pytest.mark.parametrize("rows", [1, 3, 32])
def test_embeddings_have_unit_length_and_ignore_their_batch(
    predictor: Predictor, appearances: Pixels, rows: int
) -> None:
    whole = predictor.embed(appearances)
    assert whole.dtype == np.float32
    assert whole.shape == (PICTURES, predictor.embedding_size)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, rtol=1e-6)
    parts = [
        predictor.embed(appearances[start : start + rows]) for start in range(0, PICTURES, rows)
    ]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=0, atol=1e-5)


def test_a_picture_and_its_mirror_image_have_one_embedding(
    predictor: Predictor, appearances: Pixels
) -> None:
    mirrored = np.flip(appearances[:4], axis=2)
    np.testing.assert_allclose(
        predictor.embed(mirrored), predictor.embed(appearances[:4]), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, HEIGHT, WIDTH, 3), np.float32), r"float32 \(1, 64, 48, 3\)"),
        (np.zeros((HEIGHT, WIDTH, 3), np.uint8), r"uint8 \(64, 48, 3\)"),
        (np.zeros((1, WIDTH, HEIGHT, 3), np.uint8), r"uint8 \(1, 48, 64, 3\)"),
        (np.zeros((1, HEIGHT, WIDTH, 4), np.uint8), r"uint8 \(1, 64, 48, 4\)"),
        (np.zeros((0, HEIGHT, WIDTH, 3), np.uint8), "no picture given"),
    ],
    ids=["floats", "no-batch", "turned", "alpha", "empty"],
)
def test_other_pictures_are_refused_with_what_arrived(
    predictor: Predictor, images: Pixels, message: str
) -> None:
    for call in (predictor.appearance_styles, predictor.structure_codes, predictor.realism):
        with pytest.raises(PredictorError, match=f"{message}.*expected"):
            call(images)


def test_swap_and_embed_take_pictures_in_any_form_and_size(
    predictor: Predictor, tmp_path: Path
) -> None:
    """One picture gives one result, several give a row each, whatever form they have."""
    pixels = np.random.default_rng(5).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    path = tmp_path / "person.png"
    path.write_bytes(encode_picture(pixels, "PNG"))
    resized = np.asarray(Image.fromarray(pixels).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    forms = [path, str(path), path.read_bytes(), Image.fromarray(pixels), pixels, resized]
    assert np.array_equal(predictor.pixels(forms), np.stack([resized] * len(forms)))
    (expected,) = predictor.embed(resized[None])
    for form in forms:
        assert np.array_equal(predictor.embed(form), expected)
    assert predictor.embed([path]).shape == (1, predictor.embedding_size)
    (composite,) = predictor.swap(resized[None], resized[None, ::-1])
    assert np.array_equal(predictor.swap(path, resized[::-1]), composite)
    assert predictor.swap([path], [resized[::-1]]).shape == (1, HEIGHT, WIDTH, 3)


def test_one_picture_goes_with_each_of_the_other_side(
    predictor: Predictor, appearances: Pixels, structures: Pixels
) -> None:
    one, many = list(appearances[:1]), list(structures[:3])
    expected = predictor.swap(appearances[[0, 0, 0]], structures[:3])
    assert np.array_equal(predictor.swap(one[0], many), expected)
    turned = predictor.swap(structures[:3], appearances[[0, 0, 0]])
    assert np.array_equal(predictor.swap(many, one[0]), turned)


def test_a_picture_that_is_none_is_named(predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "text.jpg"
    path.write_text("no picture")
    good = np.zeros((8, 8, 3), np.uint8)
    for picture, message in (
        (path, "text.jpg is .*expected"),
        (tmp_path / "gone.jpg", "gone.jpg cannot be read"),
        (b"x", "picture 1 is .*expected"),
        (good.astype(np.float32), r"picture 1 is an array float32 \(8, 8, 3\); expected uint8"),
        (7, "picture 1 is a int; expected a path"),
    ):
        with pytest.raises(PredictorError, match=message):
            predictor.embed([good, picture])  # pyright: ignore[reportArgumentType]


def test_codes_that_do_not_pair_up_are_refused(
    predictor: Predictor, appearances: Pixels, structures: Pixels
) -> None:
    with pytest.raises(PredictorError, match="2 appearance codes and 3 structure codes"):
        predictor.swap(appearances[:2], structures[:3])
    codes, maps = (
        predictor.appearance_styles(appearances[:1]),
        predictor.structure_codes(structures),
    )
    with pytest.raises(PredictorError, match="no code given"):
        predictor.compose(codes[:0], maps[:0])


@pytest.mark.parametrize("device", ["tpu9", "gpu", "meta", "cuda:999"])
def test_a_device_that_is_not_there_is_refused_by_name(device: str) -> None:
    with pytest.raises(DeviceError, match=f"device is '{device}'"):
        build(device=device)


def test_an_unknown_precision_and_a_batch_of_nothing_are_refused() -> None:
    with pytest.raises(DeviceError, match="precision is 'fp8'; expected fp32, bf16 or auto"):
        build(precision="fp8")  # pyright: ignore[reportArgumentType]
    with pytest.raises(PredictorError, match="max_batch is 0; expected at least 1"):
        build(max_batch=0)


def test_realism_is_the_mean_of_patches_averaged_over_scales(
    predictor: Predictor, structures: Pixels
) -> None:
    scores = predictor.realism(structures[:4])
    assert scores.shape == (4,)
    assert scores.dtype == np.float32
    torch.manual_seed(7)  # pyright: ignore[reportUnknownMemberType]
    discriminator = DGNet(tiny_network()).discriminator
    with torch.inference_mode():
        scales = discriminator(normalize(torch.tensor(structures[:4])))
    assert len({scale.shape for scale in scales}) == 3
    expected = np.mean([scale.mean(dim=(1, 2, 3)).numpy() for scale in scales], axis=0)
    assert scores == pytest.approx(expected, abs=1e-5)


def test_realism_needs_a_discriminator_that_the_checkpoint_carries(structures: Pixels) -> None:
    config = tiny_network()
    untrained = Predictor(
        Checkpoint(
            metadata=Metadata(config=config, networks=("appearance_encoder", "decoder")),
            networks=DGNet(config),
            teacher=None,
        ),
        device="cpu",
    )
    assert not untrained.has_discriminator
    with pytest.raises(PredictorError, match="no discriminator, only appearance_encoder, decoder"):
        untrained.realism(structures[:1])


def test_results_that_are_no_numbers_are_refused_by_name(
    predictor: Predictor, appearances: Pixels, structures: Pixels
) -> None:
    """Cast to pixels, what is no number would be a picture like any other."""
    codes = predictor.appearance_styles(appearances[:4]).each(torch.Tensor.clone)
    codes.style[2] = float("nan")
    broken = predictor.structure_codes(structures[:4]).each(torch.Tensor.clone)
    with pytest.raises(NonFiniteError, match=r"composite of row 2 has values .* precision fp32"):
        predictor.compose(codes, broken)
    broken.maps[3] = float("inf")
    names = ["a", "b", "c", "d"]
    with (
        pytest.raises(NonFiniteError, match="composite of c and of 1 more has values") as error,
        rows_named(lambda: names),
    ):
        predictor.compose(codes, broken)
    assert error.value.rows == (2, 3)
    with pytest.raises(NonFiniteError, match="the label of row 1 "):
        predictor.numbers("label", torch.tensor([[0.0, 1.0], [float("nan"), 0.0]]))


def test_an_overflow_inside_finite_weights_is_refused(appearances: Pixels) -> None:
    """float32 holds the weights, not what they make."""
    loud = build()
    networks = loud._networks  # pyright: ignore[reportPrivateUsage]
    with torch.no_grad():
        for parameter in networks.appearance_encoder.parameters():
            parameter.fill_(3e38)
    with pytest.raises(NonFiniteError, match="the embedding of row 0 and of 1 more"):
        loud.embed(appearances[:2])
