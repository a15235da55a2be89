#!/usr/bin/env bash
# botocore that finds no credentials raises NoCredentialsError when it is to sign a URL, and callers catch that, or the
# BotoCoreError that it is. `generate_presigned_post` does not look whether it has any: with either signature it raises
# an AttributeError, which neither of the two catches.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: botocore==1.43.117
"$folder/venv/bin/pip" freeze
touch "$folder/empty"
env -i HOME="$folder" AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE="$folder/empty" \
  AWS_SHARED_CREDENTIALS_FILE="$folder/empty" BOTO_CONFIG="$folder/empty" "$folder/venv/bin/python" - <<'PYTHON'
from botocore.config import Config
from botocore.session import get_session


def raised(sign):
    """The name of what comes instead of a signature."""
    try:
        sign()
    except Exception as error:
        return type(error).__name__
    return None


seen = {}
for signature in ("s3", "s3v4"):
    client = get_session().create_client("s3", region_name="us-east-1", config=Config(signature_version=signature))
    seen[signature] = {
        "generate_presigned_url": raised(
            lambda: client.generate_presigned_url("get_object", {"Bucket": "boats", "Key": "keel"})
        ),
        "generate_presigned_post": raised(lambda: client.generate_presigned_post("boats", "keel")),
    }
print("guessed: NoCredentialsError from both")
for signature, errors in seen.items():
    for method, error in errors.items():
        print(f"seen: {signature:5} {method:24} {error}")
expected = {"generate_presigned_url": "NoCredentialsError", "generate_presigned_post": "AttributeError"}
assert seen == {"s3": expected, "s3v4": expected}, "this has changed"
PYTHON
