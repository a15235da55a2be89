#!/usr/bin/env bash
# orjson with OPT_SORT_KEYS looks like a fast RFC 8785 (JSON Canonicalization Scheme), and its bytes agree for what most
# tests hold. They part in two places: keys are ordered by code points, where the scheme orders UTF-16 code units (a key
# beyond U+FFFF comes before one from U+E000 on), and floats keep a ".0", a sign of zero and an exponent where ECMAScript
# has none. How floats are written also changed between versions of orjson: a digest over them does not survive an update.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
install() { "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "$@"; }
install rfc8785==0.1.4
for version in 3.11.4 3.13.0; do
  install orjson==$version
  "$folder/venv/bin/pip" freeze
  "$folder/venv/bin/python" - $version <<'PYTHON'
import sys

import orjson
import rfc8785

print("guessed: the same bytes")
seen = []
for value in ({"b": 1, "a": "ä"}, {"\ufb01": 1, "\U0001d400": 2}, 1e16, 1e21, 1e-7, 100.0, -0.0):
    fast, canonical = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode(), rfc8785.dumps(value).decode()
    seen.append(fast == canonical)
    print(f"seen: {ascii(fast):32} {ascii(canonical):32} {'same' if seen[-1] else 'different'}")
large = {"3.11.4": False, "3.13.0": True}[sys.argv[1]]
assert seen == [True, False, False, large, True, False, False], "this has changed"
PYTHON
done
