"""An author publishes cards: versions, conflicts, refusals with a place, filters, pages and differences."""

from __future__ import annotations

from typing import Any

import pytest
from journey_house import Caller, World
from journey_steps import allowing, card, derive, kept, publish, published, refusal, retire

CARD = """query Card($id: ID!) { card(id: $id) {
  key version text digest retiredAt indexState
  versions(first: 10) { edges { node { id version text current { version } } } } } }"""
PUBLICATIONS = """query ($id: String!) { audit(first: 10, filter: {subject: $id, types: ["card.published"]}) {
  edges { node { seq } } } }"""
CARDS = """query Cards($filter: CardFilterInput, $first: Int, $after: String, $last: Int, $before: String) {
  cards(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
    edges { cursor node { key } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""


def keys(caller: Caller, **window: Any) -> list[str]:
    """The keys of the cards that a window holds."""
    found = caller.ask(CARDS, {"first": 100} | window)["cards"]
    return [edge["node"]["key"] for edge in found["edges"]]


def test_a_card_is_published_revised_and_read_in_all_its_versions(world: World) -> None:
    """Each text becomes the next version, old ones stay, and the difference says line by line what changed."""
    admin = world.caller("t_acme", "admin")
    first = card("cards/versions", "One line.\nAnother line.\n", title="Versions")
    second = card("cards/versions", "One line.\nA changed line.\n", title="Versions")
    made = publish(admin, first)
    assert (made["created"], made["changed"], made["indexState"]) == (True, True, "INDEXED")
    assert (made["card"]["version"], made["card"]["text"], made["card"]["title"]) == (1, first, "Versions")
    assert made["card"]["body"] == "One line.\nAnother line.\n"
    assert made["card"]["publishedBy"] == "admin@t_acme"
    header = made["card"]["header"]
    assert (header["card_type"], header["key"]) == ("note", "cards/versions")
    revised = publish(admin, second, expectedVersion=1)
    assert (revised["created"], revised["changed"], revised["card"]["version"]) == (False, True, 2)

    card_id = made["card"]["id"]
    member = world.caller("t_acme", "member")
    read = member.ask(CARD, {"id": card_id})["card"]
    assert (read["text"], read["version"], read["indexState"]) == (second, 2, "INDEXED")
    versions = [edge["node"] for edge in read["versions"]["edges"]]
    assert [(each["version"], each["text"]) for each in versions] == [(2, second), (1, first)]
    assert versions[1]["id"] == f"{card_id}:1"
    assert versions[1]["current"] == {"version": 2}
    node = "query ($id: ID!) { node(id: $id) { id ... on CardVersion { text } } }"
    assert member.ask(node, {"id": f"{card_id}:1"})["node"] == {"id": f"{card_id}:1", "text": first}
    assert member.ask(node, {"id": f"{card_id}:3"})["node"] is None

    difference = """query ($id: ID!, $old: Int!, $new: Int!) { card(id: $id) {
      difference(old: $old, new: $new) { text hunks { oldStart newStart lines } } } }"""
    found = member.ask(difference, {"id": card_id, "old": 1, "new": 2})["card"]["difference"]
    lines = [line.rstrip("\n") for hunk in found["hunks"] for line in hunk["lines"]]
    assert "-Another line." in lines
    assert "+A changed line." in lines
    assert " One line." in lines
    assert member.ask(difference, {"id": card_id, "old": 2, "new": 2})["card"]["difference"]["hunks"] == []
    error = member.error(difference, {"id": card_id, "old": 1, "new": 9})
    assert error["extensions"]["code"] == "NOT_FOUND"


def test_versions_guard_against_who_looked_at_another_one(world: World) -> None:
    """Without the current version as expectation a revision is refused; equal bytes change nothing at all."""
    admin = world.caller("t_acme", "admin")
    text = card("cards/guard", "First.\n")
    assert refusal(publish(admin, text, expectedVersion=1))["code"] == "CONFLICT"
    published(admin, text, expectedVersion=0)
    other = card("cards/guard", "Second.\n")
    for expected in (None, 0, 2):
        error = refusal(publish(admin, other, expectedVersion=expected))
        assert (error["__typename"], error["path"]) == ("ConflictError", ["input", "expectedVersion"])
        assert "current version is 1" in error["message"]
        assert "expectedVersion 1" in error["hint"]
    same = publish(admin, text)
    assert (same["created"], same["changed"], same["card"]["version"]) == (False, False, 1)
    assert same["indexState"] == "INDEXED"
    assert publish(admin, other, expectedVersion=1)["card"]["version"] == 2


def test_a_dry_run_checks_everything_and_writes_nothing(world: World) -> None:
    """It shows the version that would come or what is wrong; no card, no version and no journal entry is made."""
    admin = world.caller("t_acme", "admin")
    dry = publish(admin, card("cards/dry"), dryRun=True)
    assert (dry["created"], dry["changed"], dry["card"]["version"], dry["userErrors"]) == (True, True, 1, [])
    card_id = dry["card"]["id"]
    assert admin.ask(CARD, {"id": card_id})["card"] is None
    refused = publish(admin, "---\ncard_type: [\n---\n", dryRun=True)
    assert refusal(refused)["code"] == "INVALID"
    published(admin, card("cards/dry"))
    dry = publish(admin, card("cards/dry", "Other.\n"), dryRun=True, expectedVersion=1)
    assert dry["card"]["version"] == 2
    assert admin.ask(CARD, {"id": card_id})["card"]["version"] == 1
    assert len(admin.ask(PUBLICATIONS, {"id": card_id})["audit"]["edges"]) == 1


def test_an_idempotency_key_stands_for_one_request(world: World) -> None:
    """The same request again gets the same answer and makes nothing; another request under that key is refused."""
    admin = world.caller("t_acme", "admin")
    text = card("cards/once")
    first = publish(admin, text, idempotencyKey="cards-once-1")
    second = publish(admin, text, idempotencyKey="cards-once-1")
    assert second == first
    published(admin, card("cards/once", "Next.\n"), expectedVersion=1)
    third = publish(admin, text, idempotencyKey="cards-once-1")
    assert (third["created"], third["changed"], third["card"]["version"], third["userErrors"]) == (True, True, 1, [])
    for other, more in ((card("cards/twice"), {}), (text, {"trainOk": False}), (text, {"expectedVersion": 0})):
        error = refusal(publish(admin, other, idempotencyKey="cards-once-1", **more))
        assert (error["code"], error["path"]) == ("CONFLICT", ["input", "idempotencyKey"])
    error = refusal(publish(admin, card("cards/twice"), idempotencyKey="x" * 201))
    assert (error["code"], error["path"]) == ("INVALID", ["input", "idempotencyKey"])
    owner = publish(world.caller("t_acme", "owner"), card("cards/twice"), idempotencyKey="cards-once-1")
    assert owner["created"], "keys belong to who uses them"


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("no fence", 1, 1),
        ("---\ncard_type: note\n", 3, 1),
        ("---\ncard_type: note\ntitle: [one, two\n---\n", 4, 1),
        ("---\ncard_type: note\ncard_type: note\n---\n", 3, 1),
        ("---\ncard_type: note\ntitle: &anchor x\n---\n", 3, 8),
        ("---\ncard_type: note\ntitle: *alias\n---\n", 3, 8),
        ("---\ncard_type: note\ntitle: !!python/object:os.system x\n---\n", 3, 8),
        ("---\ncard_type: note\ncount: 9007199254740992\n---\n", 3, 8),
        ("---\ncard_type: note\nrate: .inf\n---\n", 3, 7),
        ("---\ncard_type: note\n1: one\n---\n", 3, 1),
        ("---\ntitle: no type\n---\n", 2, 1),
        ("---\n- a list\n---\n", 2, 1),
        ("---\r\ncard_type: note\r\n---\r\n", 1, 1),
        ("---\ncard_type: note\nx: " + "[" * 30_000 + "\n---\n", 3, 19),
        ("---\ncard_type: note\n---\nbody with \0\n", 4, 11),
    ],
)
def test_a_malformed_text_is_refused_with_line_and_column(world: World, text: str, line: int, column: int) -> None:
    """What is no card is told where it stops being one."""
    error = refusal(publish(world.caller("t_acme", "admin"), text))
    assert (error["__typename"], error["code"]) == ("InvalidInputError", "INVALID")
    assert (error["line"], error["column"]) == (line, column), error


@pytest.mark.parametrize(
    ("header", "path", "line"),
    [
        ({"title": ""}, ["header", "title"], 4),
        ({"noted_on": "tomorrow"}, ["header", "noted_on"], 4),
        ({"labels": ["fine", 7]}, ["header", "labels", "1"], 4),
        ({"created_by": "somebody.else"}, ["header", "created_by"], 4),
        ({"tenant_id": "t_globex"}, ["header", "tenant_id"], 4),
        ({"version": 7}, ["header", "version"], 4),
        ({"artifact_refs": ["asset_0123456789abcdef0123456789abcdef"]}, ["header", "artifact_refs", "0"], 4),
        ({"artifact_refs": ["atom_" + "0" * 64]}, ["header", "artifact_refs", "0"], 4),
        ({"artifact_refs": ["card_1"]}, ["header", "artifact_refs", "0"], 4),
    ],
)
def test_a_header_that_breaks_a_rule_is_refused_with_its_key(
    world: World, header: dict[str, Any], path: list[str], line: int
) -> None:
    """Manifest, engine-owned keys and references are checked; the path and the line lead to the value."""
    error = refusal(publish(world.caller("t_acme", "admin"), card("cards/refused", **header)))
    assert (error["code"], error["path"], error["line"]) == ("INVALID", path, line)
    assert error["message"]


def test_an_artifact_must_be_sealed_and_of_this_tenant(world: World) -> None:
    """Another tenant's asset is as unknown as one that never was."""
    theirs = kept(world.caller("t_globex", "owner"), "theirs.txt", "text/plain", b"Something of Globex.")
    admin = world.caller("t_acme", "admin")
    foreign = refusal(publish(admin, card("cards/foreign", artifact_refs=[theirs])))
    unknown_id = f"asset_{'0' * len(theirs.removeprefix('asset_'))}"
    unknown = refusal(publish(admin, card("cards/foreign", artifact_refs=[unknown_id])))
    assert foreign["message"].replace(theirs, "?") == unknown["message"].replace(unknown_id, "?")
    assert {**foreign, "message": ""} == {**unknown, "message": ""}


