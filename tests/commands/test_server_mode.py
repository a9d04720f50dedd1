"""Commands against a running server give what they give on this machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dgnet.client import async_client
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


def test_interpolation_is_local_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(
        "swap", "--appearance", PICTURES[0], "--appearance", PICTURES[1],
        "--structure", PICTURES[2], "--interpolate", "3",
        "--server", "http://127.0.0.1:9", "-o", tmp_path / "out.png",
    )  # fmt: skip
    assert code == 2
    assert "this machine only" in capsys.readouterr().err
