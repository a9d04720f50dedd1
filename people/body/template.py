"""The unmorphed body with everything derived from it, made once a process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from dgnet.people.arrays import Floats
from dgnet.people.assets import BODY_FILE, BodyAssets, load_assets
from dgnet.people.body.skeleton import Skeleton
from dgnet.people.body.surface import Surface, make_surface


@dataclass(frozen=True, kw_only=True)
class Template:
    """Surfaces: skin, tights (neck to toes without hands; clothes), skirt, eyes."""

    assets: BodyAssets
    skeleton: Skeleton
    skin: Surface
    tights: Surface
    skirt: Surface
    eyes: Surface

    def relative_size(self, joints: Floats) -> float:
        """How large a body with these joints (B, 3) is beside the unmorphed one, 1 at most.

        Clothes and bags of children are smaller in every direction; those of adults vary enough
        without.
        """
        ankle, neck = self.skeleton.index["foot_l"], self.skeleton.index["neck_01"]
        base = self.skeleton.base_joints
        tall = float(joints[neck, 1] - joints[ankle, 1])
        return min(1.0, tall / float(base[neck, 1] - base[ankle, 1]))


@cache
def template() -> Template:
    """The template; a process shares it.

    Raises:
        AssetError: The asset file cannot be used.
    """
    assets = load_assets(BODY_FILE)
    skeleton = Skeleton(assets)
    return Template(
        assets=assets,
        skeleton=skeleton,
        skin=make_surface(assets, skeleton, "body", 0),
        tights=make_surface(assets, skeleton, "tights", 1),
        skirt=make_surface(assets, skeleton, "skirt", 1),
        eyes=make_surface(assets, skeleton, "eyes", 0),
    )