def test_a_retired_card_leaves_search_and_lists_and_stays_readable(world: World) -> None:
    """Retiring needs the version as seen, happens once, and ends the card's life for good."""
    admin = world.caller("t_acme", "admin")
    text = card("cards/retired", "A quixotic zeppelin of the retiring story.\n", labels=["retiring-story"])
    made = published(admin, text)
    search = """query { search(text: "quixotic zeppelin", k: 3, filter: {labels: ["retiring-story"]}) {
      hits { version { id } } } }"""
    assert admin.ask(search)["search"]["hits"] == [{"version": {"id": f"{made['id']}:1"}}]

    error = refusal(retire(admin, made["id"], 2))
    assert (error["code"], error["path"]) == ("CONFLICT", ["input", "expectedVersion"])
    retired = retire(admin, made["id"], 1, idempotencyKey="retire-once")
    assert retired["card"]["retiredAt"] is not None
    assert retire(admin, made["id"], 1, idempotencyKey="retire-once")["card"] == retired["card"]
    assert refusal(retire(admin, made["id"], 1))["code"] == "CONFLICT"
    assert refusal(retire(admin, "card_" + "0" * 32, 1))["code"] == "NOT_FOUND"

    chosen = {"labels": ["retiring-story"]}
    assert keys(admin, filter=chosen) == []
    assert keys(admin, filter=chosen | {"includeRetired": True}) == ["cards/retired"]
    assert admin.ask(CARD, {"id": made["id"]})["card"]["text"] == text
    assert refusal(publish(admin, card("cards/retired", "Again.\n"), expectedVersion=1))["code"] == "CONFLICT"
    wait_until_gone(admin, search)


