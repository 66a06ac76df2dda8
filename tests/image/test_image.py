"""What the agent's image holds, and above all what it does not."""

import hashlib
import io
import json
import os
import re
import ssl
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from agent_image import base_image, build, wheels
from agent_image.base_image import ImageUnavailable, Source

Files = list[tuple[str, bytes]]
Folders = pytest.TempPathFactory
HARDENED = {
    "user": "1000:1000",
    "read_only": True,
    "network_mode": "none",
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "init": True,
    "ipc_mode": "none",
    "tmpfs": {"/tmp": "mode=1777", "/home/agent": "uid=1000,gid=1000,mode=700"},
    "remove": True,
}


@pytest.fixture(scope="module")
def layers(
    docker_client: docker.DockerClient, agent_image: str, tmp_path_factory: Folders
) -> Files:
    """(name, content) of every file in every layer, and of the image's own metadata, as
    `docker save` gives them; a link's content is its target."""
    saved = tmp_path_factory.mktemp("saved") / "image.tar"
    with saved.open("wb") as out:
        for chunk in docker_client.images.get(agent_image).save(named=True):
            out.write(chunk)
    found = []
    with tarfile.open(saved) as image:
        for part in (entry for entry in image if entry.isfile()):
            packed = image.extractfile(part)
            assert packed is not None
            content = io.BytesIO(packed.read())
            if not tarfile.is_tarfile(content):
                found.append((part.name, content.getvalue()))
                continue
            content.seek(0)
            with tarfile.open(fileobj=content) as layer:
                for entry in (entry for entry in layer if not entry.isdir()):
                    stream = layer.extractfile(entry) if entry.isreg() else None
                    name = entry.name.removeprefix("./")
                    found.append((name, stream.read() if stream else entry.linkname.encode()))
    saved.unlink()
    return found


def holding(layers: Files, needles: dict[str, bytes]) -> list[tuple[str, str]]:
    """(what, file) for each needle that a file of the image holds."""
    return [
        (what, name)
        for name, content in layers
        for what, needle in needles.items()
        if needle in content
    ]


def test_the_search_finds_what_is_there(layers: Files) -> None:
    source = (build.PROJECT / "nips/event.py").read_bytes()
    assert ("event", "opt/agent/nips/event.py") in holding(layers, {"event": source})


def registries() -> dict[str, bytes]:
    """Every address that this machine fetches packages from."""
    own = [source.uri for source in base_image._own_sources(Path("/etc/apt"))]
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True
    ).stdout
    told = [value for key, value in os.environ.items() if key.startswith(("PIP_", "UV_"))]
    found = re.findall(r"[a-z+]+://[^\s'\"]+", "\n".join([*own, listed, *told]))
    return {url: url.encode() for url in found}


def as_packaged(layers: Files) -> set[bytes]:
    """The digests of files that are byte for byte a Debian package's own."""
    listed = (content for name, content in layers if name.endswith(".md5sums"))
    return {line.split()[0] for content in listed for line in content.splitlines()}


def test_no_layer_names_a_package_registry(layers: Files) -> None:
    packaged = as_packaged(layers)
    assert len(packaged) > 1000
    own = [f for f in layers if hashlib.md5(f[1]).hexdigest().encode() not in packaged]
    assert holding(own, registries()) == []
    names = {name for name, _ in layers}
    assert not [n for n in names if n.startswith(("etc/apt/sources.list", "var/lib/apt/lists/"))]
    assert not [n for n in names if n.endswith(("pip.conf", "/.netrc", "resolv.conf"))]


def test_an_address_would_be_found(layers: Files) -> None:
    """The programs of apt hold Debian's own address, so the search above looks at the rest."""
    planted = [*layers, ("etc/apt/apt.conf.d/proxy", b'Acquire::http "http://here.example/";')]
    assert holding(planted, {"x": b"http://here.example/"}) == [("x", "etc/apt/apt.conf.d/proxy")]


def certificates(pem: str) -> set[bytes]:
    """The DER bytes of every certificate in a PEM text."""
    blocks = re.findall(r"-----BEGIN CERT.*?-----END CERTIFICATE-----", pem, re.DOTALL)
    return {ssl.PEM_cert_to_DER_cert(block) for block in blocks}


