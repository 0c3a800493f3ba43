"""Describes every call of the API, once for both clients. Nothing here does input or output."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from msgspec.structs import replace

from nightsafe.bindings.json_fields import pointer_to
from nightsafe.client.call import Call, ScriptLocation, make_call, segment
from nightsafe.client.envelope import ListPage, page_of, read_nothing, read_text, result_of, wrapped_page_of
from nightsafe.client.form import File, encode_form
from nightsafe.client.model import (
    Account,
    Deployment,
    Script,
    Secret,
    TokenStatus,
    User,
    Version,
)
from nightsafe.client.not_given import Omit, Query, RequestOptions
from nightsafe.errors import NightsafeError, Problem

K = TypeVar("K", str, int)
T = TypeVar("T")

SealBinding: TypeAlias = Callable[[Mapping[str, Any], str], Mapping[str, Any]]
"""Returns a binding with its value sealed, or unchanged. The second argument is its JSON Pointer in the body."""


class Upload(NamedTuple):
    """The content of an upload of a script or of a version.

    Attributes:
        metadata: the name of the main file, bindings and settings.
        bindings_inherit: `strict`, or omitted.
        files: the modules.
    """

    metadata: Mapping[str, Any]
    bindings_inherit: str | Omit
    files: Sequence[File]


def get_secret(location: ScriptLocation, name: str, query: Query, options: RequestOptions) -> Call[Secret]:
    """Describe a read of one secret."""
    path = f"{location.path}/secrets/{segment('secret_name', name)}"
    return make_call("GET", path, result_of(Secret), options, query=query)


def list_secrets(location: ScriptLocation, options: RequestOptions) -> Call[ListPage[Secret]]:
    """Describe a list of the secrets of a script."""
    return make_call("GET", f"{location.path}/secrets", page_of(Secret), options)


def put_secret(
    location: ScriptLocation, fields: Mapping[str, Any], options: RequestOptions, seal: SealBinding
) -> Call[Secret]:
    """Describe the creation or replacement of a secret."""
    return make_call("PUT", f"{location.path}/secrets", result_of(Secret), options, body=seal(fields, ""))


def delete_secret(location: ScriptLocation, name: str, query: Query, options: RequestOptions) -> Call[None]:
    """Describe the removal of a secret."""
    path = f"{location.path}/secrets/{segment('secret_name', name)}"
    return make_call("DELETE", path, read_nothing, options, query=query)


def patch_secrets(
    location: ScriptLocation, fields: Mapping[str, Any], options: RequestOptions, seal: SealBinding
) -> Call[dict[str, Secret]]:
    """Describe the creation, replacement and removal of several secrets in one version."""
    secrets = fields.get("secrets")
    if secrets:
        to_seal = {name: {"name": name, **secret} for name, secret in secrets.items() if secret is not None}
        sealed = _seal_all(to_seal, "/secrets", seal)
        fields = {**fields, "secrets": {name: sealed.get(name) for name in secrets}}
    return make_call("PATCH", f"{location.path}/secrets-bulk", result_of(dict[str, Secret]), options, body=fields)


def upload_script(
    location: ScriptLocation, upload: Upload, options: RequestOptions, seal: SealBinding
) -> Call[Script]:
    """Describe an upload of a script, which is deployed at once."""
    return _upload("PUT", location.path, result_of(Script), upload, options, seal)


def list_scripts(account_id: str, tags: str | Omit, options: RequestOptions) -> Call[ListPage[Script]]:
    """Describe a list of the scripts of an account."""
    path = f"/accounts/{segment('account_id', account_id)}/workers/scripts"
    return make_call("GET", path, page_of(Script), options, query={"tags": tags})


def get_script(location: ScriptLocation, options: RequestOptions) -> Call[str]:
    """Describe a read of a script's code."""
    return make_call("GET", location.path, read_text, options, headers={"Accept": "application/javascript"})


def delete_script(location: ScriptLocation, query: Query, options: RequestOptions) -> Call[None]:
    """Describe the removal of a script with everything that belongs to it."""
    return make_call("DELETE", location.path, read_nothing, options, query=query)


