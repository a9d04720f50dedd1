"""The container files: what can be known of them without a container engine."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any, cast

import pytest
import yaml

from dgnet.jobs.settings import WorkerSettings
from tests.house.rooms import ROOMS, ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()


class ComposeLoader(yaml.SafeLoader):
    """YAML with the tags that Compose adds."""


def _construct_reset(loader: yaml.SafeLoader, node: yaml.Node) -> str:
    return "RESET"


ComposeLoader.add_constructor("!reset", _construct_reset)


def compose(name: str) -> dict[str, Any]:
    return cast("dict[str, Any]", yaml.load((ROOT / name).read_text(), ComposeLoader))  # noqa: S506


def stages() -> dict[str, list[str]]:
    """Instructions of each stage by its name, continuation lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, list[str]] = {}
    name = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("FROM "):
            name = line.split(" AS ")[1]
            found[name] = []
        found[name].append(line)
    return found


def parent(stage: str) -> str:
    return stages()[stage][0].split()[1]


def with_parents(stage: str) -> list[str]:
    """Instructions that make a stage, those of the stages it is built on first."""
    base = parent(stage)
    inherited = with_parents(base) if base in stages() else []
    return inherited + stages()[stage]


@pytest.mark.parametrize("target", ["service", "worker"])
def test_images_run_as_an_ordinary_user(target: str) -> None:
    users = [line for line in with_parents(target) if line.startswith("USER ")]
    assert users[-1:] == ["USER 10001:10001"]


@pytest.mark.parametrize("target", ["service", "worker"])
def test_images_tell_whether_they_are_healthy_and_start_in_exec_form(target: str) -> None:
    instructions = stages()[target]
    assert sum(line.startswith("HEALTHCHECK ") for line in instructions) == 1
    assert re.fullmatch(r'CMD \["dgnet", .*\]', instructions[-1])


def test_the_service_image_is_built_without_the_worker_extra() -> None:
    copied = [line for line in with_parents("service") if line.startswith("COPY --from=")]
    assert copied == ["COPY --from=build-service /opt/dgnet /opt/dgnet"]
    made_by = "\n".join(with_parents("build-service"))
    assert "torch" not in made_by
    assert "[worker]" not in made_by


def test_base_images_are_pinned_and_slim() -> None:
    bases = [parent(stage) for stage in stages() if parent(stage) not in stages()]
    assert bases == ["python:3.12-slim-bookworm"]


def test_only_what_the_install_needs_enters_the_build() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    kept = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert kept == {"pyproject.toml", "constraints.txt", "README.md", "LICENSE", "dgnet", *ROOMS}
    assert all((ROOT / name).exists() for name in kept)


def test_compose_starts_redis_service_and_worker() -> None:
    services = compose("docker-compose.yml")["services"]
    assert set(services) == {"redis", "service", "worker"}
    for name in ("service", "worker"):
        assert services[name]["build"] == {"context": ".", "target": name}
        assert services[name]["environment"]["DGNET_REDIS_URL"] == "redis://redis:6379/0"
        assert services[name]["depends_on"]["redis"]["condition"] == "service_healthy"


def test_queued_jobs_survive_a_restart_of_redis() -> None:
    redis = compose("docker-compose.yml")["services"]["redis"]
    assert redis["command"][1:3] == ["--appendonly", "yes"]
    assert redis["command"][3:5] == ["--maxmemory-policy", "noeviction"]
    assert "queue:/data" in redis["volumes"]
    assert redis["healthcheck"]["test"] == ["CMD", "redis-cli", "ping"]


def test_the_worker_reserves_a_gpu_and_the_cpu_override_takes_it_back() -> None:
    worker = compose("docker-compose.yml")["services"]["worker"]
    (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    override = compose("docker-compose.cpu.yml")["services"]["worker"]
    assert override == {"environment": {"DGNET_DEVICE": "cpu"}, "deploy": "RESET"}


def test_worker_image_and_compose_ask_for_a_card_by_name() -> None:
    worker = compose("docker-compose.yml")["services"]["worker"]
    assert worker["environment"]["DGNET_DEVICE"] == "cuda"
    (variables,) = [line for line in stages()["worker"] if line.startswith("ENV ")]
    assert "DGNET_DEVICE=cuda" in variables.split()


@pytest.mark.parametrize("name", ["service", "worker"])
def test_processes_get_longer_to_stop_than_they_take(name: str) -> None:
    grace = compose("docker-compose.yml")["services"][name]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > WorkerSettings.model_fields["shutdown_seconds"].default


def _compose_plugin() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    return subprocess.run([docker, "compose", "version"], capture_output=True).returncode == 0


@pytest.mark.skipif(not _compose_plugin(), reason="no `docker compose` here")
@pytest.mark.parametrize(
    "files", [["docker-compose.yml"], ["docker-compose.yml", "docker-compose.cpu.yml"]]
)
def test_docker_compose_accepts_the_files(files: list[str]) -> None:
    arguments = [part for name in files for part in ("--file", name)]
    done = subprocess.run(
        ["docker", "compose", *arguments, "config", "--quiet"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
