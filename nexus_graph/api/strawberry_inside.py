"""Where we reach into Strawberry, which documents none of it. Read in strawberry-graphql 0.341.2.

The door runs the graph by itself, and reads back from the declarations what its gates and prices are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from enum import Enum
from typing import Any, TypeGuard, cast

import strawberry
from graphql import GraphQLDirective, GraphQLField, GraphQLInputObjectType, GraphQLObjectType, GraphQLSchema
from strawberry.execution.is_awaitable import optimized_is_awaitable
from strawberry.schema.base import BaseSchema
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField
from strawberry.types.scalar import ScalarDefinition

__all__ = (
    "BaseSchema",
    "ScalarDefinition",
    "StrawberryField",
    "attribute_of",
    "declared",
    "describe_directives",
    "describe_values",
    "executor_class",
    "fields",
    "graph_of",
    "has_resolver",
    "inputs",
    "is_awaitable",
    "is_one_of",
    "python_type_of",
)

is_awaitable = cast("Callable[[Any], TypeGuard[Awaitable[Any]]]", optimized_is_awaitable)  # declared as bool there
"""Whether a value is to be awaited: faster than graphql-core's own test."""

_DEFINITION = "strawberry-definition"
"""Where a type of graphql-core keeps what it was made from."""


def graph_of(schema: strawberry.Schema) -> GraphQLSchema:
    """The schema as graphql-core knows it."""
    return schema._schema


def executor_class(schema: strawberry.Schema) -> type[Any]:
    """What executes operations over it."""
    return schema.execution_context_class


def fields(schema: BaseSchema) -> Iterator[tuple[str, str, StrawberryField]]:
    """Every field of an object, interface or input: the name of its type, its own, and its declaration."""
    for owner, known in schema.schema_converter.type_map.items():
        if isinstance(known.definition, StrawberryObjectDefinition):
            for field in known.definition.fields:
                yield owner, schema.config.name_converter.get_graphql_name(field), field


def has_resolver(field: StrawberryField) -> bool:
    """Whether a field is answered by a function of its own, and not by an attribute."""
    return field.base_resolver is not None


def inputs(field: StrawberryField) -> list[object]:
    """What the resolver of a field declares its argument `input` to be, if it takes one."""
    found = [argument.type_annotation for argument in field.arguments if argument.python_name == "input"]
    return [annotation.resolve() for annotation in found if annotation is not None]


def is_one_of(kind: GraphQLInputObjectType) -> bool:
    """Whether exactly one member of an input is given: graphql-core is not told of it."""
    return bool(kind.extensions[_DEFINITION].is_one_of)


def describe_values(enum: type[Enum], meanings: Mapping[str, str]) -> None:
    """Describe the values of a declared enum. Raises KeyError for one that has no meaning."""
    declared: Any = enum
    for value in declared.__strawberry_definition__.values:
        value.description = meanings[value.name]


def describe_directives(schema: strawberry.Schema) -> None:
    """Describe the arguments of the schema's own directives as they were declared: that is lost on the way.

    In the graph, and in those copies from which the SDL is printed.
    """
    for directive in (*graph_of(schema).directives, *schema._schema_graphql_directives.values()):
        _describe(directive, schema)


def _describe(directive: GraphQLDirective, schema: strawberry.Schema) -> None:
    declared = directive.extensions.get(_DEFINITION)
    for field in declared.fields if declared else ():
        directive.args[schema.config.name_converter.get_graphql_name(field)].description = field.description


def declared(field: GraphQLField) -> StrawberryField | None:
    """What a field was declared as."""
    found = field.extensions.get(_DEFINITION)
    return found if isinstance(found, StrawberryField) else None


def attribute_of(field: GraphQLField) -> str | None:
    """The attribute that answers a field, unless a function of its own does."""
    found = declared(field)
    return found.python_name if found is not None and found.is_basic_field else None


def python_type_of(kind: GraphQLObjectType) -> type | None:
    """The class whose instances are of a type, unless several types share it."""
    declared = kind.extensions.get(_DEFINITION)
    if isinstance(declared, StrawberryObjectDefinition) and declared.concrete_of is None:
        return declared.origin
    return None
