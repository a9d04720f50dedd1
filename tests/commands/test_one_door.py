"""The same file is the same picture for every command and for the service, or none for all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dgnet.commands.failures import InputError
from dgnet.commands.pictures import read_picture
from dgnet.commands.train_shared import interruptible
from dgnet.model.checkpoints import DEFAULT_CHECKPOINT
from dgnet.model.data.picture import NO_CAMERA, DatasetError, Picture
from dgnet.model.data.transforms import decode_picture
from dgnet.model.evaluation.retrieval.embedding import embed_pictures
from dgnet.model.predictor import Predictor
from dgnet.model.training.workers import launched_workers
from dgnet.pictures import WEB_FORMATS, sniff
from dgnet.samples import SAMPLE_PEOPLE
from dgnet.service.pictures import open_picture
from dgnet.service.settings import ServiceSettings
from tests.commands.test_cli import exit_code
from tests.model.data.trees import MARKET, write_pictures
from tests.pictures.made import EPS, encoded
from tests.pictures.test_hostile import BOMBS, jpeg_of_scans

HEIGHT, WIDTH = 128, 64
PERSON = Image.open(sorted((SAMPLE_PEOPLE / "query").glob("*.jpg"))[0]).convert("RGB")
GRAY = np.asarray(PERSON.convert("L"))
GROUND = np.zeros(GRAY.shape, np.bool_)
GROUND[: GRAY.shape[0] // 3] = True


def on_its_side(picture_format: str, mode: str = "RGB") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = PERSON.transpose(Image.Transpose.ROTATE_90).convert(mode)
    return encoded(turned, picture_format, exif=exif, lossless=True)


def hiding_colors(picture_format: str) -> bytes:
    """Noise where the picture is transparent."""
    noise = np.random.default_rng(1).integers(0, 256, (*GRAY.shape, 3), dtype=np.uint8)
    color = np.where(GROUND[:, :, None], noise, np.asarray(PERSON))
    alpha = np.where(GROUND, 0, 255).astype(np.uint8)
    image = Image.fromarray(np.dstack([color, alpha]).astype(np.uint8))
    return encoded(image, picture_format, lossless=True, exact=True)


def deep(picture_format: str) -> bytes:
    low = np.random.default_rng(1).integers(0, 256, GRAY.shape, dtype=np.uint16)
    return encoded(Image.fromarray(GRAY.astype(np.uint16) * 256 + low), picture_format)


UPRIGHT = np.asarray(PERSON)
IN_GRAY = np.repeat(GRAY[:, :, None], 3, axis=2)
ON_WHITE = np.where(GROUND[:, :, None], 255, UPRIGHT).astype(np.uint8)
# A file and the pixels that it shows.
FILES: dict[str, tuple[Callable[[], bytes], NDArray[np.uint8]]] = {
    "png": (lambda: encoded(PERSON), UPRIGHT),
    "bmp": (lambda: encoded(PERSON, "BMP"), UPRIGHT),
    "tiff": (lambda: encoded(PERSON, "TIFF", compression="tiff_lzw"), UPRIGHT),
    "rotated png": (lambda: on_its_side("PNG"), UPRIGHT),
    "rotated webp": (lambda: on_its_side("WEBP"), UPRIGHT),
    "rotated tiff": (lambda: on_its_side("TIFF"), UPRIGHT),
    "16-bit png": (lambda: deep("PNG"), IN_GRAY),
    "16-bit tiff": (lambda: deep("TIFF"), IN_GRAY),
    "transparent png": (lambda: hiding_colors("PNG"), ON_WHITE),
    "transparent webp": (lambda: hiding_colors("WEBP"), ON_WHITE),
    "transparent tiff": (lambda: hiding_colors("TIFF"), ON_WHITE),
}


@pytest.mark.parametrize("name", FILES)
def test_data_sets_commands_and_the_service_see_the_same_pixels(name: str, tmp_path: Path) -> None:
    write, expected = FILES[name]
    path = tmp_path / "person.jpg"  # the name plays no part
    path.write_bytes(write())
    height, width = expected.shape[:2]
    assert np.array_equal(decode_picture(path, height, width), expected)
    assert np.array_equal(read_picture(path, height=height, width=width), expected)
    if sniff(path.read_bytes()) in WEB_FORMATS:
        picture = open_picture(path.read_bytes(), ServiceSettings(), label="picture")
        assert np.array_equal(picture.prepare(height=height, width=width).pixels, expected)


def test_evaluation_and_embed_agree_to_the_last_digits(tmp_path: Path) -> None:
    plain: list[Path] = []
    paths: list[Path] = []
    for number, (write, expected) in enumerate(FILES.values()):
        paths.append(tmp_path / f"{number:02d}.png")
        paths[-1].write_bytes(write())
        plain.append(tmp_path / f"{number:02d}-plain.bmp")
        Image.fromarray(expected).save(plain[-1])
    out = tmp_path / "emb.npz"
    arguments = ["embed", *map(str, paths), "-o", str(out), "--device", "cpu"]
    assert exit_code(*arguments, "--precision", "fp32") == 0
    with np.load(out) as file:
        of_commands: Any = file["embeddings"]
    predictor = Predictor.load(DEFAULT_CHECKPOINT, device="cpu", precision="fp32")
    of_evaluation = embed_pictures(
        predictor, [Picture(path=path, person_id=1, camera_id=NO_CAMERA) for path in plain]
    )
    cosines = (of_commands * of_evaluation).sum(axis=1)
    assert cosines.tolist() == pytest.approx([1.0] * len(FILES), abs=1e-5)


def damaged_png() -> bytes:
    data = bytearray(encoded(Image.effect_noise((64, 64), 50)))
    data[data.index(b"IDAT") + 40] ^= 1
    return bytes(data)


# What is in a file, and what the refusal says of it.
REFUSED = {
    "EPS": (EPS, "PostScript"),
    "thousands of scans": (jpeg_of_scans(3000), "100 scans"),
    "damaged chunk": (damaged_png(), "truncated or damaged"),
    "bomb": (BOMBS["png"], "30000 x 30000 pixels"),
    "TIFF bomb": (BOMBS["tiff"], "20000 x 20000 pixels"),
    "GIF": (encoded(PERSON, "GIF"), "a GIF"),
    "nothing": (b"", "nothing (0 bytes)"),
    "float": (encoded(Image.new("F", (8, 8)), "TIFF"), "which value is white"),
}


@pytest.fixture(scope="module", params=REFUSED)
def broken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of Market-1501's layout with one bad picture in each split."""
    root = write_pictures(tmp_path_factory.mktemp("broken"), *MARKET)
    for name in (MARKET[0], MARKET[4], MARKET[7]):
        (root / name).write_bytes(REFUSED[request.param][0])
    (root / "why").write_text(REFUSED[request.param][1])
    return root


