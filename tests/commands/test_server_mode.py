"""Commands against a running server give what they give on this machine."""

from __future__ import annotations

from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from dgnet.client import async_client, parts
from dgnet.client.wires import BlockingWire
from dgnet.commands import remote
from dgnet.commands.cli import main
from dgnet.commands.failures import CommandError, InputError
from dgnet.samples import SAMPLE_PEOPLE
from tests.commands.conftest import PaintPicture

PICTURES = sorted((SAMPLE_PEOPLE / "query").glob("*.jpg"))[:5]


def run(*arguments: str | Path) -> int | str | None:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code


@pytest.mark.usefixtures("fake_predictor")
def test_a_grid_from_a_server_equals_the_local_one(server: str, tmp_path: Path) -> None:
    arguments: list[str | Path] = ["swap"]
    for picture in PICTURES[:2]:
        arguments += ["--appearance", picture]
    for picture in PICTURES[2:]:
        arguments += ["--structure", picture]
    assert run(*arguments, "-o", tmp_path / "local.png") == 0
    assert run(*arguments, "--server", server, "-o", tmp_path / "remote.png") == 0
    assert (tmp_path / "local.png").read_bytes() == (tmp_path / "remote.png").read_bytes()


@pytest.mark.usefixtures("fake_predictor")
def test_embeddings_from_a_server_equal_the_local_ones(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(async_client, "PICTURES_PER_REQUEST", 2)  # several requests
    assert run("embed", *PICTURES, "-o", tmp_path / "local.npz") == 0
    assert run("embed", *PICTURES, "--server", server, "-o", tmp_path / "remote.npz") == 0
    with np.load(tmp_path / "local.npz") as local, np.load(tmp_path / "remote.npz") as remote_file:
        assert local["paths"].tolist() == remote_file["paths"].tolist()
        assert local["model_version"] == remote_file["model_version"]
        np.testing.assert_allclose(local["embeddings"], remote_file["embeddings"], atol=1e-6)


def test_what_the_server_refuses_is_wrong_input_and_named(
    server: str, paint: PaintPicture, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"not a picture at all")
    with pytest.raises(InputError, match=r"bad\.png"):
        remote.embed_pictures([PICTURES[0], bad], server=server, api_key=None)
    with pytest.raises(InputError, match=r"bad\.png"):
        remote.swap_pairs([(PICTURES[0], bad)], server=server, api_key=None)


def test_a_scene_that_the_server_cannot_keep_is_wrong_input(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("swap", "--appearance", PICTURES[0], "--structure", PICTURES[1])
    out = tmp_path / "out.png"
    assert run(*arguments, "--server", server, "-o", out, "--scene", "keep") == 2
    assert "model fake (0123456789ab) has no mask" in capsys.readouterr().err
    assert not out.exists()
    assert run(*arguments, "--server", server, "-o", out, "--scene", "generate") == 0


def test_a_server_out_of_reach_is_a_failure() -> None:
    with pytest.raises(CommandError, match="cannot be reached") as failure:
        remote.swap_pairs([(PICTURES[0], PICTURES[1])], server="http://127.0.0.1:9", api_key=None)
    assert failure.value.exit_code == 1


@pytest.mark.usefixtures("fake_predictor")
@pytest.mark.parametrize("structures", [1, 3])
def test_a_walk_from_a_server_equals_the_local_one(
    server: str, tmp_path: Path, structures: int
) -> None:
    arguments: list[str | Path] = ["swap", "--interpolate", "3"]
    for picture in PICTURES[:2]:
        arguments += ["--appearance", picture]
    for picture in PICTURES[2 : 2 + structures]:
        arguments += ["--structure", picture]
    assert run(*arguments, "-o", tmp_path / "local.png") == 0
    assert run(*arguments, "--server", server, "-o", tmp_path / "remote.png") == 0
    assert (tmp_path / "local.png").read_bytes() == (tmp_path / "remote.png").read_bytes()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses of the requests that go out, without the server."""
    sent: list[str] = []
    send = BlockingWire.send

    async def counted(wire: BlockingWire, request: httpx.Request) -> httpx.Response:
        sent.append(request.url.raw_path.decode())
        return await send(wire, request)

    monkeypatch.setattr(BlockingWire, "send", counted)
    return sent


def test_five_by_seven_pictures_into_a_folder_are_one_request(
    server: str, paint: PaintPicture, tmp_path: Path, sent: list[str]
) -> None:
    for n in range(7):
        paint(f"structures/s{n}.png", (100, 10 * n, 0))
        if n < 5:
            paint(f"appearances/a{n}.png", (20 * n, 0, 0))
    folders = ("--appearance", tmp_path / "appearances", "--structure", tmp_path / "structures")
    out = tmp_path / "out"
    out.mkdir()
    assert run("swap", *folders, "--server", server, "-o", out) == 0
    assert sent == ["/v1/swaps/grid"]
    made = {path.name: np.asarray(Image.open(path))[0, 0].tolist() for path in out.iterdir()}
    # Halfway from the structure's pixels to the appearance's mean.
    assert made == {
        f"a{n}_on_s{m}.png": [50 + 10 * n, 5 * m, 0] for n in range(5) for m in range(7)
    }


def test_a_model_of_the_server_is_chosen(
    server: str, tmp_path: Path, sent: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    one = ("swap", "--appearance", PICTURES[0], "--structure", PICTURES[1])
    walk = (*one, "--appearance", PICTURES[2], "--interpolate", "2")
    embeddings = ("embed", PICTURES[0])
    out, file = tmp_path / "out.png", tmp_path / "out.npz"
    options = ("--server", server, "--overwrite")
    for name in ("fake", "0123456789ab"):
        assert run(*one, *options, "-o", out, "--model", name) == 0
        assert run(*walk, *options, "-o", out, "--model", name) == 0
        assert run(*embeddings, "--server", server, "-o", file, "--model", name) == 0
    assert sent[:4] == [
        "/v1/swaps?model=fake",
        "/v1/swaps/interpolation?model=fake&weight=0.0&weight=1.0",
        # All pictures of a file are embedded by one version.
        "/v1/models",
        "/v1/embeddings?model=0123456789ab",
    ]
    capsys.readouterr()
    grid = (*one, "--structure", PICTURES[2])
    for command in (one, grid, walk):
        assert run(*command, *options, "-o", out, "--model", "nobody") == 2
        assert "'nobody' is not served" in capsys.readouterr().err
    assert run(*embeddings, "--server", server, "-o", file, "--model", "nobody") == 2
    assert "'nobody' is not served" in capsys.readouterr().err


def test_a_model_of_a_server_needs_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = ("swap", "--appearance", PICTURES[0], "--structure", PICTURES[1])
    generate = ("generate", SAMPLE_PEOPLE, "--count", "1")
    for command, name in ((one, "o.png"), (("embed", PICTURES[0]), "o.npz"), (generate, "set")):
        assert run(*command, "-o", tmp_path / name, "--model", "fake") == 2
        assert "give --server" in capsys.readouterr().err


def test_a_command_says_that_the_server_is_older(
    server: str,
    tmp_path: Path,
    sent: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(parts.Grid, "path", "/v1/unknown")
    arguments = ("swap", "--appearance", PICTURES[0], "--structure", PICTURES[1])
    two = (*arguments, "--structure", PICTURES[2])
    assert run(*two, "--server", server, "-o", tmp_path / "out.png") == 0
    error = capsys.readouterr().err
    assert error.startswith("warning: POST /v1/unknown is not served (Nothing lives at this")
    assert "asks for one composite at a time, which is slower" in error
    assert sent == ["/v1/unknown", "/v1/swaps", "/v1/swaps"]


def test_what_a_server_cannot_do_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(
        "swap", "--appearance", PICTURES[0], "--structure", PICTURES[2], "--same-person",
        "--server", "http://127.0.0.1:9", "-o", tmp_path / "out.png",
    )  # fmt: skip
    assert code == 2
    assert "--same-person works on this machine only" in capsys.readouterr().err
