"""Checks, without the Workers runtime, that the runtime would import a `secret_key` binding's key."""

from nightsafe.webcrypto.check import check_key
from nightsafe.webcrypto.encoding import decode_base64, is_pem, pem_error
from nightsafe.webcrypto.errors import KeyRefusedError

__all__ = ["KeyRefusedError", "check_key", "decode_base64", "is_pem", "pem_error"]
