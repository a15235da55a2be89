"""docs/deploy says what works: its files parse, agree with each other and the program, and are run where they can be.

Not run here: docker, kubectl, systemctl, and the images of others.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from command_line import Folder, free_port, until_answered
from deploy_files import (
    DEPLOY,
    IDENTITY,
    ROOT,
    compose,
    documents,
    example,
    filled_in,
    instruction,
    instructions,
    manifest,
    manifests,
    pods,
    unit,
)
from prometheus_client.parser import text_string_to_metric_families
from servers import seaweedfs
from servers.postgres import ROLES, postgres_server, programs
from servers.process import program

from nexus_graph import __main__
from nexus_graph.administration.serving import GRACE_SECONDS
from nexus_graph.api.metrics import NO_GATE
from nexus_graph.config import FILE_SETTING, Config, load
from nexus_graph.scope import errors
from nexus_graph.scope.decision import Gate
from nexus_graph.scope.errors import ConfigurationError
from nexus_graph.stores.database.place import PostgresPlace
from nexus_graph.stores.migrations import migrate, newest

SECONDS = 900
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
SERVERS = ("server-1", "server-2")
NEEDED = {
    "NEXUS_DATA",
    "NEXUS_ERASURE_LEDGER",
    "NEXUS_SIGNING_SECRET",
    "NEXUS_ISSUERS",
    "NEXUS_HOST",
    "NEXUS_PORT",
    "NEXUS_PUBLIC_URL",
    "NEXUS_POSTGRES",
    "NEXUS_POSTGRES_OWNER",
    "NEXUS_OBJECTS",
    "NEXUS_S3_BUCKET",
    "NEXUS_S3_REGION",
    "NEXUS_S3_ENDPOINT",
    "NEXUS_S3_PUBLIC_ENDPOINT",
    "NEXUS_S3_ACCESS_KEY",
    "NEXUS_S3_SECRET_KEY",
    "NEXUS_VECTORS",
    "NEXUS_WEAVIATE_ADDRESS",
    "NEXUS_WEAVIATE_GRPC_ADDRESS",
    "NEXUS_WEAVIATE_KEY",
    "NEXUS_METRICS_TOKEN",
    "NEXUS_INTROSPECTION_ENVS",
}
"""What a house of several servers says by itself: required, or otherwise on one machine."""


def of_kubernetes() -> dict[str, str]:
    """The settings of the manifests together."""
    return {**manifest("ConfigMap")["data"], **manifest("Secret")["stringData"]}


def of_compose() -> dict[str, str]:
    """The settings of the compose file's servers, filled in."""
    return filled_in(compose()["services"]["server-1"]["environment"])


@contextmanager
def served(folder: Folder) -> Iterator[str]:
    """The address of a real server."""
    port = free_port()
    process = folder.start("serve", "--port", str(port))
    address = f"http://127.0.0.1:{port}"
    try:
        until_answered(address, process, folder.log)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def run(*command: str | Path, **more: Any) -> str:
    """What a program printed that must end with status 0."""
    words = [str(part) for part in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout + done.stderr)


@pytest.mark.parametrize("path", [each for each in FILES if each.suffix == ".yaml"], ids=lambda path: path.name)
def test_every_yaml_file_is_yaml(path: Path) -> None:
    """Each document of it is an object."""
    assert all(isinstance(each, dict) for each in documents(path.relative_to(DEPLOY).as_posix()))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_setting_named_is_one(path: Path) -> None:
    """No file names a setting that a start would refuse."""
    known = {f"NEXUS_{name.upper()}" for name in Config.model_fields} | {FILE_SETTING}
    assert set(re.findall(r"\bNEXUS_[A-Z0-9_]+\b", path.read_text("utf-8"))) <= known


@pytest.mark.parametrize("settings", [of_compose(), of_kubernetes()], ids=["compose", "kubernetes"])
def test_all_that_a_house_needs_is_set(settings: dict[str, str]) -> None:
    """Nothing is missing, and nothing more is said than is needed."""
    assert set(settings) == NEEDED