def wait_until_gone(caller: Caller, search: str) -> None:
    """The index follows a retirement; the payload of retireCard does not wait for it."""
    for _ in range(100):
        if caller.ask(search)["search"]["hits"] == []:
            return
    pytest.fail("a retired card is still found")


def test_one_filter_chooses_cards(world: World) -> None:
    """Types, labels, times, artifact kinds and header fields, all together; what no card can mean is refused."""
    admin = world.caller("t_acme", "admin")
    asset_id = kept(admin, "evidence.md", "text/markdown", b"# Evidence\n\nOf the filter story.\n")
    derive(admin, asset_id)
    atoms = "query ($id: ID!) { asset(id: $id) { atoms(first: 1) { edges { node { id } } } } }"
    atom_id = admin.ask(atoms, {"id": asset_id})["asset"]["atoms"]["edges"][0]["node"]["id"]
    mine = ["filter-story"]
    published(admin, card("filter/a", labels=[*mine, "red"], topic="boats", noted_on="2026-01-10"))
    published(admin, card("filter/b", labels=[*mine, "blue"], topic="boats", artifact_refs=[asset_id]))
    published(admin, card("filter/c", labels=mine, topic="trains", noted_on="2026-03-10", artifact_refs=[atom_id]))
    corridor: dict[str, Any] = {"title": "MER", "kpi": "mer", "window": "MTD", "lower": 2.5, "upper": 4}
    with allowing(admin, world.caller("t_acme", "owner"), "kpi_corridor"):
        published(admin, card("filter/d", card_type="kpi_corridor", labels=mine, **corridor))

    def chosen(**more: Any) -> list[str]:
        return [key.removeprefix("filter/") for key in keys(admin, filter={"labels": mine} | more)]

    def field(name: str, comparison: str, *values: Any) -> dict[str, Any]:
        return {"fields": [{"field": name, "comparison": comparison, "values": list(values)}]}

    assert chosen() == ["d", "c", "b", "a"], "latest first"
    assert chosen(types=["note"]) == ["c", "b", "a"]
    assert chosen(types=["kpi_corridor", "persona"]) == ["d"]
    assert chosen(labels=["filter-story", "red"]) == ["a"]
    assert chosen(artifactKinds=["ASSET"]) == ["b"]
    assert chosen(artifactKinds=["ASSET", "ATOM"]) == ["c", "b"]
    assert chosen(**field("topic", "EQUALS", "boats")) == ["b", "a"]
    assert chosen(**field("topic", "IN", "trains", "planes")) == ["c"]
    assert chosen(**field("noted_on", "RANGE", "2026-01-01", "2026-02-01")) == ["a"]
    assert chosen(**field("noted_on", "RANGE", "2026-02-01", None)) == ["c"]
    assert chosen(**field("lower", "RANGE", 2.5, 3)) == ["d"]
    assert chosen(**field("upper", "EQUALS", 4)) == ["d"]
    assert chosen(types=["note"], **field("topic", "EQUALS", "boats"), artifactKinds=["ASSET"]) == ["b"]
    assert chosen(createdTo="2026-01-01T00:00:00Z") == []
    assert chosen(createdFrom="2026-01-01T00:00:00Z", createdTo="2100-01-01T00:00:00Z") == ["d", "c", "b", "a"]

    search = """query ($filter: CardFilterInput) { search(text: "boats", k: 10, filter: $filter) {
      hits { version { header } } } }"""
    found = admin.ask(search, {"filter": {"labels": mine} | field("topic", "EQUALS", "boats")})["search"]["hits"]
    assert {hit["version"]["header"]["key"] for hit in found} == {"filter/a", "filter/b"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fields": [{"field": "colour", "comparison": "EQUALS", "values": ["red"]}]}, "'colour' is not a filterable"),
        ({"fields": [{"field": "topic", "comparison": "EQUALS", "values": ["a", "b"]}]}, "wrong number of values"),
        ({"fields": [{"field": "topic", "comparison": "IN", "values": []}]}, "wrong number of values"),
        ({"fields": [{"field": "topic", "comparison": "RANGE", "values": [None, None]}]}, "wrong number of values"),
        ({"fields": [{"field": "topic", "comparison": "EQUALS", "values": [7]}]}, "can't be compared"),
        ({"fields": [{"field": "lower", "comparison": "EQUALS", "values": ["7"]}]}, "can't be compared"),
        ({"fields": [{"field": "lower", "comparison": "EQUALS", "values": [2**60]}]}, "53 bits"),
        (
            {"fields": [{"field": "topic", "comparison": "EQUALS", "values": [{"a": 1}]}]},
            "strings, numbers or booleans",
        ),
        ({"fields": [{"field": "enabled", "comparison": "RANGE", "values": [False, True]}]}, "no range"),
        ({"types": ["Not A Type"]}, "card type is malformed"),
        ({"labels": [""]}, "label is malformed"),
        ({"labels": ["x"] * 65}, "more than 64"),
        ({"createdFrom": "2026-02-01T00:00:00Z", "createdTo": "2026-01-01T00:00:00Z"}, "range is empty"),
        ({"createdFrom": "2026-02-01T00:00:00"}, "offset from UTC"),
        ({"createdFrom": "yesterday"}, "offset from UTC"),
        ({"colour": "red"}, ""),
    ],
)
def test_a_filter_that_no_card_can_mean_is_refused(world: World, wrong: dict[str, Any], message: str) -> None:
    """By the list, by search and by packs alike, with the code INVALID."""
    member = world.caller("t_acme", "member")
    search = 'query Search($filter: CardFilterInput) { search(text: "x", filter: $filter) { complete } }'
    pack = 'query Pack($filter: CardFilterInput) { influencePack(ask: {text: "x", filter: $filter}) { id } }'
    for query in (CARDS, search, pack):
        error = member.error(query, {"filter": wrong} | ({"first": 10} if query is CARDS else {}))
        assert error["extensions"]["code"] == "INVALID", error
        assert message in error["message"], error


