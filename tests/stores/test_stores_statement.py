"""Statements: none without a tenant and env, and lists of any length in few shapes."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_graph.scope.errors import Invalid
from nexus_graph.stores.statement import MOST_IN_A_LIST, Statement

WHERE = "select a from t where tenant_id = :tenant_id and env = :env"


@pytest.mark.parametrize(
    "sql",
    [
        "select a from t",
        "select a from t where tenant_id = :tenant_id",
        "select a from t where env = :env",
        "select a from t where tenant_id = :tenant_id and env = :environment",
        "select a from t where tenant_id = :tenant_ids and env = :env",
        WHERE + " -- and more",
        WHERE + " /* and more */",
    ],
)
def test_sql_without_tenant_and_env_is_refused(sql: str) -> None:
    """Missing, misspelt or commented out: none becomes a statement."""
    with pytest.raises(ValueError, match="must filter"):
        Statement(sql)


def test_tenant_wide_sql_needs_the_tenant_alone() -> None:
    """Members belong to all envs; without the tenant even they are refused."""
    Statement("select a from members where tenant_id = :tenant_id", tenant_wide=True)
    with pytest.raises(ValueError, match="must filter"):
        Statement("select a from members where env = :env", tenant_wide=True)


@given(st.lists(st.integers(0, 40), max_size=40), st.lists(st.integers(0, 40), max_size=9))
def test_a_widened_list_means_the_same_as_the_list(first: list[int], second: list[int]) -> None:
    """Two lists of any length select what Python's `in` selects, empty ones nothing."""
    statement = Statement(
        "with t(a) as (select value from json_each(:all)) select a from t "
        "where (a in (:ids...) or a in (:other_ids...)) and :tenant_id = 1 and :env = 1"
    )
    sql, values = statement.bind({"ids": first, "other_ids": second})
    with sqlite3.connect(":memory:") as connection:
        rows = connection.execute(sql, {**values, "tenant_id": 1, "env": 1, "all": str(list(range(41)))}).fetchall()
    connection.close()
    assert [row[0] for row in rows] == [number for number in range(41) if number in first or number in second]


def test_lists_of_many_lengths_become_few_statements() -> None:
    """Widths are powers of two: a thousand lengths make eleven texts."""
    statement = Statement(f"{WHERE} and a in (:ids...)")
    texts = {statement.bind({"ids": list(range(length))})[0] for length in range(1025)}
    assert len(texts) == 11


def test_a_list_over_the_limit_is_refused() -> None:
    """4,096 go, one more does not."""
    statement = Statement(f"{WHERE} and a in (:ids...)")
    statement.bind({"ids": [1] * MOST_IN_A_LIST})
    with pytest.raises(ValueError, match="at most 4096"):
        statement.bind({"ids": [1] * (MOST_IN_A_LIST + 1)})


def test_a_list_and_a_single_value_are_not_confused() -> None:
    """A text is no list of characters, and a list is no value."""
    statement = Statement(f"{WHERE} and a in (:ids...) and b = :b")
    for values in ({"ids": "abc"}, {"ids": b"abc"}, {"ids": 5}, {"b": ["x"]}):
        with pytest.raises(ValueError, match="must be"):
            statement.bind(values)


def test_text_with_a_nul_is_refused_on_every_engine() -> None:
    """Postgres keeps none, and what one engine keeps all do: the same answer everywhere, before anything is sent."""
    statement = Statement("select 1 where tenant_id = :tenant_id and env = :env and a in (:names...) and b = :data")
    assert statement.bind({"names": ["a"], "data": b"\0"})[1]["data"] == b"\0"
    with pytest.raises(Invalid, match=r"U\+0000"):
        statement.bind({"names": ["a", "b\0c"], "data": b""})
    with pytest.raises(Invalid, match=r"U\+0000"):
        statement.bind({"names": [], "data": "\0"})