def test_the_settings_of_compose_are_a_configuration(tmp_path: Path) -> None:
    """With env.example filled in a start would take them; every variable is in it, and is asked for."""
    loaded = load(of_compose(), None).config
    assert isinstance(loaded.database, PostgresPlace)
    asked = set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text("utf-8")))
    assert re.findall(r"\$\{\w+\}|\$\{\w+:-", (DEPLOY / "compose.yaml").read_text("utf-8")) == []
    assert asked == set(example())


def test_the_placeholders_of_the_secret_start_nothing() -> None:
    """The manifests are a configuration once the secret is somebody's own."""
    settings = of_kubernetes()
    with pytest.raises(ConfigurationError, match="NEXUS_SIGNING_SECRET"):
        load(settings, None)
    own = {name: value.replace("...", "x" * 32) for name, value in settings.items()}
    assert load(own, None).config.objects == "s3"


def test_compose_names_what_it_has() -> None:
    """Hosts in addresses are services, volumes are declared, the servers are alike, and each may write little."""
    found = compose()
    services = found["services"]
    for name, service in services.items():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in found["volumes"] or (DEPLOY / source).exists() or source == "./tls", volume
        needed = service.get("depends_on", ())
        assert set(needed) <= set(services), name
    hosts = {url.split("@")[-1].split(":")[0].removeprefix("http://") for url in of_compose().values()}
    assert {"postgres", "weaviate"} <= hosts
    for value in of_compose().values():
        if inside := re.match(r"(?:http|postgresql)://(?:[^@/]*@)?([\w-]+):\d+", value):
            assert inside[1] in services
    assert services["server-1"] == services["server-2"]
    for name in (*SERVERS, "migrate"):
        service = services[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert f"uid={IDENTITY}" in " ".join(service["tmpfs"])
        assert (ROOT / "docs" / "deploy" / service["build"]["context"]).resolve() == ROOT
        assert (ROOT / service["build"]["dockerfile"]).exists()
    assert services["proxy"]["read_only"] is True


def test_versions_agree() -> None:
    """Images are those that are built, and those of the servers that the tests run."""
    services = compose()["services"]
    assert services["server-1"]["image"] == f"nexus-graph:{VERSION}"
    images = {each["image"].rpartition("/")[2] for pod in pods().values() for each in pod["containers"]}
    assert images == {f"nexus-graph:{VERSION}"}
    bases = {rest.partition(" ")[0] for word, rest in instructions() if word == "FROM"}
    assert len(bases) == 1
    assert re.fullmatch(r"docker\.io/library/python:3\.11\.\d+-slim-\w+", bases.pop())
    assert services["seaweedfs"]["image"].endswith(f":{seaweedfs.VERSION}")
    weaviate = re.search(
        r"weaviate-server-v([\d.]+)\"", (ROOT / "tests" / "servers" / "weaviate.py").read_text("utf-8")
    )
    assert weaviate is not None
    assert services["weaviate"]["image"].endswith(f":{weaviate[1]}")
    for service in services.values():
        assert re.search(r":\d+\.\d+", service["image"]), service["image"]


def test_ports_agree() -> None:
    """The program listens where the image, the manifests, the proxy and the scraper expect it."""
    port = of_compose()["NEXUS_PORT"]
    assert of_kubernetes()["NEXUS_PORT"] == port
    assert instruction("EXPOSE") == port
    assert f"NEXUS_PORT={port}" in " ".join(rest for word, rest in instructions() if word == "ENV")
    [container] = pods()["Deployment"]["containers"]
    assert [each["containerPort"] for each in container["ports"]] == [int(port)]
    assert manifest("Service")["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    proxy = (DEPLOY / "nginx.conf").read_text("utf-8")
    assert re.findall(r"server (server-\d):(\d+)", proxy) == [(name, port) for name in SERVERS]
    [scraped, _] = documents("prometheus.yaml")[0]["scrape_configs"]
    assert scraped["static_configs"][0]["targets"] == [f"{name}:{port}" for name in SERVERS]
    listening = {f"{each}:{each}" for each in re.findall(r"listen (\d+)", proxy)}
    assert listening == set(compose()["services"]["proxy"]["ports"])


def test_nobody_is_killed_who_still_ends() -> None:
    """Each way to stop a server waits longer than `serve` takes for what is under way."""
    pod = pods()["Deployment"]
    [container] = pod["containers"]
    [command, seconds] = container["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    assert pod["terminationGracePeriodSeconds"] >= int(seconds) + GRACE_SECONDS + 5
    assert int(compose()["services"]["server-1"]["stop_grace_period"].removesuffix("s")) >= GRACE_SECONDS + 5
    server = unit("nexus-graph@.service")
    assert int(server["TimeoutStopSec"]) >= GRACE_SECONDS + 5
    update = manifest("Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert update == {"maxUnavailable": 0, "maxSurge": 1}
    assert manifest("Deployment")["spec"]["replicas"] == 2
    assert manifest("PodDisruptionBudget")["spec"]["minAvailable"] == 1


@pytest.mark.parametrize("kind", ["Job", "Deployment", "CronJob"])
def test_a_pod_may_do_little(kind: str) -> None:
    """Not root, nothing to write but its own folders, no capability, bounded memory, settings from both objects."""
    pod = pods()[kind]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert instruction("USER") == f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    [container] = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    assert [next(iter(each.values()))["name"] for each in container["envFrom"]] == ["nexus-graph", "nexus-graph"]
    mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    assert {"/data", "/tmp"} <= set(mounts)  # noqa: S108 - the container's
    assert set(mounts.values()) == {each["name"] for each in pod["volumes"]}
    folder = Path(of_kubernetes()["NEXUS_ERASURE_LEDGER"]).parent.as_posix()
    assert kind == "Job" or folder in mounts


def test_selectors_find_the_pods() -> None:
    """Service, budget and deployment mean the same pods."""
    deployment = manifest("Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == labels
    assert manifest("Service")["spec"]["selector"] == labels
    assert manifest("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels


def test_the_manifests_are_what_kubernetes_takes() -> None:
    """By its own schemas, strictly."""
    why = "its schemas are 22 MB; `pip install kubernetes-validate` brings them"
    validator = pytest.importorskip("kubernetes_validate", reason=why)
    for each in manifests():
        validator.validate(each, validator.latest_version(), strict=True)


def test_probes_answer(installed: Folder) -> None:
    """Every path that something probes answers 200 in a real server; the image's own check tells who lives."""
    [container] = pods()["Deployment"]["containers"]
    paths = {container[each]["httpGet"]["path"] for each in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert paths == {"/healthz", "/readyz"}
    check = instruction("HEALTHCHECK").partition("CMD ")[2]
    assert "/healthz" in check
    command = [sys.executable, *json.loads(check)[1:]]
    with served(installed) as address:
        for path in paths:
            assert httpx.get(f"{address}{path}", trust_env=False).status_code == 200
        port = address.rpartition(":")[2]
        run(*command, env={**os.environ, "NEXUS_PORT": port})
    done = subprocess.run(command, env={**os.environ, "NEXUS_PORT": port}, capture_output=True, check=False)
    assert done.returncode != 0


@pytest.mark.long
def test_the_steps_of_the_containerfile_make_a_program(tmp_path: Path) -> None:
    """Each RUN and COPY, in order, in folders of the test's own; in the end the program runs and no installer is left.

    The base image is this machine's Python; users are not changed where the tests are not run by root.
    """
    python = shutil.which("python3.11")
    assert python is not None
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(python)
    places = {"/opt/nexus-graph": tmp_path / "opt", "/source": tmp_path / "source", "/data": tmp_path / "data"}

    def here(text: str) -> str:
        for told, place in places.items():
            text = re.sub(rf"(?<![\w/]){told}\b", str(place), text)
        return text if os.geteuid() == 0 else text.replace(f"-o {IDENTITY} -g {IDENTITY}", "")

    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    folder, ran = tmp_path, 0
    for word, rest in instructions():
        if word == "WORKDIR":
            folder = Path(here(rest))
            folder.mkdir(exist_ok=True)
        elif word == "COPY" and not rest.startswith("--from"):
            *sources, target = rest.split()
            for source in sources:
                place = folder / (Path(source).name if target == "./" else target)
                copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
                copy(ROOT / source, place)
        elif word == "RUN":
            run("sh", "-c", here(rest), cwd=folder, env=environment)
            ran += 1
    assert ran == 5
    made = tmp_path / "opt" / "bin"
    assert json.loads(instruction("ENTRYPOINT")) == ["nexus-graph"]
    told = run(made / "nexus-graph", "schema", cwd=tmp_path)
    assert told == (ROOT / "schema" / "nexus.graphql").read_text("utf-8")
    assert json.loads(instruction("CMD"))[0] in run(made / "nexus-graph", "--help", cwd=tmp_path)
    assert subprocess.run([made / "python", "-m", "pip"], capture_output=True, check=False).returncode != 0
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_the_image_takes_no_more_than_it_needs() -> None:
    """What is copied is let through to the builder, and nothing else is."""
    lines = (DEPLOY / "Containerfile.dockerignore").read_text("utf-8").split()
    assert lines[0] == "*"
    copied = {
        source
        for word, rest in instructions()
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert {line[1:] for line in lines if line.startswith("!")} == copied
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*wheel["force-include"], *wheel["packages"], "README.md", "pyproject.toml"} <= copied


def test_units_are_what_systemd_takes(tmp_path: Path) -> None:
    """By its own verification, with the program of this environment; the check's file lies where the scraper looks."""
    command = shutil.which("systemd-analyze")
    if command is None:
        pytest.skip("there is no systemd-analyze on this machine; systemd brings it")
    program_here = Path(sys.executable).parent / "nexus-graph"
    for path in sorted((DEPLOY / "systemd").iterdir()):
        text = path.read_text("utf-8").replace("/opt/nexus-graph/bin/nexus-graph", str(program_here))
        (tmp_path / path.name.replace("@", "@8301")).write_text(text)
        (tmp_path / path.name).write_text(text)
    units = sorted(path for path in tmp_path.iterdir() if "@." not in path.name)
    assert run(command, "verify", "--man=no", *units) == ""


@pytest.mark.parametrize("name", ["nexus-graph@.service", "nexus-graph-migrate.service", "nexus-graph-check.service"])
def test_units_are_hardened_alike(name: str) -> None:
    """Each runs as the same user, sees a read-only system, gains nothing, and starts a command that there is."""
    own, server = unit(name), unit("nexus-graph@.service")
    for key in ("User", "NoNewPrivileges", "ProtectSystem", "CapabilityBoundingSet", "SystemCallFilter", "PrivateTmp"):
        assert own[key] == server[key], key
    assert server["ProtectSystem"] == "strict"
    _, command, *options = shlex.split(own["ExecStart"].replace("%i", "8301"))
    __main__.real(command).make_context(command, options)  # raises what it would complain of


def exported(text: str) -> set[str]:
    """The names of all series that a page may have, with samples yet or without."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",)}
    names = set()
    for family in text_string_to_metric_families(text):
        names |= {each.name for each in family.samples}
        names |= {family.name + suffix for suffix in suffixes.get(family.type, ("",))}
    return names


WORDS = {"sum", "min", "max", "count", "by", "rate", "increase", "changes", "absent", "time", "offset", "and", "or"}
WORDS |= {"histogram_quantile", "min_over_time"}
"""Words of the rules' language that the rules use."""


def series(expression: str) -> set[str]:
    """The names of the series of an expression."""
    text = re.sub(r"\b(by|without)\s*\([^)]*\)", "", re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"", "", expression))
    return set(re.findall(r"(?<![\w.])[a-zA-Z_:][\w:]*", text)) - WORDS


def rules() -> list[Any]:
    """Every alert."""
    return [each for group in documents("alerts.yaml")[0]["groups"] for each in group["rules"]]


def test_alerts_look_at_what_is_exported(installed: Folder) -> None:
    """Every series of a rule is one of a real server's page, of the check's file, or the scraper's own."""
    token = tomllib.loads((installed.path / "nexus.toml").read_text())["metrics_token"]
    installed.good("check", "--metrics", "nexus_check.prom")
    known = {"up"} | exported((installed.path / "nexus_check.prom").read_text())
    with served(installed) as address:
        page = httpx.get(f"{address}/metrics", headers={"Authorization": f"Bearer {token}"}, trust_env=False)
    assert page.status_code == 200
    known |= exported(page.text)
    for rule in rules():
        assert series(rule["expr"]), rule
        assert series(rule["expr"]) <= known, rule["alert"]
    page_told = (DEPLOY / "monitoring.md").read_text("utf-8")
    assert set(re.findall(r"`(NexusGraph\w+)`", page_told)) == {rule["alert"] for rule in rules()}
    assert set(re.findall(r"`(nexus_check_\w+)`", page_told)) <= known


def test_a_series_that_is_not_there_would_be_seen() -> None:
    """Names are found among functions, labels, ranges and numbers."""
    assert series('sum by (le) (rate(made_up{x="y"}[5m])) > 0.5 * time() or absent(other)') == {"made_up", "other"}


def test_alerts_name_codes_and_gates_that_there_are() -> None:
    """Outcomes and gates of the rules are those that the program tells."""
    codes = {each.code for each in vars(errors).values() if isinstance(each, type) and hasattr(each, "code")}
    told = {"outcome": {*codes, "INTERNAL", "OK"}, "gate": {*(gate.value for gate in Gate), NO_GATE}}
    for label, known in told.items():
        for rule in rules():
            for values in re.findall(rf'{label}=~?"([^"]+)"', rule["expr"]):
                assert set(values.split("|")) <= known, rule["alert"]


def test_prometheus_takes_the_rules_and_their_tests(tmp_path: Path) -> None:
    """The commands of monitoring.md, and the scraper's own file."""
    promtool = program("promtool", "deploy", "/usr/bin/promtool")
    page = (DEPLOY / "monitoring.md").read_text("utf-8")
    commands = re.findall(r"^promtool (.+)$", page, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        assert "SUCCESS" in run(promtool, *command.split(), cwd=DEPLOY)
    for name in ("prometheus.yaml", "alerts.yaml"):
        shutil.copy(DEPLOY / name, tmp_path)
    (tmp_path / "metrics-token").write_text("token")
    assert "SUCCESS" in run(promtool, "check", "config", "prometheus.yaml", cwd=tmp_path)


def test_roles_are_made_as_the_page_says() -> None:
    """The statements of docs/postgres.md, with passwords from the environment."""
    text = (DEPLOY / "roles.sql").read_text("utf-8")
    made = re.findall(r"^((?:create role|grant) .*);$", text, re.MULTILINE)
    assert [re.sub(r":'\w+'", "'...'", each) for each in made] == ROLES


@pytest.mark.servers
def test_a_fresh_server_becomes_that_of_the_house() -> None:
    """psql makes the roles and the database as the image does at its first start; then the schema is made."""
    folder = Path(tempfile.mkdtemp(prefix="nexus-roles-"))  # one that the server's user can reach
    try:
        with postgres_server(folder) as server:
            server.sql("drop role nexus_app, nexus_doors, nexus_owner")
            passwords = {"OWNER_PASSWORD": "it's the owner's", "APPLICATION_PASSWORD": "the application's"}
            where = ("-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-X")
            run(programs() / "psql", *where, "-f", DEPLOY / "roles.sql", env={**os.environ, **passwords})
            assert migrate(server.place("nexus")) == newest()
            verify = (
                "select count(*) from pg_authid where rolname in ('nexus_owner', 'nexus_app') and rolpassword <> ''"
            )
            assert server.sql(verify) == "2"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
