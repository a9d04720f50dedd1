"""An S3-compatible server of one's own: moto's, over HTTP on a free port, in a thread."""

from __future__ import annotations

import importlib
import urllib.request
from collections import Counter
from functools import cached_property
from types import TracebackType
from typing import Any, Self

KEY_ID, SECRET = "AKIATESTING", "s3cret/which+nobody=may/see"
BUCKET = "composites"


class S3Server:
    """Starts empty but for `BUCKET`; ends with its context, or earlier by `stop`."""

    def __init__(self) -> None:
        moto: Any = importlib.import_module("moto.server")
        self._server = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)

    def __enter__(self) -> Self:
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        # moto's state is one for all its servers in a process.
        self._post("/moto-api/reset")
        self.let_everybody_in()
        self.client.create_bucket(Bucket=BUCKET)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find the server and to be let in."""
        return {
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
        }

    @cached_property
    def client(self) -> Any:
        return importlib.import_module("boto3").client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )

    def objects(self, prefix: str = "", *, bucket: str = BUCKET) -> dict[str, bytes]:
        """What lies below the prefix, by the rest of the key."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return {
            entry["Key"].removeprefix(prefix): self.client.get_object(
                Bucket=bucket, Key=entry["Key"]
            )["Body"].read()
            for page in pages
            for entry in page.get("Contents", [])
        }

    def names(self, prefix: str = "") -> list[str]:
        """Of at most the first thousand objects below the prefix."""
        listed = self.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"].removeprefix(prefix) for entry in listed.get("Contents", [])]

    def let_nobody_in(self) -> None:
        """From now on credentials are checked, and there are none that it knows."""
        self._post("/moto-api/reset-auth", b"0")

    def let_everybody_in(self) -> None:
        """As at the start."""
        self._post("/moto-api/reset-auth", b"inf")

    def count_versions(self) -> None:
        """From now on each time that an object is written is remembered."""
        self.client.put_bucket_versioning(
            Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"}
        )

    def versions(self, prefix: str = "") -> Counter[str]:
        """How often each of at most the first thousand objects was written, by `objects`' names."""
        listed = self.client.list_object_versions(Bucket=BUCKET, Prefix=prefix)
        return Counter(entry["Key"].removeprefix(prefix) for entry in listed.get("Versions", []))

    def stop(self) -> None:
        self._server.stop()

    def _post(self, path: str, data: bytes = b"") -> None:
        request = urllib.request.Request(
            f"{self.url}{path}", data, headers={"Content-Type": "text/plain"}
        )
        with urllib.request.urlopen(request) as answer:
            answer.read()