def test_the_image_trusts_only_debians_certificates(layers: Files) -> None:
    """Attack: a builder's own authority in the image could read what an agent sends."""
    files = dict(layers)
    sums = files["var/lib/dpkg/info/ca-certificates.md5sums"].decode()
    packaged = set()
    for line in sums.splitlines():
        digest, name = line.split()
        if name.startswith("usr/share/ca-certificates/"):
            assert hashlib.md5(files[name]).hexdigest() == digest, name
            packaged |= certificates(files[name].decode())
    assert len(packaged) > 100
    trusted = set()
    for name, content in files.items():
        if name.startswith("etc/ssl/certs/") and content.startswith(b"-----BEGIN"):
            trusted |= certificates(content.decode())
    assert trusted
    assert trusted <= packaged
    assert not [n for n in files if n.startswith("usr/local/share/ca-certificates/")]


def test_no_layer_holds_an_authority_of_the_host(layers: Files) -> None:
    places = [Path("/usr/local/share/ca-certificates"), Path("/etc/ssl/certs")]
    texts = [
        path.read_text("ascii", "replace")
        for place in places
        for path in place.rglob("*")
        if path.is_file() and path.suffix in (".crt", ".pem", ".0")
    ]
    host = set().union(*map(certificates, texts))
    files = dict(layers)
    debian = set()
    for name, content in files.items():
        if name.startswith("usr/share/ca-certificates/mozilla/"):
            debian |= certificates(content.decode())
    foreign = {f"authority {n}": der for n, der in enumerate(sorted(host - debian))}
    as_text = {
        f"{n} as text": ssl.DER_cert_to_PEM_cert(d).strip().encode() for n, d in foreign.items()
    }
    assert holding(layers, foreign | as_text) == []


def test_no_layer_knows_the_host_or_a_secret(layers: Files) -> None:
    needles = {"project": os.fsencode(build.PROJECT), "python": os.fsencode(sys.prefix)}
    for key, value in os.environ.items():
        if re.search(r"TOKEN|SECRET|PASSW|API_KEY|NSEC", key) and len(value) > 7:
            needles[key] = value.encode()
    assert holding(layers, needles) == []


def test_of_our_code_only_what_the_agent_imports(layers: Files) -> None:
    ours = {
        name.split("/")[2]: name
        for name, _ in layers
        if name.startswith("opt/agent/") and name.count("/") > 2
    }
    packages = {name for name in ours if "dist-info" not in name}
    assert {"nips", "relay_local", "agent_image"} <= packages
    assert not packages & {"signer", "bot", "config", "tests", "bench", "docs", "data"}
    inside = {name for name, _ in layers}
    for package, kept in (("relay_local", "client"), ("agent_image", "agent")):
        alien = rf"opt/agent/{package}/(__pycache__/)?(?!__pycache__|__init__|{kept}\b)\w+"
        assert not [name for name in inside if re.match(alien, name)]


def packed(site: Path, project: Path = build.PROJECT) -> bytes:
    out = io.BytesIO()
    build.context(out, site, project)
    return out.getvalue()


