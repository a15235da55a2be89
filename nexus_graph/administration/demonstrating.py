"""`demo`: the whole river on real files, through the front door, in an empty folder."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from nexus_graph import assets, atoms, cards
from nexus_graph.administration import approving, console
from nexus_graph.administration.client import Client
from nexus_graph.administration.console import Ticker
from nexus_graph.administration.directory import development_token
from nexus_graph.administration.installing import install
from nexus_graph.administration.serving import event_loops, listen, served
from nexus_graph.api.house import House
from nexus_graph.app import following, open_house
from nexus_graph.config import Config
from nexus_graph.safeguards import Resource
from nexus_graph.scope.canonical import digest, sha256
from nexus_graph.scope.errors import ConfigurationError, Conflict, Unavailable
from nexus_graph.scope.ids import new_id
from nexus_graph.scope.resources import resource
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.migrations import migrate
from nexus_graph.stores.paging import Window
from nexus_graph.stores.work import Stores
from nexus_graph.tenants import keys, membership

ENV = "dev"
TENANTS = {"t_acme": "acme", "t_globex": "globex"}
ROLES = ("owner", "admin", "member")
AGENT = "demo agent"
FOLLOW_SECONDS = 20


class Ids:
    """Fresh ids; those of raw files are counted, so that every demo, on whatever engine, ends in the same pack."""

    def __init__(self) -> None:
        self._assets = 0

    def __call__(self, prefix: str) -> str:
        """As `new_id`, but for raw files."""
        if prefix != "asset":
            return new_id(prefix)
        self._assets += 1
        return f"asset_{digest(['demo', self._assets])[:32]}"

    async def go_on(self, stores: Stores) -> None:
        """Count on from those that an earlier start kept."""
        for tenant in TENANTS:
            async with stores.read(console.operator(tenant, ENV)) as read:
                held = (await assets.held(read))[Resource.ASSETS]
            self._assets += held.used + held.reserved


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the pack instead of serving on.")] = False,
    port: Annotated[int | None, typer.Option(help="Port to listen on, instead of NEXUS_PORT.")] = None,
) -> None:
    """Two tenants, real files, atoms, cards, a pack and its live log, in this folder; then serves until interrupted."""

    async def deed() -> None:
        install(Path())
        config = console.settings(port=0 if once and port is None else port, log_level="warning").config
        bound = listen(config)
        config = config.model_copy(update={"port": bound.getsockname()[1]})
        with console.progress() as tick:
            tick("Preparing the database")
            migrate(config.database)
            tick("Loading the embedder")
            ids = Ids()
            async with open_house(config, new_id=ids) as house, following(house), served(house, bound) as serving:
                await ids.go_on(house.stores)
                tokens = await _story(house, tick)
                _tell_address(config, tokens)
                if not once:
                    console.say("Serving. Press Ctrl-C to stop.")
                    await serving

    console.run(deed(), event_loops())


async def _story(house: House, tick: Ticker) -> dict[str, str]:
    credentials: dict[str, str] = {}
    for tenant, folder in TENANTS.items():
        found = await _people(house, tenant, folder)
        credentials |= {f"{tenant} {who}": secret for who, secret in found.items()}
        owner, admin = (Client(house.config.address, tenant, ENV, found[who]) for who in ("owner", "admin"))
        try:
            source = resource("core") / "demo" / folder
            await _fill(owner, admin, source, folder, tick)
            if (source / "change").is_dir():
                texts = [(source / "change" / f"{when}.md").read_text("utf-8") for when in ("before", "after")]
                await approving.change_settings(owner, admin, *texts)
        finally:
            await owner.close()
            await admin.close()
    question = yaml.safe_load((resource("core") / "demo" / "acme" / "questions.yaml").read_text("utf-8"))["questions"][
        0
    ]
    agent = Client(house.config.address, "t_acme", ENV, credentials["t_acme agent"])
    try:
        await _research(agent, question["question"])
    finally:
        await agent.close()
    return credentials


async def _people(house: House, tenant: str, folder: str) -> dict[str, str]:
    """An owner, an admin, a member and a fresh agent key; returns their credentials."""
    scope = console.operator(tenant, ENV)
    with suppress(Conflict):  # a second start goes on with the same tenant
        await membership.create_tenant(house.stores, scope, folder.capitalize())
    credentials = {}
    for role in ROLES:
        subject = f"{role}@{folder}.example"
        await membership.set_member(house.stores, scope, subject, role)
        credentials[role] = development_token(house.config, subject, timedelta(hours=12))
    await _end_earlier_keys(house, scope)
    _, credentials["agent"] = await keys.create_key(house.stores, scope, AGENT, 1)
    return credentials


async def _end_earlier_keys(house: House, scope: Scope) -> None:
    # A key's text is shown once and not kept, so every start makes its own.
    for key in (await keys.keys(house.stores, scope, Window(100))).items:
        if key.name == AGENT and key.revoked_at is None:
            await keys.revoke_key(house.stores, scope, key.key_id)


async def _fill(owner: Client, admin: Client, folder: Path, name: str, tick: Ticker) -> None:
    files = sorted((folder / "raw").iterdir())
    places: dict[str, _Cited] = {}
    rows = []
    for path in files:
        tick(f"{name}: raw files to atoms", total=len(files))
        asset_id = await _upload(owner, path)
        derived = await owner.ask("ingest/DeriveAtoms", {"id": asset_id})
        places[path.name] = _Cited(asset_id, await _atoms(owner, asset_id))
        rows.append([path.name, derived["op"], f"{derived['atoms']} atoms"])
    console.say(f"\n{name}: {len(files)} raw files")
    console.table(["file", "recipe", "atoms"], rows)
    texts = sorted((folder / "cards").iterdir())
    written = {path.name: {"text": cited(path.read_text("utf-8"), places), "trainOk": True} for path in texts}
    await approving.allow_settings(owner, admin, name, [*written.values()])
    new = 0
    for path in texts:
        tick(f"{name}: cards", total=len(texts))
        published = await owner.ask("ingest/PublishCard", written[path.name])
        if published["indexState"] != "INDEXED":
            raise Unavailable(f"{path.name} is {published['indexState']}, not INDEXED.")
        new += published["changed"]
    console.say(f"{name}: {len(texts)} cards published and indexed, {new} of them new")


async def _upload(owner: Client, path: Path) -> str:
    data = await asyncio.to_thread(path.read_bytes)
    declared = {
        "filename": path.name,
        "contentType": atoms.content_type_of(path.name),
        "sizeBytes": len(data),
        "sha256": sha256(data),
        "trainOk": True,
        "sourceRef": f"core/demo/{path.name}",
    }
    reserved = await owner.ask("ingest/ReserveAsset", {"input": declared})
    asset_id: str = reserved["asset"]["id"]
    if reserved["upload"]:
        await owner.send(reserved["upload"], data)
        await owner.ask("ingest/SealAsset", {"id": asset_id})
    return asset_id


async def _atoms(owner: Client, asset_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = None
    while True:
        connection = (await owner.ask("ingest/AssetAtoms", {"id": asset_id, "after": after}))["atoms"]
        found += [edge["node"] for edge in connection["edges"]]
        if not connection["pageInfo"]["hasNextPage"]:
            return found
        after = connection["pageInfo"]["endCursor"]


class _Cited:
    """A raw file that cards may cite, and where in it."""

    def __init__(self, asset_id: str, atoms: list[dict[str, Any]]) -> None:
        self.asset_id = asset_id
        self._atoms = atoms

    def at(self, place: str) -> str:
        """The id for a place (see core/demo/README.md): the atom there, or the asset for none."""
        if not place:
            return self.asset_id
        found = next((str(atom["id"]) for atom in self._atoms if self._is_at(atom, place)), None)
        if found is None:
            raise ConfigurationError(f"The installation is damaged: no atom of a demo file is at {place}.")
        return found

    @staticmethod
    def _is_at(atom: dict[str, Any], place: str) -> bool:
        name, _, number = place.partition("=")
        if name in ("page", "row") and number.isdecimal():
            header = name == "row"  # a recipe counts the record of names as row 1, a cite does not count it
            return bool(atom["span"][name] == int(number) + header)
        if place.startswith("/"):
            pointer = atom["span"]["pointer"]
            return pointer is not None and (f"{place}/".startswith(f"{pointer}/") or pointer.startswith(f"{place}/"))
        return str(atom["text"].partition("\n")[0]).lstrip("# ").strip() == place


def cited(text: str, places: dict[str, _Cited]) -> str:
    """A demo card's text with its `cites` turned into `artifact_refs`."""
    refs = []
    for cite in cards.parse(text).header.get("cites", ()):  # type: ignore[union-attr]
        file, _, place = str(cite).partition("#")
        refs.append(places[file].at(place))
    return text.replace("---\n", f"---\nartifact_refs: [{', '.join(dict.fromkeys(refs))}]\n", 1) if refs else text


