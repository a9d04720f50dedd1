"""Usage, exit codes and error lines of the command line as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from dgnet.commands import cli
from dgnet.commands.cli import main
from dgnet.commands.failures import CommandError, InputError, needs_extra
from dgnet.model.predictor import NonFiniteError
from tests.commands.conftest import PaintPicture


def exit_code(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return stop.value.code


def test_help_and_version_are_successes(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--help") == 0
    assert "swap" in capsys.readouterr().out
    assert exit_code("--version") == 0
    assert capsys.readouterr().out.startswith("dgnet ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["swap"],
        ["serve", "--port", "70000"],
        ["serve", "--precision", "fp8"],
        ["serve", "--workers", "2"],
        ["worker"],
        ["worker", "--redis-url", "no-address"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DGNET_REDIS_URL", raising=False)
    assert exit_code(*arguments) == 2


def test_wrong_settings_exit_2_and_name_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DGNET_LEASE_SECONDS", "soon")
    assert exit_code("worker", "--redis-url", "redis://localhost:1") == 2
    assert "DGNET_LEASE_SECONDS" in capsys.readouterr().err


def test_a_missing_picture_is_wrong_input(
    paint: PaintPicture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    red = str(paint("red.png", (200, 0, 0)))
    code = exit_code("swap", "--appearance", red, "--structure", "gone.png", "-o", "out.png")
    assert code == 2
    assert capsys.readouterr().err.strip() == (
        "dgnet: gone.png does not exist: expected a picture or a folder of pictures"
    )


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (CommandError("the server is gone"), 1, "dgnet: the server is gone"),
        (InputError("no such folder"), 2, "dgnet: no such folder"),
        (
            RuntimeError("boom"),
            1,
            "dgnet: RuntimeError: boom (dgnet --traceback ... shows where)",
        ),
    ],
)
def test_errors_are_one_line_and_an_exit_code(
    error: Exception,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_: list[str]) -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    assert exit_code("swap") == code
    assert capsys.readouterr().err == line + "\n"


def test_traceback_shows_where_an_error_came_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: list[str]) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(cli, "app", fail)
    assert exit_code("--traceback", "swap") == 1
    assert "Traceback" in capsys.readouterr().err


def test_results_that_are_no_numbers_are_wrong_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: list[str]) -> None:
        raise NonFiniteError("embedding", [1], ["a.jpg", "b.jpg"])

    monkeypatch.setattr(cli, "app", fail)
    assert exit_code("embed") == 2
    assert capsys.readouterr().err.startswith("dgnet: the embedding of b.jpg has values that are")


def test_a_missing_package_names_the_extra_that_brings_it() -> None:
    expected = pytest.raises(InputError, match=r"needs torch.*pip install 'dgnet\[worker\]'")
    with expected, needs_extra("worker"):
        raise ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")


def test_a_missing_module_of_our_own_is_a_defect() -> None:
    with pytest.raises(ModuleNotFoundError), needs_extra("worker"):
        raise ModuleNotFoundError("No module named 'model.gone'", name="model.gone")
