"""A real server that speaks S3, in this process, for whoever is told its address."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

BUCKET = "trainstack-tests"


@contextmanager
def server() -> Iterator[dict[str, str]]:
    """Serve an empty bucket; yields the environment in which boto3 finds it."""
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
            # Neither this machine's settings nor its role.
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        # Its buckets are the process's: those of an earlier test would still be there.
        address = f"{environment['AWS_ENDPOINT_URL']}/moto-api/reset"
        urllib.request.urlopen(urllib.request.Request(address, method="POST")).close()
        client(environment).create_bucket(Bucket=BUCKET)
        yield environment
    finally:
        here.stop()


def client(environment: dict[str, str]):
    """Return a client of boto3's own, to look at what was written."""
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