async def _research(agent: Client, question: str) -> None:
    console.say(f"\nAn agent asks: {question}")
    run = (await agent.ask("agent/OpenRun", {"title": "Demo research"}))["run"]
    live = asyncio.create_task(_print_log(agent, run["id"]))
    ask = {"text": question, "k": 5, "excerpt": {"rule": "BEST_CHUNK"}}
    pack = await agent.ask("agent/RequestPack", {"ask": ask}, run_id=run["id"])
    again = await agent.ask("agent/RequestPack", {"ask": ask}, run_id=run["id"])
    await agent.ask("agent/AppendRunLog", {"runId": run["id"], "text": "Read the pack; done."})
    await agent.ask("agent/CloseRun", {"runId": run["id"], "status": "SUCCEEDED"})
    async with asyncio.timeout(FOLLOW_SECONDS):
        await live
    console.say("\nThe influence pack:")
    for ref in pack["refs"]:
        version = ref["version"]
        console.say(f"  {ref['rank']}. {ref['score']:.6f}  {version['title']}  ({version['id']})")
        console.say(f"     {ref['excerpt']['text'][:160].replace(chr(10), ' ').strip()} ...")
        for artifact in version["artifacts"]:
            source = artifact if artifact["__typename"] == "Asset" else artifact["asset"]
            console.say(f"     rests on {source['filename']} ({artifact['id'][:24]})")
    proof = await agent.ask("agent/VerifyPack", {"id": pack["id"]})
    holds = proof["verification"]["holds"] and again["digest"] == pack["digest"]
    console.say(f"pack digest {pack['digest']}")
    console.say(
        f"verified: {'yes' if holds else 'NO'}; asked twice, the same pack: {again['digest'] == pack['digest']}"
    )
    if not holds:
        raise Unavailable("The pack does not verify.")


