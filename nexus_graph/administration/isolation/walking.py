"""The walk: whatever the schema takes is given what is another's, and must answer as if nobody had ever heard of it.

Nothing here names a field: what is called, and with what, is read from the schema that the server tells.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson
from graphql import GraphQLSchema

from nexus_graph.administration.isolation import addresses, steps
from nexus_graph.administration.isolation.callers import Caller
from nexus_graph.administration.isolation.model import Tally
from nexus_graph.administration.isolation.places import TENANT_WIDE, Filled, Probe, connections
from nexus_graph.administration.isolation.slots import FREE_TEXT, Call, Slot, Unclassified, slots

VOLATILE = (
    (re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+(Z|\+00:00)"), "<time>"),
    (re.compile(r"/objects/[A-Za-z0-9_.-]+"), "/objects/<token>"),
    (re.compile(r"(?i)X-Amz-[a-z]+=[^&\"]*"), "<signed>"),
    (re.compile(r'(?i)"name":"(?:policy|x-amz-[a-z0-9-]+)","value":"[^"]*"'), "<signed>"),
    (re.compile(r"nxk_[0-9a-f]{32}_[A-Za-z0-9_-]{43}"), "<key>"),
    (re.compile(r"[0-9a-f]{16,}"), "<hex>"),
    (re.compile(r'"seq":\d+|"entry_\d+"'), "<seq>"),
    (re.compile(r'"left":[0-9.]+'), "<left>"),
)
"""What differs between any two answers: times, fresh ids, signatures, digests of fresh texts, places in the journal,
what is left of a budget."""

FIND = """query Find($text: String!) {
  search(text: $text, k: 50) { hits { text version { id text artifacts { __typename } } } }
  influencePack(ask: { text: $text, k: 50 }) { content }
}"""
NO_CURSOR = "is no cursor of this list"
CARD = "query One($id: ID!) { card(id: $id) { id } }"
NEW_KEY = 'mutation { createKey(input: { name: "a key", days: 1 }) { secret userErrors { code message } } }'
SEARCH = 'query { search(text: "x") { complete } }'
LOG = "query Log($id: ID!) { run(id: $id) { entries log(first: 100) { edges { node { number type } } } } }"
VIEWER = "{ viewer { role } }"
CHANGES = """subscription Changes($surface: String!) { settingsChanged(surface: $surface) {
  __typename ... on SettingsChange { cardId } } }"""

LISTS, ARGUMENTS, HOME = "lists and searches", "values of another's in arguments", "values that mean something at home"
CREDENTIALS, HEADERS = "credentials of another's", "run headers of another's"
STREAMS, ADDRESSES = "live streams beside another's", "forged addresses of objects"


class Ticking(Protocol):
    """Told what is being done, and how much of how much is done."""

    def __call__(self, text: str, *, total: int | None = None, advance: int = 1) -> None:
        """Say so."""


def steady(text: str) -> str:
    """An answer without what differs between any two answers."""
    for pattern, mark in VOLATILE:
        text = pattern.sub(mark, text)
    return text


def shown(text: str, foreign: Filled) -> list[str]:
    """Every word, id and cursor of a foreign place in an answer."""
    return [f"shows {word}: {text:.400}" for word in sorted(foreign.canaries) if word in text]


def checked(schema: GraphQLSchema) -> list[Slot]:
    """Every argument that can name something."""
    return [slot for slot in slots(schema) if slot.leaf not in FREE_TEXT]


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk between places. Faults and counts go into the tally."""

    schema: GraphQLSchema
    places: Mapping[str, Filled]
    tally: Tally

    async def everything(self, pairs: Sequence[tuple[str, str]], only: str, tick: Ticking) -> None:
        """Every step, between the two places of each pair; `only` keeps to arguments with that in their names."""
        both = [(self.places[viewer], self.places[foreign]) for viewer, foreign in pairs]
        for here, there in both:  # before anybody has written the other's names down
            tick("Trying lists, credentials, streams and addresses", total=len(both))
            await self.lists(here, there)
            await self.credentials(here, there)
            await self.run_headers(here, there)
            await self.settings_stream(here, there)
            await self.addresses(here, there)
        chosen = [slot for slot in checked(self.schema) if only in slot.name]
        for slot in chosen:
            tick("Walking through the arguments", total=len(chosen))
            await self.at_home(both[0][1], slot)
            for here, there in both:
                await self.argument(here, there, slot)
            if slot.owner is self.schema.mutation_type:
                for filled in self.places.values():
                    await steps.withdraw(filled.caller, filled.ids["StrategyLock"])

    def judge(self, kind: str, faults: Iterable[str], tried: int = 1) -> None:
        """Count what was tried, and keep what was wrong."""
        self.tally.tried[kind] += tried
        self.tally.faults += faults

    async def argument(self, here: Filled, there: Filled, slot: Slot) -> None:
        """What is foreign answers byte for byte as what was never heard of, and shows nothing."""
        if here.place.tenant == there.place.tenant and slot.leaf in TENANT_WIDE:
            return
        try:
            for probe in there.probes(slot):
                if probe.token != here.place.tenant:  # which is no secret to its other envs
                    self.judge(ARGUMENTS, await self._probed(here, there, slot, probe))
        except Unclassified as error:
            self.judge(ARGUMENTS, [f"{slot.name} was not tried: {error}"])

    async def _probed(self, here: Filled, there: Filled, slot: Slot, probe: Probe) -> list[str]:
        real, unknown = [await self.answered(here, slot, each) for each in (probe, probe.other())]
        where = f"{slot.name} with {probe.token} of {there.place.name}"
        found = [f"{where} {fault}" for fault in shown(real, there)]
        if slot.path[-1] in ("after", "before") and NO_CURSOR not in real:
            found.append(f"{where} is taken for a cursor: {real:.400}")
        if steady(real) != steady(unknown):
            found.append(f"{where}: {real:.400} but with one never heard of: {unknown:.400}")
        return found

    async def at_home(self, home: Filled, slot: Slot) -> None:
        """The values that are tried are alive: in their own place one of them is answered otherwise."""
        try:
            probes = home.probes(slot)
            for probe in probes:
                answers = [steady(await self.answered(home, slot, each)) for each in (probe, probe.other())]
                if answers[0] != answers[1]:
                    self.judge(HOME, [])
                    return
        except Unclassified:
            return  # told by `argument`
        if probes:
            self.judge(HOME, [f"{slot.name}: what was tried means nothing at home either, so that it proves nothing"])

    async def answered(self, viewer: Filled, slot: Slot, probe: Probe) -> str:
        """The answer to a call in which only this one value is not the viewer's."""
        call = await viewer.prober(self.schema).call(slot, probe.form(probe.token))
        return (await _answer(viewer.caller, call)).replace(orjson.dumps(probe.token).decode()[1:-1], "<sent>")

    async def lists(self, here: Filled, there: Filled) -> None:
        """Every list, and a search and a pack for what the other place is about, show nothing of it."""
        calls = [
            (f"{owner.name}.{name}", await here.prober(self.schema).connection(owner, name))
            for owner, name in connections(self.schema)
        ]
        calls.append(("search and influencePack", Call("query", FIND, {"text": "The line stops when it runs dry."})))
        for name, call in calls:
            text = await _answer(here.caller, call)
            faults = [f"{name} {fault}" for fault in shown(text, there)]
            if any(empty in text for empty in ('"errors":', '"edges":[]', '"hits":[]')):
                faults.append(f"{name} says nothing, so that it proves nothing: {text:.400}")
            self.judge(LISTS, faults)

    async def credentials(self, here: Filled, there: Filled) -> None:
        """Tokens and keys are elsewhere as in a tenant, or as a key, that does not exist."""
        pairs = []
        if here.place.tenant != there.place.tenant:
            people = [each for each in there.place.people.values() if each.role != "agent"]
            pairs = [[each.in_tenant(name) for name in (here.place.tenant, "t_nobody_at_all")] for each in people]
        for key in (there.agent, there.place.people["agent"].credentials):
            unknown = key.replace(key[4:12], "0" * 8)
            pairs.append([here.caller.with_key(each) for each in (key, unknown)])
        for foreign, nobody in pairs:
            faults = []
            for ask in (_refusal, Caller.dismissal):
                found, unknown_to_all = await ask(foreign), await ask(nobody)
                if found != unknown_to_all or None in found:
                    faults.append(
                        f"credentials of a {foreign.role} of {there.place.name} in {here.place.name}: {found}, "
                        f"but where they mean nothing: {unknown_to_all}"
                    )
            self.judge(CREDENTIALS, faults)

    async def run_headers(self, here: Filled, there: Filled) -> None:
        """Naming one's own open run of another place is refused as an unknown one is, and leaves no entry there."""
        [run] = there.ids["ResearchRun"]
        before = await there.caller.data(LOG, {"id": run})
        for document, variables in ((SEARCH, {}), (CARD, {"id": here.ids["Card"][0]}), (NEW_KEY, {})):
            names = (run, Probe(run).other().token)
            answers = [await here.caller.ask(document, variables, **{"X-Nexus-Run": name}) for name in names]
            found = []
            if "No such open run" not in answers[0].text or steady(answers[0].text) != steady(answers[1].text):
                found.append(f"the header X-Nexus-Run with {run} of {there.place.name}: {answers[0].text:.400}")
            self.judge(HEADERS, found)
        if await there.caller.data(LOG, {"id": run}) != before:
            self.tally.faults.append(f"the log of {run} of {there.place.name} was written to from {here.place.name}")

    async def settings_stream(self, here: Filled, there: Filled) -> None:
        """A stream over a surface of the same name hears its own place's changes and never the other's."""
        surface, faults = f"same_{secrets.token_hex(8)}", []
        async with here.caller.stream(CHANGES, {"surface": surface}) as frames:
            await anext(frames)  # a heartbeat: the stream stands
            for each in (there, here):
                await steps.publish_settings(each.caller, each.place.approver, surface, each.place.word)
            async for frame in frames:
                if frame["__typename"] == "SettingsEnd":
                    faults.append("settingsChanged ended before its own place's change")
                    break
                if frame["__typename"] == "SettingsChange":
                    if (await here.caller.ask(CARD, {"id": frame["cardId"]})).data == {"card": None}:
                        faults.append(f"settingsChanged of {here.place.name} hears {frame['cardId']} of another place")
                    break
        self.judge(STREAMS, faults)

    async def addresses(self, here: Filled, there: Filled) -> None:
        """An address opens its object to whoever holds it, by design; changed in any way it opens nothing."""
        tried, faults = await addresses.forged(here, there)
        self.judge(ADDRESSES, faults, tried)


async def _answer(caller: Caller, call: Call) -> str:
    if call.kind == "subscription":
        return await caller.frame(call.document, call.variables)
    answer = await caller.ask(call.document, call.variables)
    return f"{answer.status} {answer.text}"


async def _refusal(caller: Caller) -> tuple[int | None, str | None]:
    """How somebody is refused over HTTP; (None, None) when they are not."""
    answer = await caller.ask(VIEWER)
    return (None, None) if answer.data else (answer.status, steady(answer.text))
