"""Redaction of JSON values: types, keys, limits, and who may make a Redacted."""

from __future__ import annotations

import copy
import enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.redaction import RULESET, Redacted, pii_flags, redact, values


def test_strings_are_redacted_at_any_depth_and_types_stay() -> None:
    """Numbers, booleans and null are the same objects; tuples become lists."""
    value: Json = {"a": ["x", {"mail": "to a@b.co"}, ("1.5", 1.5, 7, True, False, None)], "empty": {}}
    redacted = redact(value)
    assert redacted.value == {"a": ["x", {"mail": "to [email]"}, ["1.5", 1.5, 7, True, False, None]], "empty": {}}
    assert redacted.pii_flags == ("email",)
    assert redacted.ruleset == RULESET == "pii-3"


def test_flags_are_sorted_and_without_duplicates() -> None:
    """Each kind once, in alphabetical order, also from keys."""
    assert pii_flags({"a@b.co": "123-45-6789", "x": ["c@d.co", 4111111111111111]}) == (
        "credit_card",
        "email",
        "us_ssn",
    )
    assert pii_flags(["nothing", 1]) == ()


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (4111111111111111, "[credit_card]"),
        (4111111111111112, 4111111111111112),
        (-4111111111111111, -4111111111111111),
        (1700000000000000, 1700000000000000),
        pytest.param(10**5000, 10**5000, id="huge"),
        (4111111111111111.0, 4111111111111111.0),
    ],
)
def test_only_an_integer_that_is_a_card_number_changes_its_type(number: float, expected: Json) -> None:
    """Luhn and issuer range decide; times, floats and huge integers stay."""
    value = redact(number).value
    assert (value, type(value)) == (expected, type(expected))


def test_a_key_labels_its_value() -> None:
    """What is found only after a label is found under a key that is one, in lists and as an integer too."""
    value: Json = {"dateOfBirth": "1980-01-31", "ssn": 123456789, "nhs_number": ["4505577104"], "phone": "2125550123"}
    assert redact(value).value == {
        "dateOfBirth": "[birth_date]",
        "ssn": "[us_ssn]",
        "nhs_number": ["[uk_nhs]"],
        "phone": "[phone]",
    }
    plain: Json = {"date": "1980-01-31", "count": 123456789, "serial": ["4505577104"], "views": "2125550123"}
    assert redact(plain).value == plain


def test_keys_that_become_equal_keep_their_entries() -> None:
    """They are numbered in the order of the original keys, whatever the order of the mapping."""
    assert redact({"b@x.co": 2, "a@x.co": 1}).value == {"[email]": 1, "[email]#2": 2}
    assert redact({"a@x.co": 1, "b@x.co": 2}).value == {"[email]": 1, "[email]#2": 2}


def test_a_changed_key_never_takes_the_name_of_an_unchanged_one() -> None:
    """Redacted keys step aside, also for keys that look like their own names."""
    value = redact({"a@x.co": 1, "[email]": 2, "[email]#2": 3, "b@x.co": 4}).value
    assert value == {"[email]#3": 1, "[email]": 2, "[email]#2": 3, "[email]#4": 4}
    assert redact(value).value == value


def test_the_result_shares_nothing_with_the_original() -> None:
    """Changing the original afterwards doesn't reach what was redacted."""
    original: dict[str, Any] = {"list": [{"a": 1}]}
    redacted = redact(original)
    before = copy.deepcopy(redacted.value)
    original["list"][0]["a"] = "a@b.co"
    assert redacted.value == before


def test_redacted_is_made_by_redact_alone() -> None:
    """Without the private mark the constructor refuses; with a wrong one too."""
    with pytest.raises(TypeError):
        Redacted("a@b.co", (), RULESET)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="redact"):
        Redacted("a@b.co", (), RULESET, object())


def nested(depth: int) -> Json:
    value: Json = "leaf"
    for _ in range(depth):
        value = [value]
    return value


def test_depth_is_bounded() -> None:
    """Sixty-four levels pass, one more is refused, and a cycle ends the same way."""
    assert redact(nested(values.MAX_DEPTH)).value == nested(values.MAX_DEPTH)
    with pytest.raises(Invalid, match="deeper than 64"):
        redact(nested(values.MAX_DEPTH + 1))
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(Invalid, match="deeper"):
        redact(cycle)


def test_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values and characters are counted over the whole, keys included."""
    monkeypatch.setattr(values, "MAX_VALUES", 10)
    monkeypatch.setattr(values, "MAX_CHARACTERS", 20)
    assert redact([1] * 9).value == [1] * 9
    with pytest.raises(Invalid, match="More than 10 values"):
        redact([1] * 10)
    assert redact({"k" * 10: "v" * 10}).value == {"k" * 10: "v" * 10}
    with pytest.raises(Invalid, match="More than 20 characters"):
        redact({"k" * 10: "v" * 11})


@pytest.mark.parametrize("bad", [b"bytes", {1, 2}, object(), float("nan"), float("inf"), {1: "key"}])
def test_what_is_not_json_is_refused(bad: Any) -> None:
    """The error names the type and leads to the place."""
    with pytest.raises(Invalid) as caught:
        redact({"a": [bad]})
    assert caught.value.path == ("a", 0)


def test_the_path_of_an_error_is_redacted() -> None:
    """An error may be logged, so it doesn't carry a key that is an address."""
    with pytest.raises(Invalid) as caught:
        redact({"a@b.co": b""})
    assert caught.value.path == ("[email]",)


def test_string_enums_are_text() -> None:
    """A member of a StrEnum is redacted like any string."""

    class Contact(enum.StrEnum):
        JOHN = "john@example.com"

    assert redact(Contact.JOHN).value == "[email]"


_WORDS = st.sampled_from(
    ["card_" + "0123456789abcdef" * 2, "a" * 64, "note", "", "password", "apiKey", "cardId", "ada@example.com", "at"]
) | st.text(max_size=20)
_ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**19), 10**19)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS, inner, max_size=4),
    max_leaves=12,
)


@given(_ANYTHING)
def test_a_glance_says_nothing_else_than_a_walk(value: Any) -> None:
    """What is passed at a glance is what a walk through it would have found: itself."""
    walk = values._Walk()
    walked = walk.value(value, (), "")
    redacted = redact(value)
    assert (redacted.value, redacted.pii_flags) == (walked, tuple(sorted(walk.kinds)))
    assert values._is_plain(value) <= (walked == value)


def test_a_glance_is_enough_for_what_the_engine_writes_of_itself() -> None:
    """Ids, versions and counts; not what stands under the name of a secret, and not what lies too deep."""
    known: list[Any] = [{"cardId": "card_" + "0" * 32, "version": 1}] * 20
    assert values._is_plain({"input": {"cards": known, "count": 20}})
    assert not values._is_plain({"input": {"password": "note"}})
    deep: Any = "note"
    for _ in range(70):
        deep = [deep]
    assert not values._is_plain(deep)
    with pytest.raises(Invalid, match="Nested deeper"):
        redact(deep)