def upload_version(
    location: ScriptLocation, upload: Upload, options: RequestOptions, seal: SealBinding
) -> Call[Version]:
    """Describe an upload of a version, which is not deployed."""
    return _upload("POST", f"{location.path}/versions", result_of(Version), upload, options, seal)


def list_versions(location: ScriptLocation, query: Query, options: RequestOptions) -> Call[ListPage[Version]]:
    """Describe a list of a script's versions, newest first."""
    return make_call("GET", f"{location.path}/versions", wrapped_page_of(Version), options, query=query)


def get_version(location: ScriptLocation, version_id: str, options: RequestOptions) -> Call[Version]:
    """Describe a read of one version with its bindings, code and settings."""
    path = f"{location.path}/versions/{segment('version_id', version_id)}"
    return make_call("GET", path, result_of(Version), options)


def create_deployment(  # noqa: PLR0913, PLR0917 - the sides of a deployment
    location: ScriptLocation,
    strategy: str,
    versions: Iterable[Mapping[str, Any]],
    query: Query,
    annotations: Mapping[str, Any] | Omit,
    options: RequestOptions,
) -> Call[Deployment]:
    """Describe a deployment of one version, or of two that share the traffic."""
    body: dict[str, Any] = {"strategy": strategy, "versions": list(versions)}
    if not isinstance(annotations, Omit):
        body["annotations"] = {name.replace("workers_", "workers/", 1): note for name, note in annotations.items()}
    path = f"{location.path}/deployments"
    return make_call("POST", path, result_of(Deployment), options, query=query, body=body)


def list_deployments(location: ScriptLocation, query: Query, options: RequestOptions) -> Call[ListPage[Deployment]]:
    """Describe a list of a script's deployments, newest first."""
    return make_call("GET", f"{location.path}/deployments", wrapped_page_of(Deployment), options, query=query)


def get_deployment(location: ScriptLocation, deployment_id: str, options: RequestOptions) -> Call[Deployment]:
    """Describe a read of one deployment."""
    path = f"{location.path}/deployments/{segment('deployment_id', deployment_id)}"
    return make_call("GET", path, result_of(Deployment), options)


def verify_token(options: RequestOptions) -> Call[TokenStatus]:
    """Describe a check that the token in use works."""
    return make_call("GET", "/user/tokens/verify", result_of(TokenStatus), options)


def get_user(options: RequestOptions) -> Call[User]:
    """Describe a read of the user that the credentials belong to."""
    return make_call("GET", "/user", result_of(User), options)


def list_accounts(query: Query, options: RequestOptions) -> Call[ListPage[Account]]:
    """Describe a list of the accounts that the credentials can see."""
    return make_call("GET", "/accounts", page_of(Account), options, query=query)


def get_account(account_id: str, options: RequestOptions) -> Call[Account]:
    """Describe a read of one account."""
    return make_call("GET", f"/accounts/{segment('account_id', account_id)}", result_of(Account), options)


def _seal_all(bindings: Mapping[K, Mapping[str, Any]], pointer: str, seal: SealBinding) -> dict[K, Mapping[str, Any]]:
    """Return all bindings sealed; raise all problems with them together."""
    sealed: dict[K, Mapping[str, Any]] = {}
    problems: list[Problem] = []
    for key, binding in bindings.items():
        try:
            sealed[key] = seal(binding, pointer_to(pointer, key))
        except NightsafeError as error:
            problems += error.problems
    if problems:
        raise NightsafeError.of(problems)
    return sealed


def _upload(  # noqa: PLR0913, PLR0917 - the sides of a call
    method: str,
    path: str,
    read: Callable[[bytes], T],
    upload: Upload,
    options: RequestOptions,
    seal: SealBinding,
) -> Call[T]:
    """Describe an upload of a script or of a version."""
    metadata = upload.metadata
    bindings = metadata.get("bindings")
    if bindings:
        sealed = _seal_all(dict(enumerate(bindings)), "/bindings", seal)
        metadata = {**metadata, "bindings": list(sealed.values())}
    content_type, content = encode_form({**metadata, **(options.get("extra_body") or {})}, upload.files)
    query = {"bindings_inherit": upload.bindings_inherit}
    call = make_call(method, path, read, {**options, "extra_body": None}, query=query)
    return replace(call, content=content, content_type=content_type)
