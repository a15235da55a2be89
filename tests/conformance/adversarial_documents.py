"""Documents made to cost as much as they can before they are refused or accepted; each fits the size of a document.

Every maker fills the tokens that a document may have, or its characters, with one thing that some rule is slow at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nexus_graph.api.operations.documents import MOST_TOKENS
from nexus_graph.api.operations.operation import LONGEST_DOCUMENT

CARD = "cards(first: 1) { edges { node { %s } } }"
LONG = "n" * 60_000


def filled(head: str, piece: Callable[[int], str], tail: str, tokens: int, spare: int = 60) -> str:
    """As many pieces of so many tokens as fit into a document."""
    pieces, length = [], len(head) + len(tail)
    for place in range((MOST_TOKENS - spare) // tokens):
        pieces.append(piece(place))
        length += len(pieces[-1]) + 1
        if length > LONGEST_DOCUMENT:
            pieces.pop()
            break
    return head + " ".join(pieces) + tail


def documents() -> Iterator[tuple[str, str]]:
    """The name and the text of each."""
    yield from _fields()
    yield from _fragments()
    yield from _variables()
    yield from _values()
    yield from _names()
    yield from _characters()
    yield from _as_large_as_allowed()


def _fields() -> Iterator[tuple[str, str]]:
    yield "one field, very often", filled("{ ", lambda at: "__typename", " }", 1)
    yield "one leaf, very often", filled("{ viewer { ", lambda at: "role", " } }", 1)
    yield "one field with a selection, very often", filled("{ ", lambda at: "viewer { role }", " }", 4)
    yield "one field with an argument, very often", filled("{ ", lambda at: 'card(id: "a") { id }', " }", 9)
    yield (
        "one name, different fields",
        filled("{ ", lambda at: f"a: {'viewer' if at % 2 else 'manifests'} {{ __typename }}", " }", 6),
    )
    yield "one name, different arguments", filled("{ ", lambda at: f'card(id: "{at}") {{ id }}', " }", 9)
    yield "one name, deep in each", filled("{ ", lambda at: CARD % "id title", " }", 15)
    yield "aliases", filled("{ ", lambda at: f"a{at}: __typename", " }", 3)
    yield "aliases of one wide selection", filled("{ ", lambda at: f"a{at % 60}: viewer {{ role subject }}", " }", 7)
    yield (
        "a thousand fields, many aliases",
        "{ " + " ".join(f"a{at % 60}: viewer {{ role }}" for at in range(500)) + " }",
    )
    yield "deep", filled("", lambda at: "{ a", "", 2)
    yield "deep and closed", "{ a " * 1990 + "}" * 1990
    yield "as deep as may be, wide below", "{ a " * 19 + "{ " + "b " * 980 + "}" + "}" * 19
    yield "wide at each level", "{ node(id: 1) { id ... on Card { " * 60 + "id " * 200 + "} } } " * 60
    yield "unknown directives on one place", filled("{ viewer { role ", lambda at: f"@d{at}", " } }", 2)
    yield "one directive on one place", filled("{ viewer { role ", lambda at: "@skip(if: true)", " } }", 7)
    yield "directives on every field", filled("{ viewer { ", lambda at: "role @skip(if: true)", " } }", 8)
    yield "unknown directives on every field", filled("{ viewer { ", lambda at: f"role @x{at}(a: 1)", " } }", 8)
    yield "many operations", filled("", lambda at: f"query Q{at} {{ viewer {{ role }} }}", "", 8)
    yield "many operations without names", filled("", lambda at: "{ viewer { role } }", "", 6)
    yield "many operations of one name", filled("", lambda at: "query Q { __typename }", "", 5)
    yield (
        "a subscription of many fields",
        filled("subscription { ", lambda at: f'a{at}: runLog(runId: "x") {{ __typename }}', " }", 11),
    )
    yield "introspection, deep", "{ __schema { types { " + "fields { type { " * 300 + "name" + " } }" * 300 + " } } }"
    yield "introspection, wide", filled("{ __schema { types { ", lambda at: "fields { name }", " } } }", 4)
    yield "empty selections", filled("{ ", lambda at: "viewer { }", " }", 3)


def _fragments() -> Iterator[tuple[str, str]]:
    yield "inline fragments, flat", filled("{ node(id: 1) { ", lambda at: "... on Card { id }", " } }", 6)
    yield "inline fragments, one in the other", "{ " + "... on Query { " * 190 + "viewer { role }" + " }" * 190 + " }"
    yield "inline fragments without a type", filled("{ ", lambda at: "... { __typename }", " }", 4)
    yield (
        "inline fragments that can't apply",
        filled("{ node(id: 1) { ... on Card { ", lambda at: "... on Asset { id }", " } } }", 6),
    )
    yield (
        "inline fragments on unknown types",
        filled("{ node(id: 1) { ", lambda at: f"... on Crad{at} {{ id }}", " } }", 6),
    )
    yield "inline fragments on an interface", filled("{ node(id: 1) { ", lambda at: "... on Node { id }", " } }", 6)
    yield (
        "fragments that nobody spreads",
        filled("{ viewer { role } } ", lambda at: f"fragment F{at} on Query {{ viewer {{ role }} }}", "", 9),
    )
    yield (
        "one fragment of one name, often",
        filled("{ ...F } ", lambda at: "fragment F on Query { viewer { role } }", "", 9),
    )
    yield "unknown fragments", filled("{ ", lambda at: f"...F{at}", " }", 2)
    yield "one spread, very often", filled("{ ", lambda at: "...F", " } fragment F on Query { viewer { role } }", 2)
    yield "a chain", filled("{ ...F0 } ", lambda at: f"fragment F{at} on Query {{ ...F{at + 1} }}", "", 8)
    yield "a ring", filled("{ ...F0 } ", lambda at: f"fragment F{at} on Query {{ ...F{(at + 1) % 400} }}", "", 8)
    for count in (20, 30, 40, 60):
        every = " ".join(f"...F{at}" for at in range(count))
        names = [f"fragment F{at} on Query {{ viewer {{ role }} {every} }}" for at in range(count)]
        yield f"{count} fragments that each spread all", _within(f"{{ {every} }} " + " ".join(names))
        later = [
            f"fragment F{at} on Query {{ viewer {{ role }} {' '.join(f'...F{to}' for to in range(at + 1, count))} }}"
            for at in range(count)
        ]
        yield f"{count} fragments that spread all later ones", _within("{ ...F0 } " + " ".join(later))
    yield (
        "doubling",
        filled("{ ...F0 } ", lambda at: f"fragment F{at} on Query {{ ...F{at + 1} ...F{at + 1} }}", "", 10),
    )
    for fragments in (10, 25, 50, 100, 200, 300):
        spreads = max(1, (MOST_TOKENS - fragments * 12 - 10) // 2)
        spread = " ".join(f"...F{at % fragments}" for at in range(spreads))
        made = " ".join(f"fragment F{at} on Query {{ a{at % 7}: viewer {{ role }} }}" for at in range(fragments))
        yield f"{fragments} fragments spread {spreads} times", f"{{ {spread} }} {made}"
    for operations in (10, 30, 100):
        links = (MOST_TOKENS - 60 - operations * 6) // 8
        chain = " ".join(f"fragment F{at} on Query {{ ...F{at + 1} }}" for at in range(links))
        asked = " ".join(f"query Q{at} {{ ...F0 }}" for at in range(operations))
        yield (
            f"{operations} operations over a chain of {links}",
            f"{asked} {chain} fragment F{links} on Query {{ viewer {{ role }} }}",
        )
    wide = " ".join("viewer { role }" for _ in range(60))
    pairs = " ".join(f"fragment F{at} on Query {{ {wide} }}" for at in range(12))
    yield "fragments with one field each other", "{ " + " ".join(f"...F{at}" for at in range(12)) + " } " + pairs
    nested = " ".join(
        f"fragment F{at} on Node {{ id ... on Card {{ artifacts {{ ... on Atom {{ id }} ...F{at + 1} }} }} }}"
        for at in range(60)
    )
    yield "fragments one below the other", f"{{ node(id: 1) {{ ...F0 }} }} {nested} fragment F60 on Node {{ id }}"
    conflicting = " ".join(f"fragment F{at} on Query {{ a: viewer {{ x: role }} }}" for at in range(100))
    other = " ".join(f"fragment G{at} on Query {{ a: viewer {{ x: subject }} }}" for at in range(100))
    spread = " ".join(f"...F{at} ...G{at}" for at in range(100))
    yield "fragments that conflict", f"{{ {spread} }} {conflicting} {other}"


def _variables() -> Iterator[tuple[str, str]]:
    yield "variables that nobody uses", filled("query Q(", lambda at: f"$a{at}: Int", ") { viewer { role } }", 4)
    yield "variables of one name", filled("query Q(", lambda at: "$a: Int", ") { viewer { role } }", 4)
    yield "variables of unknown types", filled("query Q(", lambda at: f"$a{at}: Crd{at}", ") { viewer { role } }", 4)
    yield "variables that nobody defines", filled("{ ", lambda at: f"card(id: $a{at}) {{ id }}", " }", 10)
    yield "one variable, very often", filled("query Q($a: ID!) { ", lambda at: "card(id: $a) { id }", " }", 10)
    yield (
        "variables of the wrong type",
        filled("query Q($a: Int) { ", lambda at: f"a{at}: card(id: $a) {{ id }}", " }", 12),
    )
    definitions = " ".join(f"$a{at}: ID!" for at in range(250))
    uses = " ".join(f"card(id: $a{at}) {{ id }}" for at in range(250))
    yield "as many variables as uses", f"query Q({definitions}) {{ {uses} }}"
    yield "deep types of variables", "query Q($a: " + "[" * 1900 + "Int" + "]" * 1900 + ") { viewer { role } }"
    for operations in (10, 20, 40, 80):
        used = " ".join("...F" for _ in range(2))
        asked = " ".join(f"query Q{at}($a: ID!) {{ {used} }}" for at in range(operations))
        body = " ".join("card(id: $a) { id }" for _ in range((MOST_TOKENS - 100 - operations * 14) // 10))
        yield f"{operations} operations that use one fragment's variables", f"{asked} fragment F on Query {{ {body} }}"
    yield (
        "defaults",
        filled("query Q(", lambda at: f"$a{at}: CardFilterInput = {{types: [1, 2]}}", ") { viewer { role } }", 12),
    )
    yield "variables in one list", "query Q($a: ID!) { nodes(ids: [" + "$a " * 1900 + "]) { id } }"
    many = " ".join(f"query Q{at}($a: ID!) {{ ...F }}" for at in range(150))
    yield (
        "150 operations, one list of variables",
        f"{many} fragment F on Query {{ nodes(ids: [{'$a ' * 900}]) {{ id }} }}",
    )


def _values() -> Iterator[tuple[str, str]]:
    yield "a deep list", "{ card(id: " + "[" * 1900 + "]" * 1900 + ") { id } }"
    yield "a deep object", "{ cards(filter: " + "{a: " * 980 + "1" + "}" * 980 + ") { edges { cursor } } }"
    yield (
        "a deep object where an input is",
        "mutation { appendSession(input: " + "{entries: " * 980 + "1" + "}" * 980 + ") { __typename } }",
    )
    yield "a long list", "{ nodes(ids: [" + "1 " * 3900 + "]) { id } }"
    yield "a long list of wrong values", "{ nodes(ids: [" + "1.5 " * 3900 + "]) { id } }"
    yield (
        "a long list of objects",
        filled(
            "mutation { appendSession(input: {sessionId: 1, entries: [",
            lambda at: "{content: 1, trainOk: 7}",
            "]}) { __typename } }",
            8,
        ),
    )
    yield (
        "an object of many unknown members",
        filled("{ cards(first: 1, filter: {", lambda at: f"typse{at}: 1", "}) { edges { cursor } } }", 3),
    )
    yield (
        "an object of one member, often",
        filled("{ cards(first: 1, filter: {", lambda at: "types: A", "}) { edges { cursor } } }", 3),
    )
    yield "unknown arguments", filled("{ viewer(", lambda at: f"rolle{at}: 1", ") { role } }", 3)
    yield "one argument, very often", filled("{ card(", lambda at: "id: 1", ") { id } }", 3)
    yield (
        "unknown enum values",
        filled("mutation { engageKillSwitch(input: {target: [", lambda at: f"EVERYTHIN{at}", "]}) { __typename } }", 1),
    )
    yield (
        "conflicting long lists",
        "{ " + "".join(f"nodes(ids: [{'1 ' * 1300}{at}]) {{ id }} " for at in range(3)) + "}",
    )
    yield "equal long objects", "{ " + "".join(f"a: nodes(ids: [{'1 ' * 120}]) {{ id }} " for _ in range(30)) + "}"
    yield "a number of many digits", "{ cards(first: " + "9" * 60_000 + ") { edges { cursor } } }"
    yield "an id of many digits", "{ card(id: " + "9" * 60_000 + ") { id } }"
    yield "a large exponent", "{ cards(first: 1e999999) { edges { cursor } } }"
    yield "numbers of many digits", filled("{ nodes(ids: [", lambda at: "9" * 4000 + ".5", "]) { id } }", 1)


def _names() -> Iterator[tuple[str, str]]:
    yield "unknown fields", filled("{ ", lambda at: f"vieweer{at}", " }", 1)
    yield "unknown fields on an interface", filled("{ node(id: 1) { ", lambda at: f"titel{at}", " } }", 1)
    yield "unknown fields, of medium length", filled("{ ", lambda at: f"cardsOfThatOneKindWhichIsNotThere{at}", " }", 1)
    yield "an unknown field of great length", "{ " + LONG + " }"
    yield "unknown fields of great length", filled("{ ", lambda at: "m" * 2900 + str(at), " }", 1)
    yield "an unknown type of great length", "{ node(id: 1) { ... on " + LONG + " { id } } }"
    yield "an unknown argument of great length", "{ viewer(" + LONG + ": 1) { role } }"
    yield "an unknown directive of great length", "{ viewer @" + LONG + " { role } }"
    yield (
        "an unknown enum value of great length",
        "mutation { engageKillSwitch(input: {target: " + LONG + "}) { __typename } }",
    )
    yield "a fragment of great length", "{ ..." + LONG + " }"
    yield "a variable of great length", "query Q($" + LONG + ": Int) { viewer { role } }"
    yield "an operation of great length", "query " + LONG + " { viewer { role } }"
    yield "an alias of great length", "{ " + LONG + ": viewer { role } }"


def _characters() -> Iterator[tuple[str, str]]:
    yield "comments", "{ viewer { role } }" + "#\n" * 30_000
    yield "a long comment", "{ viewer { role } } #" + "x" * 65_000
    yield "commas", "{ viewer { role } }" + "," * 65_000
    yield "lines", "{ viewer { role } }" + "\n" * 65_000
    yield "a fault after many lines", "\n" * 65_000 + "{ viewer { role } } }"
    yield "a long text", '{ card(id: "' + "x" * 65_000 + '") { id } }'
    yield "a text of escapes", '{ card(id: "' + "\\u0041" * 10_800 + '") { id } }'
    yield "a text of short escapes", '{ card(id: "' + "\\n" * 32_000 + '") { id } }'
    yield "a text of wide escapes", '{ card(id: "' + "\\u{1F600}" * 7_200 + '") { id } }'
    yield "a block of lines", '{ card(id: """' + "\n  x" * 16_000 + '""") { id } }'
    yield "a block of quotes", '{ card(id: """' + '\\"""' * 16_000 + '""") { id } }'
    yield "a block of spaces", '{ card(id: """' + " " * 65_000 + '""") { id } }'
    yield "blocks of lines", filled("{ nodes(ids: [", lambda at: '"""\n\n\n"""', "]) { id } }", 1)
    yield "a text that does not end", '{ card(id: "' + "x" * 65_000
    yield "a block that does not end", '{ card(id: """' + "x" * 65_000
    yield "no document", "x" * 65_000
    yield "no token", "\u00e9" * 65_000
    yield "half of a pair", '{ card(id: "\ud800") { id } }'


