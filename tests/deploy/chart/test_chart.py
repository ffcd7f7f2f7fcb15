"""The Helm chart: Helm renders it, Kubernetes' schemas accept it, and its parts fit together and to truecount."""

from __future__ import annotations

import json
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.deploy.chart.rendering import (
    CHART,
    NEWEST_KUBERNETES,
    OLDEST_KUBERNETES,
    VALUES,
    Object,
    RefusedError,
    helm,
    of_kind,
    render,
    templates,
    worker,
)
from tests.deploy.conftest import ROOT

FILES = sorted(VALUES.glob("*.yaml"))
CUSTOM = {"PodMonitor", "PrometheusRule", "ScaledObject", "TriggerAuthentication"}
"""Kinds of other projects, for which there is no schema here; the tests below check their shape."""

PROBES = {"livenessProbe": "/livez", "startupProbe": "/livez", "readinessProbe": "/readyz"}


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.stem)
def objects(request: pytest.FixtureRequest) -> list[Object]:
    """All objects, rendered with each of the values files."""
    return render(request.param)


@pytest.fixture(scope="module")
def full() -> list[Object]:
    """All objects with everything that is optional."""
    return render(VALUES / "full.yaml")


def one(objects: list[Object], kind: str) -> Object:
    """The only object of a kind."""
    (found,) = of_kind(objects, kind)
    return found


@pytest.mark.parametrize("values", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("kubernetes", [OLDEST_KUBERNETES, NEWEST_KUBERNETES])
def test_the_schemas_of_kubernetes_accept_every_object(values: Path, kubernetes: str) -> None:
    rendered = render(values, kubernetes=kubernetes)
    native = [each for each in rendered if each["kind"] not in CUSTOM]
    assert len(native) >= 4
    for each in native:
        kubernetes_validate.validate(each, kubernetes, strict=True)


def test_the_schemas_would_refuse_a_misspelled_key() -> None:
    stateful = one(render(VALUES / "minimal.yaml"), "StatefulSet")
    stateful["spec"]["templte"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="templte"):
        kubernetes_validate.validate(stateful, NEWEST_KUBERNETES, strict=True)


@pytest.mark.parametrize("values", FILES, ids=lambda path: path.stem)
def test_helm_has_nothing_to_say(values: Path) -> None:
    assert "0 chart(s) failed" in helm(
        "lint", str(CHART), "--strict", "--values", str(values), "--kube-version", "1.37.0"
    )


def test_names_are_unique_and_labelled(objects: list[Object]) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]
    assert len(set(names)) == len(names)
    for each in objects:
        assert each["metadata"]["labels"]["app.kubernetes.io/name"] == "truecount"


def test_a_pod_is_bounded_and_has_no_rights(objects: list[Object]) -> None:
    for _, template in templates(objects):
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == spec["securityContext"]["fsGroup"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}


def test_what_is_mounted_exists_and_what_exists_is_mounted(objects: list[Object]) -> None:
    claims = [
        claim["metadata"]["name"] for claim in one(objects, "StatefulSet")["spec"].get("volumeClaimTemplates", [])
    ]
    for kind, template in templates(objects):
        volumes = [volume["name"] for volume in template["spec"]["volumes"]] + (claims if kind == "StatefulSet" else [])
        mounts = [mount["name"] for mount in template["spec"]["containers"][0]["volumeMounts"]]
        assert sorted(volumes) == sorted(mounts)


