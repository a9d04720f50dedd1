"""What the preset `detail` adds: a kept scene, the structure at full size, looked-up clothes.

Networks are tiny and untrained; where a value is expected, weights are set so that it can be
computed by hand.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dgnet.arrays import Pixels
from dgnet.jobs.contract import SCENES
from dgnet.model.checkpoints import (
    Checkpoint,
    CheckpointError,
    Metadata,
    load_checkpoint,
    save_checkpoint,
)
from dgnet.model.clothes_lookup import CELL, FEATURES, KEY, ClothesLookup
from dgnet.model.codes import AppearanceCode, Decoded, StructureCode
from dgnet.model.config import ConfigError, NetworkConfig, preset
from dgnet.model.dgnet import DETAIL_PARTS, DGNet
from dgnet.model.predictor import Predictor, PredictorError, Scene
from dgnet.model.rows import nothing
from dgnet.model.training.truth import widened
from tests.model.tiny import HEIGHT, WIDTH, tiny_detail, tiny_network

SIZE = (HEIGHT // CELL, WIDTH // CELL)
CELLS = SIZE[0] * SIZE[1]


def seeded(config: NetworkConfig) -> DGNet:
    """Untrained networks whose added parts say something, too: their last layers start at 0."""
    torch.manual_seed(11)  # pyright: ignore[reportUnknownMemberType]
    networks = DGNet(config).eval()
    for part in networks.generator_parts.values():
        for weight in part.parameters():
            if not weight.any():
                nn.init.normal_(weight, std=0.1)
    return networks


def pictures(seed: int, count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, HEIGHT, WIDTH, generator=generator)


@pytest.fixture(scope="module")
def networks() -> DGNet:
    return seeded(tiny_detail())


def codes(networks: DGNet) -> tuple[AppearanceCode, StructureCode]:
    return networks.appearance(pictures(1)), networks.structure(pictures(2))


def test_the_preset_is_small_with_three_parts_more() -> None:
    detail, small = preset("detail", identities=5), preset("small", identities=5)
    off = replace(
        detail,
        preset="small",
        keep_scene=False,
        full_size_structure=False,
        look_up_clothes=False,
    )
    assert off == small
    assert not any(getattr(small, name) for name in ("keep_scene", "look_up_clothes"))


def test_settings_of_older_checkpoints_have_none_of_the_parts() -> None:
    values = preset("small", identities=5).to_json()
    for name in ("keep_scene", "full_size_structure", "look_up_clothes"):
        del values[name]
    assert NetworkConfig.from_json(values) == preset("small", identities=5)


def test_a_structure_at_full_size_without_a_mask_is_refused() -> None:
    with pytest.raises(ConfigError, match="keep_scene off"):
        tiny_detail(keep_scene=False)


def test_networks_without_the_parts_compose_what_the_paper_decodes() -> None:
    networks = seeded(tiny_network())
    appearance, structure = codes(networks)
    paper = networks.decode(
        networks.appearance_encoder.codes(pictures(1)), networks.structure_encoder(pictures(2))
    )
    decoded = networks.compose(appearance, structure)
    assert torch.equal(decoded.generated, paper)
    assert not decoded.has_mask
    assert all(part.shape == (2, 0) for part in (appearance.keys, structure.queries))


def test_a_composite_with_a_mask_of_half_is_the_mean_of_both_pictures() -> None:
    generated, kept = torch.full((1, 3, 4, 4), 3.0), torch.full((1, 3, 4, 4), 1.0)
    decoded = Decoded(generated, torch.zeros(1, 1, 4, 4), torch.empty(1, 0))
    structure = StructureCode(kept, nothing(kept), nothing(kept), kept)
    keep, generate = [True], [False]
    made = decoded.composites(structure, keep_scene=keep)
    assert torch.equal(made, torch.full_like(kept, 2.0))
    assert torch.equal(decoded.composites(structure, keep_scene=generate), generated)


def test_a_row_keeps_what_its_mask_leaves_and_another_row_nothing() -> None:
    generated, pictures = torch.full((2, 3, 4, 4), 3.0), torch.full((2, 3, 4, 4), 1.0)
    logits = torch.full((2, 1, 4, 4), 6.0)
    logits[:, :, :3] = -6.0  # a share of 1/404 of G's picture in three rows of four
    decoded = Decoded(generated, logits, torch.empty(2, 0))
    structure = StructureCode(pictures, nothing(pictures), nothing(pictures), pictures)
    made = decoded.composites(structure, keep_scene=[True, False])
    assert torch.equal(made[0, :, :3], pictures[0, :, :3])
    assert not torch.isclose(made[0, :, 3], pictures[0, :, 3]).any()
    assert torch.equal(made[1], generated[1])


def test_a_batch_of_kept_and_generated_scenes_equals_each_alone() -> None:
    predictor = built(tiny_detail(), mask_bias=-3.0)  # a visible share of both pictures
    appearances, structures = noise(3, count=4), noise(4, count=4)
    scenes: list[Scene | None] = ["keep", "generate", None, "generate"]
    mixed = predictor.swap(appearances, structures, scene=scenes)
    for row, scene in enumerate(scenes):
        rows = slice(row, row + 1)
        alone = predictor.swap(appearances[rows], structures[rows], scene=scene)
        assert np.abs(mixed[rows].astype(int) - alone).max() <= 1
    kept, generated = (predictor.swap(appearances, structures, scene=x) for x in SCENES)
    assert np.abs(kept.astype(int) - generated).max() > 1  # else nothing is shown above
    composed = predictor.composed(
        predictor.appearance_styles(appearances), predictor.structure_codes(structures),
        scene=scenes,
    )  # fmt: skip
    assert np.array_equal(composed.pictures, mixed)
    own = (mixed == structures).all(axis=3).mean(axis=(1, 2), dtype=np.float32)
    assert composed.kept_shares.tolist() == [own[0], 0, own[2], 0]


def test_the_kept_share_is_that_of_the_pixels_which_equal_the_structures() -> None:
    predictor = built(tiny_detail(), mask_bias=-6.0)
    composed = predictor.composed(
        predictor.appearance_styles(noise(3)), predictor.structure_codes(noise(4)),
        scene=["keep", "generate"],
    )  # fmt: skip
    assert composed.kept_shares.dtype == np.float32
    assert composed.kept_shares.tolist() == [1, 0]


def test_scenes_that_do_not_match_the_rows_are_refused() -> None:
    with pytest.raises(PredictorError, match="1 scenes of 2 structure codes"):
        built(tiny_detail()).swap(noise(3), noise(4), scene=["keep"])


def test_a_predictor_does_as_it_was_built_for_unless_a_call_says_otherwise() -> None:
    generating = built(tiny_detail(), mask_bias=-6.0, scene="generate")
    assert generating.scene == "generate"
    generated = generating.swap(noise(3), noise(4))
    assert not np.array_equal(generated, noise(4))
    assert np.array_equal(generating.swap(noise(3), noise(4), scene="keep"), noise(4))
    assert (built(tiny_detail()).scene, built(tiny_network()).scene) == ("keep", "generate")
    with pytest.raises(PredictorError, match="no mask"):
        built(tiny_network(), scene="keep")


def test_a_kept_pixel_is_the_structures_own_to_the_level() -> None:
    predictor = built(tiny_detail(), mask_bias=-6.0)  # a share of 1/404 of G's picture
    appearances, structures = noise(3), noise(4)
    assert np.array_equal(predictor.swap(appearances, structures), structures)
    assert not np.array_equal(predictor.swap(appearances, structures, scene="generate"), structures)


def test_a_larger_share_than_a_level_is_blended() -> None:
    predictor = built(tiny_detail(), mask_bias=-2.0)
    assert not np.array_equal(predictor.swap(noise(3), noise(4)), noise(4))


def test_a_scene_cannot_be_kept_without_a_mask() -> None:
    predictor = built(tiny_network())
    with pytest.raises(PredictorError, match=r"scene is to be kept.*no mask.*preset detail"):
        predictor.swap(noise(3), noise(4), scene="keep")
    generated = predictor.swap(noise(3), noise(4), scene="generate")
    assert np.array_equal(predictor.swap(noise(3), noise(4)), generated)


def test_codes_keep_what_can_be_looked_up_in_half_the_memory() -> None:
    predictor = built(tiny_detail())
    styles = predictor.appearance_styles(noise(3))
    assert styles.keys.shape == (2, CELLS, KEY)
    assert styles.values.shape == (2, CELLS, FEATURES + 3 * CELL * CELL)
    assert styles.keys.dtype == styles.values.dtype == torch.bfloat16
    structures = predictor.structure_codes(noise(4))
    assert structures.queries.shape == (2, CELLS, KEY)
    assert structures.picture.shape == (2, 3, HEIGHT, WIDTH)


def test_an_interpolation_ends_at_both_appearances() -> None:
    predictor = built(tiny_detail(), mask_bias=3.0)
    styles, structures = predictor.appearance_styles(noise(3)), predictor.structure_codes(noise(4))
    first, second = styles[[0, 0]], styles[[1, 1]]
    ends = [
        predictor.interpolate(first, second, [share, share], structures) for share in (0.0, 1.0)
    ]
    wanted = [predictor.compose(style, structures) for style in (first, second)]
    for made, expected in zip(ends, wanted, strict=True):
        assert int(np.abs(made.astype(int) - expected).max()) <= 1
    between = predictor.interpolate(first, second, [0.5, 0.5], structures)
    assert all(np.abs(between.astype(int) - end).max() > 1 for end in ends)


def test_attention_that_is_sharp_hands_over_the_pixels_of_the_matching_cell() -> None:
    lookup = ClothesLookup(8, (4, 4, 4)).eval()
    images = pictures(5)
    values = torch.cat(
        [torch.zeros(2, CELLS, FEATURES), functional.pixel_unshuffle(images, CELL).flatten(2).mT],
        dim=2,
    )
    # Every cell has a direction of its own in a space of KEY >= some cells: random ones will do.
    keys = functional.normalize(torch.randn(2, CELLS, KEY), dim=2)
    order = torch.randperm(CELLS)
    nn.init.constant_(lookup.sharpness, 6.0)
    with torch.no_grad():
        tones = torch.zeros(2, 32), torch.zeros(2, 32)
        clothes = lookup(keys[:, order], keys, values, tones, SIZE)
    cells = functional.pixel_unshuffle(clothes.pixels, CELL).flatten(2)
    expected = functional.pixel_unshuffle(images, CELL).flatten(2)[:, :, order]
    assert torch.allclose(cells, expected, atol=1e-3)
    colors = functional.avg_pool2d(clothes.pixels, CELL)
    assert torch.allclose(clothes.colors, colors)


def test_what_nothing_corresponds_to_is_answered_by_the_empty_cell() -> None:
    lookup = ClothesLookup(8, (4, 4, 4)).eval()
    empty = functional.normalize(lookup.empty_key.detach(), dim=0)
    queries = empty.expand(1, CELLS, KEY)
    keys = -queries
    values = torch.ones(1, CELLS, FEATURES + 3 * CELL * CELL)
    nn.init.constant_(lookup.sharpness, 4.0)
    with torch.no_grad():
        tones = torch.zeros(1, 32), torch.zeros(1, 32)
        clothes = lookup(queries, keys, values, tones, SIZE)
    assert torch.allclose(clothes.colors, torch.zeros_like(clothes.colors), atol=1e-4)


@pytest.mark.parametrize("part", ["generated", "mask_logits", "colors"])
def test_a_row_does_not_depend_on_its_neighbors(networks: DGNet, part: str) -> None:
    appearance, structure = codes(networks)
    with torch.no_grad():
        together = getattr(networks.compose(appearance, structure), part)
        alone = getattr(networks.compose(appearance[1:], structure[1:]), part)
    assert torch.allclose(together[1:], alone, atol=1e-5)


def gradients(networks: DGNet, loss: Tensor) -> dict[str, float]:
    """Sum of absolute gradients of each part."""
    networks.zero_grad()
    loss.backward()  # pyright: ignore[reportUnknownMemberType]
    return {
        name: sum(float(w.grad.abs().sum()) for w in part.parameters() if w.grad is not None)
        for name, part in networks.named_children()
    }


def test_the_mask_learns_from_its_own_loss_alone(networks: DGNet) -> None:
    appearance, structure = codes(networks)
    decoded = networks.compose(appearance, structure)
    composites = decoded.blended(decoded.mask().detach(), structure.picture)
    assert gradients(networks, composites.abs().sum())["scene_mask"] == 0
    decoded = networks.compose(*codes(networks))
    assert gradients(networks, decoded.mask_logits.square().sum())["scene_mask"] > 0


def test_self_reconstruction_teaches_the_look_up_nothing(networks: DGNet) -> None:
    def learned(still: float) -> float:
        appearance, structure = codes(networks)
        decoded = networks.compose(appearance, structure, still=torch.full((2,), still))
        return gradients(networks, decoded.generated.abs().sum())["clothes_lookup"]

    assert learned(1.0) == 0
    assert learned(0.0) > 0


def test_the_look_up_never_bends_the_backbone(networks: DGNet) -> None:
    images = pictures(1)
    with torch.no_grad():
        known = networks.appearance_encoder.codes(images)
    appearance = networks.appearance(images, codes=known)
    loss = appearance.keys.sum() + appearance.values.sum()
    assert gradients(networks, loss)["appearance_encoder"] == 0


def test_nothing_of_the_target_is_seen_inside_the_mask(networks: DGNet) -> None:
    """Where the target is the structure picture itself, changing it inside a mask of 1 at the last
    stage changes nothing.
    """
    stage = networks.full_size_structure
    assert stage is not None
    maps, clothes = torch.randn(1, 2, 8, 8), torch.randn(1, 3, 8, 8)
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 4:] = 1
    picture = torch.randn(1, 3, 8, 8)
    other = picture.clone()
    other[..., 4:] += 1
    for shown, same in ((0.0, True), (1.0, False)):
        seen = torch.full((1, 1, 1, 1), shown)
        outputs = [stage(maps, image, mask, seen, clothes) for image in (picture, other)]
        assert torch.equal(*outputs) == same


def test_a_mask_grows_by_two_pixels_in_128_rows_and_four_in_256() -> None:
    for rows, reach in ((128, 2), (256, 4)):
        changed = torch.zeros(1, 1, rows, rows // 2)
        changed[0, 0, 40, 20] = 1
        assert float(widened(changed).sum()) == (2 * reach + 1) ** 2


def test_rows_are_cut_and_joined_together(networks: DGNet) -> None:
    appearance, _ = codes(networks)
    for changed in (
        AppearanceCode.cat([appearance[:1], appearance[1:]]),
        AppearanceCode.cat(appearance.chunk(2)),
        appearance[[0, 1]],
    ):
        parts = zip(appearance.tensors(), changed.tensors(), strict=True)
        assert all(torch.equal(own, theirs) for own, theirs in parts)


def test_a_checkpoint_carries_the_parts(networks: DGNet, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "detail", networks)
    loaded = load_checkpoint(tmp_path / "detail").networks
    assert set(DETAIL_PARTS) <= set(dict(loaded.named_children()))
    for name, tensor in cast(dict[str, Tensor], networks.state_dict()).items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_a_checkpoint_that_lacks_a_part_cannot_make_composites(
    networks: DGNet, tmp_path: Path
) -> None:
    names = [name for name, _ in networks.named_children() if name != "scene_mask"]
    save_checkpoint(tmp_path / "detail", networks, parts=names)
    with pytest.raises(CheckpointError, match="no scene_mask"):
        load_checkpoint(tmp_path / "detail")


def noise(seed: int, *, count: int = 2) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (count, HEIGHT, WIDTH, 3), dtype=np.uint8)


def built(
    config: NetworkConfig, *, mask_bias: float | None = None, scene: Scene | None = None
) -> Predictor:
    """A predictor; with `mask_bias`, its mask has this logit everywhere."""
    networks = seeded(config)
    if mask_bias is not None:
        assert networks.scene_mask is not None
        last = networks.scene_mask.layers[1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, mask_bias)
    metadata = Metadata(config=config, networks=tuple(dict(networks.named_children())))
    return Predictor(
        Checkpoint(metadata=metadata, networks=networks, teacher=None),
        device="cpu",
        precision="fp32",
        scene=scene,
    )