def _as_large_as_allowed() -> Iterator[tuple[str, str]]:
    """Each bound nearly reached, alone and together: what is not refused early costs the most."""
    leaves = " ".join(f"x{at}" for at in range(900))
    spreads = " ".join("... on Query { __typename }" for _ in range(390))
    yield "all spreads that are allowed", f"{{ {spreads} }}"
    yield "all spreads that are allowed, on an interface", "{ node(id: 1) { " + "... on Node { id } " * 390 + "} }"
    yield "all fields that are allowed, unknown", f"{{ viewer {{ {leaves} }} }}"
    yield (
        "all fields that are allowed, unknown, in many types",
        "{ "
        + " ".join(f"... on Query {{ viewer {{ {' '.join(f'rol{to}' for to in range(20))} }} }}" for _ in range(45))
        + " }",
    )
    yield "all comparisons of leaves that are allowed", "{ viewer { " + "role " * 141 + "} }"
    for count, field in ((30, 'card(id: "a") { id title }'), (45, 'card(id: "a") { id }'), (60, "viewer { role }")):
        yield f"{count} equal fields", "{ " + f"{field} " * count + "}"
    groups = " ".join(" ".join([f"a{at}: nodes(ids: [1, 2, 3]) {{ id }}"] * 6) for at in range(10))
    yield "groups of equal aliases", f"{{ {groups} }}"
    fields = " ".join(f"a{at}: card(id: $v{at}) {{ id title @include(if: $b) }}" for at in range(50))
    variables = " ".join(f"$v{at}: ID!" for at in range(50))
    yield "all variables, aliases and directives", f"query Q({variables} $b: Boolean!) {{ {fields} }}"
    fragments = " ".join(f"fragment F{at} on Card {{ id title ...F{at + 1} }}" for at in range(58))
    yield "as deep a chain as allowed", f"{{ card(id: 1) {{ ...F0 }} }} {fragments} fragment F58 on Card {{ id }}"
    for operations, values in ((20, 3300), (20, 1500), (10, 3400), (5, 3500)):
        asked = " ".join(f"query Q{at}($a: ID!) {{ ...F }}" for at in range(operations))
        yield (
            f"{operations} operations, a list of {values} variables",
            (f"{asked} fragment F on Query {{ nodes(ids: [{'$a ' * values}]) {{ id }} }}"),
        )
    asked = " ".join(f"query Q{at}($a: ID!) {{ ...F }}" for at in range(20))
    body = " ".join("... on Query { card(id: $a) { id } }" for _ in range(60))
    yield "20 operations, equal fields with a variable", f"{asked} fragment F on Query {{ {body} }}"
    each = " ".join(f"fragment F{at} on Query {{ viewer {{ role }} card(id: 1) {{ id }} }}" for at in range(99))
    spread = " ".join(f"...F{at}" for at in range(99))
    for operations in (1, 5, 20):
        asked = " ".join(f"query Q{at} {{ {spread if at < 3 else '...F1 ...F2'} }}" for at in range(operations))
        yield f"{operations} operations over 99 equal fragments", f"{asked} {each}"
    mutual = " ".join(
        f"fragment F{at} on Query {{ viewer {{ role }} {' '.join(f'...F{to}' for to in range(28) if to != at)[:52]} }}"
        for at in range(28)
    )
    yield "28 fragments that spread each other", f"{{ ...F0 }} {mutual}"
    wide = " ".join(f"...F{at}" for at in range(19))
    mutual = " ".join(f"fragment F{at} on Query {{ a{at}: viewer {{ role }} {wide} }}" for at in range(19))
    yield "19 fragments that spread all", f"{{ {wide} }} {mutual}"
    mixed = " ".join(
        f"... on Query {{ a{at}: card(id: $v{at}) @include(if: $b) {{ id ...F{at % 40} }} }}" for at in range(48)
    )
    variables = " ".join(f"$v{at}: ID!" for at in range(48))
    used = " ".join(f"fragment F{at} on Card {{ id title version labels }}" for at in range(40))
    ones = "1 " * 900
    yield (
        "everything at once",
        (f"query Q({variables} $b: Boolean!) {{ {mixed} nodes(ids: [{ones}]) {{ id }} }} {used}"),
    )
    blocks = " ".join(['"""\n  a\n b\n"""'] * 3900)
    yield "a list of blocks", f"{{ nodes(ids: [{blocks}]) {{ id }} }}"[:LONGEST_DOCUMENT]
    entry = "{kind: 1, content: 2, trainOk: 3, x: 4, y: {z: [5]}}"
    yield (
        "wrong values in many lists",
        (
            "mutation { "
            + " ".join(
                f"a{at}: appendSession(input: {{entries: [{f'{entry} ' * 5}]}}) {{ __typename }}" for at in range(40)
            )
            + " }"
        ),
    )
    large = "{" + " ".join(f"m{at}: [{'1 ' * 40}]" for at in range(85)) + "}"
    yield "unknown members with large values", f"{{ cards(first: 1, filter: {large}) {{ edges {{ cursor }} }} }}"
    objects = " ".join(
        f"a{at}: cards(first: 1, filter: {{types: [{'A ' * 50}]}}) {{ edges {{ cursor }} }}" for at in range(50)
    )
    yield "wrong values in many arguments", f"{{ {objects} }}"
    conditions = " ".join("{field: 1, operator: EQUALS, values: [[[[1]]]]}" for _ in range(180))
    yield (
        "free values in literals",
        f"{{ cards(first: 1, filter: {{fields: [{conditions}]}}) {{ edges {{ cursor }} }} }}",
    )


def _within(text: str) -> str:
    """A document that may be too long for its tokens is what an attacker sends as well."""
    return text[:LONGEST_DOCUMENT]