def test_secrets_beside_the_sources_are_left_out(tmp_path: Path) -> None:
    """Attack: a key lies in the project's folder when the image is built."""
    project, site = tmp_path / "project", tmp_path / "site"
    secret = b"nsec1thisisnotforanybody"
    kept = [*build.own_sources(), *(build.PROJECT / "agent_image" / n for n in build.RECIPE)]
    for path in kept:
        target = project / path.relative_to(build.PROJECT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    usual = packed(site, project)
    hidden = ("data/keys/relay", ".env", "signer/key", "nips/__pycache__/event.pyc", "bot/x.py")
    for name in hidden:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_bytes(secret)
    (project / "nips/link.py").symlink_to(project / "data/keys/relay")
    assert packed(site, project) == usual
    assert secret not in usual


def test_the_tag_follows_every_input(tmp_path: Path) -> None:
    for path in [*build.own_sources(), *(build.PROJECT / "agent_image" / n for n in build.RECIPE)]:
        target = tmp_path / path.relative_to(build.PROJECT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    first = build.tag(project=tmp_path)
    assert first == build.tag()
    seen = {first, build.tag(project=tmp_path, suite="trixie")}
    seen.add(build.tag(project=tmp_path, base="python:3.13-slim"))
    for name in ("nips/event.py", "agent_image/Dockerfile", "agent_image/requirements.lock"):
        with (tmp_path / name).open("a") as changed:
            changed.write("\n# one more line\n")
        seen.add(build.tag(project=tmp_path))
    assert len(seen) == 6


def test_the_context_is_the_same_bytes_whenever_it_is_made(tmp_path: Path) -> None:
    (tmp_path / "b.py").write_text("b")
    (tmp_path / "a.py").write_text("a")
    first = packed(tmp_path)
    os.utime(tmp_path / "a.py", (1, 1))
    assert packed(tmp_path) == first
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        assert {(m.uid, m.gid, m.mtime) for m in tar} == {(0, 0, build.EPOCH_S)}


def test_a_present_image_is_not_built_again(
    docker_client: docker.DockerClient, agent_image: str, tmp_path: Path
) -> None:
    said: list[str] = []
    again = build.ensure(docker_client, announce=said.append, cache=tmp_path / "unused")
    assert (again, said) == (agent_image, [])
    assert not (tmp_path / "unused").exists()


def test_an_unknown_base_is_a_sentence(
    docker_client: docker.DockerClient, tmp_path: Path, announce: Callable[[str], None]
) -> None:
    with pytest.raises(ImageUnavailable, match="no registry gave it"):
        build.ensure(
            docker_client, announce=announce, base="localhost:1/nothing:none", cache=tmp_path
        )


def test_a_base_without_python_is_a_sentence(docker_client: docker.DockerClient) -> None:
    empty = io.BytesIO()
    with tarfile.open(fileobj=empty, mode="w"):
        pass
    name = "nostrclaw-empty:test"
    docker_client.api.import_image_from_data(
        empty.getvalue(), repository=name.split(":")[0], tag="test"
    )
    try:
        with pytest.raises(ImageUnavailable, match="no Python with glibc"):
            wheels.ask(docker_client, name)
    finally:
        docker_client.images.remove(name, force=True)


def test_the_agents_imports_work_hardened(
    docker_client: docker.DockerClient, agent_image: str
) -> None:
    code = (
        "import asyncio, coincurve, cryptography.hazmat.primitives.ciphers, json, orjson, os, sys,"
        "websockets.asyncio.client, nips.event, relay_local.client;"
        "print(json.dumps([os.getuid(), os.getcwd(), sys.path,"
        " nips.event.__file__, os.environ['HOME']]))"
    )
    said = docker_client.containers.run(
        agent_image, ["-P", "-S", "-c", code], entrypoint="python3", **HARDENED
    )
    uid, folder, path, where, home = json.loads(said)
    assert (uid, folder, home) == (1000, "/workspace/group", "/home/agent")
    assert path[0] == "/opt/agent"
    assert not {"", ".", "/workspace/group"} & set(path)
    assert where == "/opt/agent/nips/event.py"


def test_a_file_in_the_groups_folder_is_not_imported(
    docker_client: docker.DockerClient, agent_image: str
) -> None:
    """Attack: an agent leaves json.py in its folder, to run inside the next session."""
    entry = docker_client.images.get(agent_image).attrs["Config"]["Entrypoint"]
    assert entry[-2:] == ["-m", "agent_image.agent"]
    guarded = entry[:-2]
    unguarded = [flag for flag in guarded if flag != "-P"]
    for python, expected in ((guarded, b"clean\n"), (unguarded, b"planted\nclean\n")):
        run = " ".join([*python, "-c", "'import json; print(\"clean\")'"])
        said = docker_client.containers.run(
            agent_image,
            ["-c", f"echo 'print(\"planted\")' >/tmp/json.py; cd /tmp; {run}"],
            entrypoint="sh",
            **HARDENED,
        )
        assert said == expected


def test_standard_library_is_compiled(docker_client: docker.DockerClient, agent_image: str) -> None:
    """Otherwise every container would compile it again, as none may write it down."""
    code = (
        "import asyncio, importlib.util, os, sys, nips.event, websockets.asyncio.client;"
        "bad = [m.__name__ for m in list(sys.modules.values())"
        " if (f := getattr(m, '__file__', None) or '').endswith('.py')"
        " and not os.path.exists(importlib.util.cache_from_source(f))];"
        "print(len(sys.modules) > 100, bad)"
    )
    said = docker_client.containers.run(
        agent_image, ["-P", "-S", "-c", code], entrypoint="python3", **HARDENED
    )
    assert said == b"True []\n"


def machine(folder: Path, codename: str, lists: dict[str, str]) -> Path:
    (folder / "etc/apt/sources.list.d").mkdir(parents=True)
    (folder / "etc/os-release").write_text(f"ID=debian\nVERSION_CODENAME={codename}\n")
    for name, text in lists.items():
        (folder / "etc/apt" / name).write_text(text)
    return folder


DEB822 = """Types: deb
# a comment
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main

Types: deb
URIs: https://other.example/apt
Suites: stable
Components: main
"""


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_the_machines_own_mirror_is_asked(suite: str, tmp_path: Path) -> None:
    lists = {
        "sources.list.d/debian.sources": DEB822,
        "sources.list": "# none\ndeb [arch=amd64] http://mirror.example/debian bookworm main\n"
        "deb http://third.example/debian sid main\n",
        "sources.list.d/off.sources": DEB822.replace("mirror", "off").replace(
            "Types: deb\n", "Types: deb\nEnabled: no\n"
        ),
    }
    found = list(base_image.sources(suite, machine(tmp_path, "bookworm", lists)))
    assert found == [
        Source("http://mirror.example/debian", suite, ("main",)),
        Source("http://mirror.example/debian", f"{suite}-updates", ("main",)),
        Source("http://mirror.example/security", f"{suite}-security", ("main",)),
    ]


def test_a_machine_that_is_not_debian_offers_no_mirror(tmp_path: Path) -> None:
    lists = {"sources.list": "deb http://mirror.example/debian bookworm main\n"}
    assert list(base_image.sources("bookworm", machine(tmp_path, "noble", lists))) == []


def test_wheels_fit_the_image_not_the_host() -> None:
    arm = wheels.Target((3, 13), "aarch64", 41).platforms()
    assert arm[0] == "manylinux_2_41_aarch64"
    assert "manylinux2014_aarch64" in arm
    assert not [tag for tag in arm if "x86" in tag or "2010" in tag]
    assert "manylinux1_x86_64" in wheels.Target((3, 11), "x86_64", 36).platforms()


def test_the_images_lock_asks_nothing_of_the_host() -> None:
    """pip would read a marker for the machine it runs on, which need not be the image's."""
    lines = wheels.LOCK.read_text("utf-8").splitlines()
    pinned = [line for line in lines if re.match(r"^\w", line)]
    assert len(pinned) > 3
    assert not [line for line in pinned if ";" in line]


def test_what_both_locks_name_is_one_version() -> None:
    """The agent's own code is tested on the host, with what the host has."""
    ours = pins(build.PROJECT / "requirements.lock")
    theirs = pins(wheels.LOCK)
    assert {
        "orjson",
        "websockets",
        "coincurve",
        "cryptography",
        "h11",
    } <= ours.keys() & theirs.keys()
    assert {n: v for n, v in theirs.items() if v != ours.get(n, v)} == {}


def pins(lock: Path) -> dict[str, str]:
    found = re.findall(r"^([a-z0-9-]+)==([^ ;]+)", lock.read_text("utf-8"), re.MULTILINE)
    return dict(found)


def test_the_program_for_claude_runs_hardened(
    docker_client: docker.DockerClient, agent_image: str
) -> None:
    said = docker_client.containers.run(
        agent_image, ["--version"], entrypoint="/opt/claude/claude", **HARDENED
    )
    assert b"Claude Code" in said
    code = "import claude_agent_sdk as s, pathlib; print(pathlib.Path(s.__file__).parent)"
    said = docker_client.containers.run(
        agent_image, ["-P", "-S", "-c", code], entrypoint="python3", **HARDENED
    )
    assert said == b"/opt/agent/claude_agent_sdk\n"
