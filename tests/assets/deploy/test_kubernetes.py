"""The example for Kubernetes: every object is one that a cluster takes, and a run becomes a pod with a GPU."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
import yaml

ROOT = Path(__file__).parents[3]
VERSION = "1.31"  # of Kubernetes
OBJECTS = list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text()))
IMAGE = (ROOT / "deploy" / "Dockerfile").read_text()


def named(kind: str, name: str) -> Any:
    return next(each for each in OBJECTS if each["kind"] == kind and each["metadata"]["name"] == name)


def taken_by_a_cluster(body: Any) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    validator.validate(body, VERSION, strict=True)


@pytest.mark.parametrize("body", OBJECTS, ids=lambda body: f"{body['kind']}-{body['metadata']['name']}")
def test_every_object_is_one_that_a_cluster_takes(body: Any) -> None:
    taken_by_a_cluster(body)


def test_servers_are_reached_from_within_the_pod_alone_and_every_name_is_defined() -> None:
    assert not [each for each in OBJECTS if each["kind"] in ("Service", "Ingress")]
    assert "127.0.0.1" in named("Deployment", "rlstir-web")["spec"]["template"]["spec"]["containers"][0]["command"]
    for name in ("rlstir-web", "rlstir-daemon"):
        spec = named("Deployment", name)["spec"]["template"]["spec"]
        assert named("ServiceAccount", spec["serviceAccountName"])
        volumes = {each["name"]: each for each in spec["volumes"]}
        for mount in spec["containers"][0]["volumeMounts"]:
            claim = volumes[mount["name"]].get("persistentVolumeClaim")
            assert claim is None or named("PersistentVolumeClaim", claim["claimName"])
    settings = re.findall(r"^\| `(\w+)` ", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert named("ConfigMap", "rlstir-settings")["data"].keys() <= set(settings)


def test_a_run_becomes_a_pod_with_a_gpu_both_volumes_and_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = pytest.importorskip("dagster_k8s.launcher", reason="dagster-k8s is not installed")
    from dagster._core.code_pointer import ModuleCodePointer
    from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
    from kubernetes.client import ApiClient

    created: list[Any] = []
    client = SimpleNamespace(create_namespaced_job_with_retries=lambda **job: created.append(job))
    monkeypatch.setattr(launcher, "load_kubernetes_config", lambda **_: None)
    monkeypatch.setattr(launcher.DagsterKubernetesClient, "production_client", lambda **_: client)
    settings = named("ConfigMap", "rlstir-dagster")["data"]["dagster.yaml"].replace("/data/", f"{tmp_path}/data/")
    (tmp_path / "dagster.yaml").write_text(settings)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        place = RepositoryPythonOrigin("python", ModuleCodePointer("rlstir_assets.definitions", "defs"))
        run = instance.create_run_for_job(dg.job(name="full")(lambda: None))
        monkeypatch.setattr(type(run), "job_code_origin", JobPythonOrigin(job_name="full", repository_origin=place))
        instance.run_launcher._launch_k8s_job_with_args("dagster-run-1", ["dagster", "api", "execute_run"], run)
    (made,) = created
    body = ApiClient().sanitize_for_serialization(made["body"])
    taken_by_a_cluster(body)
    pod = body["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert made["namespace"] == "rlstir" and container["image"] == "rlstir:latest"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {"/store", "/data", "/dev/shm"} <= {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {"configMapRef": {"name": "rlstir-settings"}} in container["envFrom"]
    assert {"secretRef": {"name": "rlstir"}} in container["envFrom"]
    home = next(each["value"] for each in container["env"] if each["name"] == "DAGSTER_HOME")
    assert f"DAGSTER_HOME={home}" in IMAGE
    assert f"useradd --uid {pod['securityContext']['runAsUser']} " in IMAGE


def test_the_image_installs_extras_that_there_are() -> None:
    import tomllib

    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (extras,) = re.findall(r"-e '\.\[([\w,]+)\]'", IMAGE)
    assert set(extras.split(",")) <= known.keys()