def test_pages_lead_through_a_list_in_both_directions(world: World) -> None:
    """Forward and backward, page by page, every card comes once; the page says whether there is more."""
    admin = world.caller("t_acme", "admin")
    mine = {"labels": ["paging-story"]}
    for number in range(7):
        published(admin, card(f"paging/{number}", labels=["paging-story"]))
    whole = [f"paging/{number}" for number in reversed(range(7))]

    seen: list[str] = []
    after = None
    while True:
        page = admin.ask(CARDS, {"filter": mine, "first": 3, "after": after})["cards"]
        seen += [edge["node"]["key"] for edge in page["edges"]]
        assert page["pageInfo"]["hasPreviousPage"] == (after is not None)
        assert page["pageInfo"]["endCursor"] == page["edges"][-1]["cursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert seen == whole

    seen, before = [], None
    while True:
        page = admin.ask(CARDS, {"filter": mine, "last": 3, "before": before})["cards"]
        seen = [edge["node"]["key"] for edge in page["edges"]] + seen
        assert page["pageInfo"]["hasNextPage"] == (before is not None)
        if not page["pageInfo"]["hasPreviousPage"]:
            break
        before = page["pageInfo"]["startCursor"]
    assert seen == whole

    cursors = [edge["cursor"] for edge in admin.ask(CARDS, {"filter": mine, "first": 100})["cards"]["edges"]]
    assert keys(admin, filter=mine, after=cursors[1], before=cursors[5]) == whole[2:5]
    published(admin, card("paging/new", labels=["paging-story"]))
    assert keys(admin, filter=mine, after=cursors[1]) == whole[2:], "what comes meanwhile moves no page"
    empty = admin.ask(CARDS, {"filter": mine, "first": 1, "after": cursors[6]})["cards"]
    assert (empty["edges"], empty["pageInfo"]["endCursor"]) == ([], None)


@pytest.mark.parametrize(
    "window", [{}, {"first": 0}, {"first": -1}, {"first": 101}, {"last": 0}, {"last": 101}, {"first": 1, "last": 1}]
)
def test_a_page_has_one_size_from_1_to_100(world: World, window: dict[str, Any]) -> None:
    """None, zero, too many or two sizes are refused, and the argument is named."""
    error = world.caller("t_acme", "member").error(CARDS, window)
    assert error["extensions"]["code"] == "INVALID"
    assert "`first`" in error["message"] or "`last`" in error["message"]


def test_a_cursor_is_good_in_its_own_list_only(world: World) -> None:
    """Another filter, another list, another tenant and a bent cursor are refused in the same words."""
    admin, stranger = world.caller("t_acme", "admin"), world.caller("t_globex", "admin")
    for who in (admin, stranger):
        for number in range(2):
            published(who, card(f"cursor/{number}", labels=["cursor-story"]))
    mine = {"filter": {"labels": ["cursor-story"]}, "first": 1}
    cursor = admin.ask(CARDS, mine)["cards"]["pageInfo"]["endCursor"]
    assert len(admin.ask(CARDS, mine | {"after": cursor})["cards"]["edges"]) == 1
    assets = "query ($after: String) { assets(first: 1, after: $after) { edges { cursor } } }"
    bent = cursor[:-2] + ("A" if cursor[-2] != "A" else "B") + cursor[-1]
    errors = [
        admin.error(CARDS, {"first": 1, "after": cursor}),
        admin.error(assets, {"after": cursor}),
        stranger.error(CARDS, mine | {"after": cursor}),
        admin.error(CARDS, mine | {"after": bent}),
        admin.error(CARDS, mine | {"after": ""}),
        admin.error(CARDS, mine | {"after": "é" * 2000}),
        admin.error(CARDS, mine | {"after": "A" * 5000}),
    ]
    assert {(each["extensions"]["code"], each["message"]) for each in errors} == {
        ("INVALID", "`after` is no cursor of this list.")
    }


def test_who_may_not_publish_is_refused(world: World) -> None:
    """Members and agents read and search cards; they neither publish nor retire, not even as a dry run."""
    made = published(world.caller("t_acme", "owner"), card("cards/roles"))
    deeds = {
        "publishCard": 'mutation { publishCard(input: {text: "x", trainOk: true, dryRun: true}) { changed } }',
        "retireCard": 'mutation { retireCard(input: {cardId: "ID", expectedVersion: 1}) { card { id } } }'.replace(
            "ID", made["id"]
        ),
    }
    for role in ("member", "agent"):
        who = world.caller("t_acme", role)
        for name, deed in deeds.items():
            error = who.error(deed)
            assert (error["extensions"]["code"], error["path"]) == ("FORBIDDEN", [name])
        assert who.ask(CARD, {"id": made["id"]})["card"]["key"] == "cards/roles"
    assert world.caller("t_acme", "owner").ask(CARD, {"id": made["id"]})["card"]["retiredAt"] is None
