"""What the library says of a flawed document or variable, in words for whoever sent it, and what to do about it.

Values are not repeated, neither as Python nor as GraphQL: the place in the document or the path into the variables
tells which is meant.
"""

from __future__ import annotations

import re

_SCHEMA = "schema/nexus.graphql"
_ECHO = re.compile(r" cannot represent (?:[a-z0-9 -]{1,60} )?value: ")
_SUGGESTION = " Did you mean "
_HINTS = tuple(
    (re.compile(pattern), hint)
    for pattern, hint in (
        (r"Syntax Error", "Mend the document at the line and column of `locations`."),
        (r"Cannot query field '\w+' on type '(\w+)'", rf"Look up the fields of \1 in {_SCHEMA}."),
        (r"Unknown argument '\w+' on field '([\w.]+)'", rf"Look up the arguments of \1 in {_SCHEMA}."),
        (r"Unknown type", f"Types are named as in {_SCHEMA}, capitals included."),
        (r"Unknown fragment", "Define it in the same document."),
        (r"Unknown directive", "Use @include or @skip, on a field or a fragment."),
        (r"The directive '(@\w+)' can only be used once", r"Keep one \1."),
        (r"Argument '[^']+' of type '([^']+)' is required", r"Give it a value of type \1."),
        (r"There can be only one (\w+)", r"Keep one \1, or give the others other names."),
        (r"Field '\w+' of type '[^']+' must have a selection", "Select what is needed of it, in braces."),
        (r"Field '\w+' must not have a selection", "Leave out the braces after it."),
        (r"Variable '(\$\w+)' of type '[^']+' used in position expecting type '([^']+)'", r"Declare it as \1: \2."),
        (r"Variable '\$\w+' cannot be non-input type", f"Declare it with a scalar, enum or input of {_SCHEMA}."),
        (r"Variable '\$\w+' is never used", "Use it, or leave out its declaration."),
        (r"Variable '\$\w+' is not defined", "Declare it with its type, after the name of the operation."),
        (r"Variable '\$(\w+)' has invalid value", r"Send another value for `\1` in `variables`."),
        (r"Fields '\w+' conflict", "Give one of them an alias."),
        (r"Fragment '\w+' is never used", "Spread it, or leave it out."),
        (r"Fragment '\w+' cannot be spread here|Fragment cannot be spread here", "Spread it where its type can stand."),
        (r"Cannot spread fragment '\w+' within itself", "Let no fragment lead back to itself."),
        (r"Anonymous Subscription|Subscription '\w+'", "Ask for one field; use a subscription for each."),
        (r"This anonymous operation", "Name every operation of the document."),
        (r"Value '\w+' does not exist in '(\w+)'", rf"Look up the values of \1 in {_SCHEMA}."),
        (r"Enum '(\w+)' cannot represent", rf"Send one of the values of \1 in {_SCHEMA}."),
        (r"Expected value of type '(\w+)'", rf"Look up \1 in {_SCHEMA}."),
    )
)
_OTHERWISE = f"Check the document against {_SCHEMA}."


def plain(message: str) -> str:
    """What is wrong, without the value that is."""
    message = message.replace(" not to be None.", " not to be null.").replace("<EOF>", "the end")
    head, told, _ = message.partition(", found: ")
    if told:
        return f"{head}."
    message = message.partition(" Found: ")[0]
    if echo := _ECHO.search(message):
        suggestion = message[echo.end() :].rpartition(_SUGGESTION)
        return f"{message[: echo.end() - 2]}.{''.join(suggestion[1:]) if suggestion[1] else ''}"
    return message


def hint(message: str) -> str:
    """What to do about it."""
    for pattern, advice in _HINTS:
        if found := pattern.search(message):
            return found.expand(advice)
    return _OTHERWISE