def test_a_worker_is_a_static_member_under_the_name_of_its_pod(objects: list[Object]) -> None:
    environment = {each["name"]: each for each in worker(objects)["spec"]["containers"][0]["env"]}
    instance = environment["TRUECOUNT_BROKER__INSTANCE_ID"]
    assert instance["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    session_seconds = int(environment["TRUECOUNT_BROKER__SESSION_TIMEOUT_SECONDS"]["value"])
    assert session_seconds > 2 * worker(objects)["spec"]["terminationGracePeriodSeconds"]


def test_a_pod_may_drain_before_it_is_killed(objects: list[Object]) -> None:
    from streams.settings.settings import Settings

    assert worker(objects)["spec"]["terminationGracePeriodSeconds"] > Settings().drain_seconds


def test_the_probes_ask_where_the_image_listens(objects: list[Object]) -> None:
    (container,) = worker(objects)["spec"]["containers"]
    (port,) = container["ports"]
    assert f"TRUECOUNT_WEB__PORT={port['containerPort']}" in (ROOT / "deploy" / "Dockerfile").read_text()
    assert {name: container[name]["httpGet"]["path"] for name in PROBES} == PROBES
    assert {container[name]["httpGet"]["port"] for name in PROBES} == {port["name"]}


def test_every_selector_selects_the_workers(objects: list[Object]) -> None:
    labels = worker(objects)["metadata"]["labels"].items()
    stateful = one(objects, "StatefulSet")["spec"]
    spread = [
        each["labelSelector"]["matchLabels"] for each in stateful["template"]["spec"]["topologySpreadConstraints"]
    ]
    selectors = [stateful["selector"]["matchLabels"], one(objects, "Service")["spec"]["selector"], *spread]
    for kind in ("PodDisruptionBudget", "PodMonitor"):
        selectors += [each["spec"]["selector"]["matchLabels"] for each in of_kind(objects, kind)]
    assert all(selector and selector.items() <= labels for selector in selectors)
    for kind, template in templates(objects):
        if kind == "Job":
            assert not stateful["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


def test_a_network_policy_is_for_all_pods_and_lets_kafka_dns_and_metrics_through(full: list[Object]) -> None:
    policy = one(full, "NetworkPolicy")["spec"]
    for _, template in templates(full):
        assert policy["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert ports == {53, 9093, 9094}
    assert [port["port"] for rule in policy["ingress"] for port in rule["ports"]] == ["http"]


def test_a_network_policy_names_peers_and_ports_that_are_given() -> None:
    policy = one(render(VALUES / "secured.yaml"), "NetworkPolicy")["spec"]
    assert policy["ingress"][0]["from"][0]["namespaceSelector"]["matchLabels"].popitem()[1] == "monitoring"
    to_kafka = policy["egress"][1]
    assert [port["port"] for port in to_kafka["ports"]] == [9093, 9094]
    assert to_kafka["to"][0]["namespaceSelector"]["matchLabels"].popitem()[1] == "kafka"


def test_the_rules_are_those_of_the_plain_prometheus(full: list[Object]) -> None:
    files = sorted((ROOT / "deploy" / "prometheus").glob("*rules.yml"))
    assert files
    rendered = of_kind(full, "PrometheusRule")
    assert [each["spec"] for each in rendered] == [yaml.safe_load(file.read_text()) for file in files]
    assert all(each["metadata"]["labels"]["release"] == "monitoring" for each in rendered)


def test_the_dashboards_are_those_of_the_plain_grafana(full: list[Object]) -> None:
    files = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
    rendered = [each for each in of_kind(full, "ConfigMap") if "grafana_dashboard" in each["metadata"]["labels"]]
    shown = {name: json.loads(text) for each in rendered for name, text in each["data"].items()}
    assert files
    assert shown == {file.name: json.loads(file.read_text()) for file in files}


def test_a_package_has_rules_and_dashboards_and_no_other_file_beside_them(tmp_path: Path) -> None:
    helm("package", str(CHART), "--destination", str(tmp_path))
    (package,) = tmp_path.glob("*.tgz")
    with tarfile.open(package) as archive:
        packed = {Path(entry.name).name: entry for entry in archive if "/files/" in entry.name}
    rules = [file.name for file in (ROOT / "deploy" / "prometheus").glob("*rules.yml")]
    dashboards = [file.name for file in (ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")]
    assert sorted(packed) == sorted(rules + dashboards)
    assert all(entry.isfile() and entry.size > 1000 for entry in packed.values()), "a link leads nowhere in a package"


def test_workers_are_scraped_under_the_job_that_rules_and_dashboards_ask_for(full: list[Object]) -> None:
    monitor = one(full, "PodMonitor")
    assert worker(full)["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "truecount"
    assert 'job="truecount"' in json.dumps([each["spec"] for each in of_kind(full, "PrometheusRule")]).replace(
        '\\"', '"'
    )
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"]) == (
        worker(full)["spec"]["containers"][0]["ports"][0]["name"],
        "/metrics",
    )
    assert monitor["apiVersion"] == one(full, "PrometheusRule")["apiVersion"] == "monitoring.coreos.com/v1"


@pytest.mark.parametrize(("name", "sasl"), [("full", "scram_sha256"), ("secured", "scram_sha512")])
def test_keda_scales_by_the_lag_of_the_group_and_slowly_down(name: str, sasl: str) -> None:
    rendered = render(VALUES / f"{name}.yaml")
    stateful, scaled = one(rendered, "StatefulSet"), one(rendered, "ScaledObject")
    assert "replicas" not in stateful["spec"], "an upgrade would undo what KEDA has set"
    target = scaled["spec"]["scaleTargetRef"]
    assert target == {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": stateful["metadata"]["name"]}
    environment = {each["name"]: each.get("value") for each in worker(rendered)["spec"]["containers"][0]["env"]}
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["metadata"] == {
        "bootstrapServers": environment["TRUECOUNT_BROKER__SERVERS"],
        "consumerGroup": environment["TRUECOUNT_APP"],
        "lagThreshold": "50000",
        "offsetResetPolicy": "earliest",
        "sasl": sasl,
        "tls": "enable",
    }
    down = scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    assert down["stabilizationWindowSeconds"] >= 1800
    assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 1800}]
    assert int(environment["TRUECOUNT_PARTITIONS"] or 0) >= scaled["spec"]["maxReplicaCount"]
    assert trigger["authenticationRef"]["name"] == one(rendered, "TriggerAuthentication")["metadata"]["name"]


def test_keda_gets_the_secrets_that_the_workers_get() -> None:
    rendered = render(VALUES / "secured.yaml")
    references = one(rendered, "TriggerAuthentication")["spec"]["secretTargetRef"]
    assert {each["parameter"]: (each["name"], each["key"]) for each in references} == {
        "username": ("release-truecount-keda", "username"),
        "password": ("audit-user", "password"),
        "ca": ("cluster-ca-cert", "ca.crt"),
        "cert": ("audit-client", "user.crt"),
        "key": ("audit-client", "user.key"),
    }


def test_secrets_are_mounted_as_files_that_only_the_group_reads(full: list[Object]) -> None:
    for _, template in templates(full):
        secrets = [volume["secret"] for volume in template["spec"]["volumes"] if "secret" in volume]
        assert len(secrets) == 2
        assert all(secret["defaultMode"] == 0o440 for secret in secrets)
        assert "ss" not in {each.get("value") for each in template["spec"]["containers"][0]["env"]}
    assert 'p\\"a#ss' not in json.dumps([template for _, template in templates(full)])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["kafka.sevrers=a:1"], "sevrers"),
        (["kafka.servers="], "servers"),
        (["kafka.servers=kafka"], "servers"),
        (["kafka.securityProtocol=SASL_SSL", "kafka.sasl.username=u"], "password"),
        (["kafka.securityProtocol=SASL_SSL", "kafka.sasl.password=p"], "username"),
        (["kafka.securityProtocol=TLS"], "securityProtocol"),
        (["partitions=4", "replicas=5"], "replicas"),
        (["partitions=4", "keda.enabled=true"], "keda.maxReplicas"),
        (["keda.enabled=true", "keda.minReplicas=9"], "keda.minReplicas"),
        (["replica=2"], "replica"),
    ],
    ids=lambda case: case[-1] if isinstance(case, list) else "",
)
def test_wrong_values_are_refused_by_name(options: list[str], named: str) -> None:
    sets = [word for option in options for word in ("--set", option)]
    with pytest.raises(RefusedError, match=named):
        render(VALUES / "minimal.yaml", *sets)


def keys(values: Any, place: str = "") -> set[str]:
    """Every key of the values, by its path; not those of free-form values."""
    if not isinstance(values, dict) or not values:
        return {place}
    return {key for name, value in values.items() for key in keys(value, f"{place}.{name}")}


def schema_keys(schema: Any, place: str = "") -> set[str]:
    """Every key of the schema, by its path."""
    if "properties" not in schema:
        return {place}
    return {key for name, inner in schema["properties"].items() for key in schema_keys(inner, f"{place}.{name}")}


def test_the_schema_has_the_keys_of_the_values_and_no_others() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    values["resources"], values["dashboards"]["labels"] = {}, {}
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert keys(values) == schema_keys(schema) - {".global"}


def test_the_chart_has_the_version_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)
    assert chart["kubeVersion"] == f">={OLDEST_KUBERNETES}.0-0"