async def _print_log(agent: Client, run_id: str) -> None:
    async with agent.follow("dashboard/FollowRun", {"runId": run_id, "after": None}) as frames:
        async for frame in frames:
            if frame["__typename"] == "RunLogEntry":
                item = frame["entry"]
                console.say(f"  live  {item['number']:>2}  {item['at']}  {item['type']}  {item['actor']['kind']}")
            elif frame["__typename"] == "RunLogEnd":
                console.say(f"  live  the run ended: {frame['status']}")


def _tell_address(config: Config, credentials: dict[str, str]) -> None:
    console.say(f"\nGraphQL at {config.address}/graphql (websocket: the same address, graphql-transport-ws)\n")
    for who, secret in credentials.items():
        console.say(f"{who}: {secret}")
    console.say("\nTry:")
    console.say(
        f"curl -s {config.address}/graphql -H 'Content-Type: application/json' \\\n"
        f"  -H 'X-Nexus-Tenant: t_acme' -H 'X-Nexus-Env: {ENV}' \\\n"
        f"  -H 'Authorization: Bearer {credentials['t_acme agent']}' \\\n"
        """  -d '{"query": "{ influencePack(ask: {text: \\"Who pays for a return?\\", k: 3}) """
        """{ digest refs { rank score version { title } } } }"}'"""
    )
    console.say("")
