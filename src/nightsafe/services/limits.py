"""Limits on requests and resources. The defaults are those of the Workers platform."""

from typing import Self

from msgspec import Struct
from msgspec.structs import replace


class Limits(Struct, frozen=True, kw_only=True):
    """The limits that an operator can set.

    Attributes:
        max_variables: secrets, text and JSON variables in one script.
        max_operations: secrets set or deleted in one patch.
        max_body_bytes: size of a JSON request body.
        max_upload_bytes: size of a script upload, all parts together.
        max_metadata_bytes: size of the JSON part of a script upload.
        max_annotation_bytes: size of the tags and annotations of a version, as JSON.
        max_bindings: bindings of any type in one upload.
        max_modules: files in one upload.
        max_stores: secrets stores in one account; 0 for no limit.
        max_store_secrets: secrets in all stores of one account together; 0 for no limit.
        max_store_value_bytes: size of the value of a secret in a store.
        upload_memory: bytes of memory for all large request bodies together.
        upload_seconds: time that a body waits for free memory.
        body_seconds: time that a request body may pause.
        rate_limit: requests of one credential in a window of `rate_seconds`; 0 for no limit. A credential that
            exceeds it is refused for one more window.
        rate_seconds: length of that window.
        auth_failures: failed authentications from one source address in a minute; 0 for no limit.
    """

    max_variables: int = 128
    max_operations: int = 100
    max_body_bytes: int = 2 * 1024 * 1024
    max_upload_bytes: int = 64 * 1024 * 1024
    max_metadata_bytes: int = 1024 * 1024
    max_annotation_bytes: int = 8 * 1024
    max_bindings: int = 1000
    max_modules: int = 1000
    max_stores: int = 1
    max_store_secrets: int = 100
    max_store_value_bytes: int = 64 * 1024
    upload_memory: int = 256 * 1024 * 1024
    upload_seconds: float = 30.0
    body_seconds: float = 30.0
    rate_limit: int = 0
    rate_seconds: float = 300.0
    auth_failures: int = 1000

    def share(self, processes: int) -> Self:
        """Return one process's share of the limits on requests and memory, rounded up. No limit stays no limit."""
        return replace(
            self,
            upload_memory=-(-self.upload_memory // processes),
            rate_limit=-(-self.rate_limit // processes),
            auth_failures=-(-self.auth_failures // processes),
        )
