"""Measures a network while it trains: does it find held-out people again?

No loss on training pictures tells which state of a run is best: ramps change what the total means,
and a smaller reconstruction error says nothing of people never seen. mAP on people who are not
trained on does, and Re-ID is what the networks are for.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from dgnet.arrays import Embeddings, Pixels
from dgnet.model.checkpoints import Checkpoint, Metadata
from dgnet.model.config import NetworkConfig
from dgnet.model.data.fingerprint import file_hashes, listing_digest
from dgnet.model.data.layouts import DataSet
from dgnet.model.data.picture import Picture
from dgnet.model.data.transforms import normalize
from dgnet.model.dgnet import DGNet
from dgnet.model.evaluation.retrieval.embedding import Embedder, embed_pictures, labeled
from dgnet.model.evaluation.retrieval.preflight import check_people, searching
from dgnet.model.evaluation.retrieval.scores import evaluate_retrieval
from dgnet.model.evaluation.retrieval.similarity import CosineSimilarity
from dgnet.model.predictor import Predictor
from dgnet.model.teacher import Teacher

CRITERION = "mAP"
"""What the best state has most of, over the queries that have a match, with the step AP."""


class Validation:
    """Query and gallery of people who are not trained on."""

    def __init__(self, dataset: DataSet) -> None:
        """Raises DatasetError and PreflightError where nothing could be found again."""
        self._query, self.warnings = searching(dataset.split("query"))
        self._gallery: Sequence[Picture] = dataset.split("gallery")
        check_people(self._query, self._gallery)
        self.name = dataset.root.resolve().name

    @property
    def pictures(self) -> int:
        """How many."""
        return len(self._query) + len(self._gallery)

    @cached_property
    def digest(self) -> str:
        """The digest of all pictures and whose they are."""
        return listing_digest(
            f"{part}\t{picture.person_id}\t{picture.camera_id}\t{found}"
            for part, pictures in (("query", self._query), ("gallery", self._gallery))
            for picture, found in zip(
                pictures, file_hashes([picture.path for picture in pictures]), strict=True
            )
        )

    def measure(self, embedder: Embedder, device: torch.device) -> dict[str, float]:
        """Shares in 0..1 by name, `CRITERION` among them."""
        query, gallery = (
            labeled(pictures, embed_pictures(embedder, pictures))
            for pictures in (self._query, self._gallery)
        )
        similarity = CosineSimilarity(query.embeddings, gallery.embeddings, device)
        scores = evaluate_retrieval(query, gallery, similarity).torchreid_convention
        return {CRITERION: scores.mAP, "rank_1": scores.rank_1}


def embedder_of(networks: DGNet, device: torch.device) -> Embedder:
    """A copy of the networks as they are now, behind the door that inference uses."""
    metadata = Metadata(config=networks.config, networks=tuple(dict(networks.named_children())))
    checkpoint = Checkpoint(metadata=metadata, networks=networks, teacher=None)
    return Predictor(checkpoint, device=str(device), precision="fp32")


class TeacherEmbedder:
    """A teacher's features as embeddings; it must be in evaluation mode while used."""

    def __init__(self, teacher: Teacher, device: torch.device) -> None:
        config: NetworkConfig = teacher.config
        self.height, self.width = config.height, config.width
        self._teacher, self._device = teacher, device

    @torch.no_grad()
    def embed(self, images: Pixels) -> Embeddings:
        """uint8 (B, height, width, 3) to float32 (B, head_features) of length 1."""
        pixels = torch.as_tensor(images).to(self._device)
        features: Tensor = self._teacher(normalize(pixels)).features
        return functional.normalize(features.float()).cpu().numpy()
