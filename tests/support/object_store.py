"""A real server with the S3 protocol, in this process."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

BUCKET = "trainstack-tests"


@contextmanager
def server() -> Iterator[dict[str, str]]:
    """Serve an empty bucket; yield the environment in which boto3 finds it."""
    from moto.server import ThreadedMotoServer

    here = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    here.start()
    try:
        host, port = here.get_host_and_port()
        environment = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "s3cr3t-word",
            "AWS_DEFAULT_REGION": "us-east-1",
            # Ignore this machine's settings and role.
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        # Buckets belong to the process, so those of an earlier test would remain.
        address = f"{environment['AWS_ENDPOINT_URL']}/moto-api/reset"
        urllib.request.urlopen(urllib.request.Request(address, method="POST")).close()
        client(environment).create_bucket(Bucket=BUCKET)
        yield environment
    finally:
        here.stop()


def client(environment: dict[str, str]):
    """Return a boto3 client, to inspect the bucket."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
    )


def names(environment: dict[str, str]) -> list[str]:
    """Return the keys of all objects."""
    listed = client(environment).list_objects_v2(Bucket=BUCKET)
    return [entry["Key"] for entry in listed.get("Contents", [])]
