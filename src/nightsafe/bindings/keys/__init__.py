"""Whether the Workers runtime would import a `secret_key` binding's key, decided without the runtime."""

from nightsafe.bindings.keys.check import check_key
from nightsafe.bindings.keys.encoding import decode_base64, is_pem, pem_error
from nightsafe.bindings.keys.errors import KeyRefusedError

__all__ = ["KeyRefusedError", "check_key", "decode_base64", "is_pem", "pem_error"]