def test_reading_a_bad_picture_names_it(broken: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        decode_picture(broken / MARKET[0], HEIGHT, WIDTH)
    assert str(broken / MARKET[0]) in str(caught.value)
    assert (broken / "why").read_text() in str(caught.value)


def test_the_check_reports_each_bad_picture(
    broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("data", "check", str(broken), "--json", "-") == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    unreadable = [finding for finding in found if finding["rule"] == "unreadable-file"]
    assert [finding["subject"] for finding in unreadable] == [MARKET[0], MARKET[4], MARKET[7]]
    assert (broken / "why").read_text() in unreadable[0]["message"]


@pytest.mark.usefixtures("fake_predictor")
@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "retrieval", "DATA"],
        ["embed", "DATA/bounding_box_train", "-o", "OUT.npz"],
        ["swap", "--appearance", "DATA/bounding_box_train", "--structure",
         "DATA/bounding_box_test", "-o", "OUT.png"],
        ["train", "teacher", "DATA", "-o", "OUT", "--start", "scratch", "--height", "64",
         "--width", "48", "--iterations", "2"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)  # fmt: skip
def test_commands_name_the_file_and_the_reason_and_exit_2(
    broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    places = {"DATA": str(broken), "OUT": str(tmp_path / "out")}
    for word, place in places.items():
        arguments = [argument.replace(word, place) for argument in arguments]
    assert exit_code(*arguments, "--device", "cpu") == 2
    said = capsys.readouterr().err
    assert any(name in said for name in (MARKET[0], MARKET[4], MARKET[7])), said
    assert (broken / "why").read_text() in " ".join(said.split())
    assert "Traceback" not in said


def test_generation_is_not_measured_on_bad_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(tmp_path, *MARKET)
    for name in MARKET[:4]:
        (tmp_path / name).write_bytes(EPS)
    arguments = ["evaluate", "generation", str(tmp_path), "--split", "train", "--composites", "2"]
    assert exit_code(*arguments, "--device", "cpu") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "bounding_box_train" in said
    assert "PostScript" in said


def test_training_says_how_many_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(tmp_path, *MARKET)
    for name in MARKET[:3]:
        (tmp_path / name).write_bytes(b"")
    arguments = ["train", "teacher", str(tmp_path), "-o", str(tmp_path / "run")]
    assert exit_code(*arguments, "--start", "scratch", "--device", "cpu") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "2 of the others cannot be read either, `dgnet data check` names them all" in said


@pytest.mark.usefixtures("fake_predictor")
def test_embed_takes_every_format_and_says_what_it_passes_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.bmp", "b.tif", "c.tiff", "d.JPG", "e.webp", "f.png"):
        PERSON.save(tmp_path / name)
    (tmp_path / "g.gif").write_bytes(b"")
    (tmp_path / "notes").write_text("")
    assert exit_code("embed", str(tmp_path), "-o", str(tmp_path / "out.npz")) == 0
    with np.load(tmp_path / "out.npz") as file:
        assert [Path(path).name for path in file["paths"]] == [
            "a.bmp", "b.tif", "c.tiff", "d.JPG", "e.webp", "f.png",
        ]  # fmt: skip
    assert "passed over what has no picture's ending: g.gif, notes" in capsys.readouterr().err


def test_a_server_is_sent_what_it_does_not_read_as_png(server: str, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.png", "a.bmp", "a.tif")]
    for path in paths:
        PERSON.save(path)
    out = tmp_path / "out.npz"
    assert exit_code("embed", *map(str, paths), "--server", server, "-o", str(out)) == 0
    with np.load(out) as file:
        first, *others = file["embeddings"]
        assert all(np.array_equal(first, other) for other in others)


def test_a_picture_that_breaks_while_training_goes_on_is_wrong_input(tmp_path: Path) -> None:
    """Of a set that does not fit in memory, pictures are read when their turn comes."""
    workers = launched_workers("cpu")
    with (
        pytest.raises(InputError, match=r"a\.jpg: not a readable picture"),
        interruptible(tmp_path, workers),
    ):
        decode_picture(tmp_path / "a.jpg", HEIGHT, WIDTH)
