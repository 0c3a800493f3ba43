"""Describes every call of the API, once for both clients. Nothing here does input or output."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from nightsafe.bindings.json_fields import pointer_to
from nightsafe.client.call import Call, Place, make, segment
from nightsafe.client.envelope import Listed, as_text, nothing, page_of, result_of, wrapped_page_of
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

Seal: TypeAlias = Callable[[Mapping[str, Any], str], Mapping[str, Any]]
"""Returns a binding with its value sealed, or unchanged. The second argument is its JSON Pointer in the body."""


def get_secret(place: Place, name: str, query: Query, options: RequestOptions) -> Call[Secret]:
    """Describe a read of one secret."""
    path = f"{place.path}/secrets/{segment('secret_name', name)}"
    return make("GET", path, result_of(Secret), options, query=query)


def list_secrets(place: Place, options: RequestOptions) -> Call[Listed[Secret]]:
    """Describe a list of the secrets of a script."""
    return make("GET", f"{place.path}/secrets", page_of(Secret), options)


def put_secret(place: Place, fields: Mapping[str, Any], options: RequestOptions, seal: Seal) -> Call[Secret]:
    """Describe the creation or replacement of a secret."""
    return make("PUT", f"{place.path}/secrets", result_of(Secret), options, body=seal(fields, ""))


def delete_secret(place: Place, name: str, query: Query, options: RequestOptions) -> Call[None]:
    """Describe the removal of a secret."""
    path = f"{place.path}/secrets/{segment('secret_name', name)}"
    return make("DELETE", path, nothing, options, query=query)


def patch_secrets(
    place: Place, fields: Mapping[str, Any], options: RequestOptions, seal: Seal
) -> Call[dict[str, Secret]]:
    """Describe the creation, replacement and removal of several secrets in one version."""
    secrets = fields.get("secrets")
    if secrets:
        there = {name: {"name": name, **entry} for name, entry in secrets.items() if entry is not None}
        sealed = _sealed_each(there, "/secrets", seal)
        fields = {**fields, "secrets": {name: sealed.get(name) for name in secrets}}
    return make("PATCH", f"{place.path}/secrets-bulk", result_of(dict[str, Secret]), options, body=fields)


def upload_script(  # noqa: PLR0913, PLR0917 - the sides of an upload
    place: Place,
    metadata: Mapping[str, Any],
    bindings_inherit: str | Omit,
    files: Sequence[File],
    options: RequestOptions,
    seal: Seal,
) -> Call[Script]:
    """Describe an upload of a script, which is deployed at once."""
    return _upload("PUT", place.path, result_of(Script), metadata, bindings_inherit, files, options, seal)


def list_scripts(account_id: str, tags: str | Omit, options: RequestOptions) -> Call[Listed[Script]]:
    """Describe a list of the scripts of an account."""
    path = f"/accounts/{segment('account_id', account_id)}/workers/scripts"
    return make("GET", path, page_of(Script), options, query={"tags": tags})


def get_script(place: Place, options: RequestOptions) -> Call[str]:
    """Describe a read of a script's code."""
    return make("GET", place.path, as_text, options, headers={"Accept": "application/javascript"})


def delete_script(place: Place, query: Query, options: RequestOptions) -> Call[None]:
    """Describe the removal of a script with everything that belongs to it."""
    return make("DELETE", place.path, nothing, options, query=query)


def upload_version(  # noqa: PLR0913, PLR0917 - the sides of an upload
    place: Place,
    metadata: Mapping[str, Any],
    bindings_inherit: str | Omit,
    files: Sequence[File],
    options: RequestOptions,
    seal: Seal,
) -> Call[Version]:
    """Describe an upload of a version, which is not deployed."""
    path = f"{place.path}/versions"
    return _upload("POST", path, result_of(Version), metadata, bindings_inherit, files, options, seal)


def list_versions(place: Place, query: Query, options: RequestOptions) -> Call[Listed[Version]]:
    """Describe a list of a script's versions, newest first."""
    return make("GET", f"{place.path}/versions", wrapped_page_of(Version), options, query=query)


def get_version(place: Place, version_id: str, options: RequestOptions) -> Call[Version]:
    """Describe a read of one version with its bindings, code and settings."""
    path = f"{place.path}/versions/{segment('version_id', version_id)}"
    return make("GET", path, result_of(Version), options)


def create_deployment(  # noqa: PLR0913, PLR0917 - the sides of a deployment
    place: Place,
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
    path = f"{place.path}/deployments"
    return make("POST", path, result_of(Deployment), options, query=query, body=body)


def list_deployments(place: Place, query: Query, options: RequestOptions) -> Call[Listed[Deployment]]:
    """Describe a list of a script's deployments, newest first."""
    return make("GET", f"{place.path}/deployments", wrapped_page_of(Deployment), options, query=query)


def get_deployment(place: Place, deployment_id: str, options: RequestOptions) -> Call[Deployment]:
    """Describe a read of one deployment."""
    path = f"{place.path}/deployments/{segment('deployment_id', deployment_id)}"
    return make("GET", path, result_of(Deployment), options)


def verify_token(options: RequestOptions) -> Call[TokenStatus]:
    """Describe a check that the token in use works."""
    return make("GET", "/user/tokens/verify", result_of(TokenStatus), options)


def get_user(options: RequestOptions) -> Call[User]:
    """Describe a read of the user that the credentials belong to."""
    return make("GET", "/user", result_of(User), options)


def list_accounts(query: Query, options: RequestOptions) -> Call[Listed[Account]]:
    """Describe a list of the accounts that the credentials can see."""
    return make("GET", "/accounts", page_of(Account), options, query=query)


def get_account(account_id: str, options: RequestOptions) -> Call[Account]:
    """Describe a read of one account."""
    return make("GET", f"/accounts/{segment('account_id', account_id)}", result_of(Account), options)


def _sealed_each(bindings: Mapping[K, Mapping[str, Any]], at: str, seal: Seal) -> dict[K, Mapping[str, Any]]:
    """Return all bindings sealed; raise all problems with them together."""
    sealed: dict[K, Mapping[str, Any]] = {}
    problems: list[Problem] = []
    for key, one in bindings.items():
        try:
            sealed[key] = seal(one, pointer_to(at, key))
        except NightsafeError as error:
            problems += error.problems
    if problems:
        raise NightsafeError.of(problems)
    return sealed


def _upload(  # noqa: PLR0913, PLR0917 - the sides of an upload
    method: str,
    path: str,
    read: Callable[[bytes], Any],
    metadata: Mapping[str, Any],
    bindings_inherit: str | Omit,
    files: Sequence[File],
    options: RequestOptions,
    seal: Seal,
) -> Call[Any]:
    """Describe an upload of a script or of a version."""
    bindings = metadata.get("bindings")
    if bindings:
        sealed = _sealed_each(dict(enumerate(bindings)), "/bindings", seal)
        metadata = {**metadata, "bindings": list(sealed.values())}
    content_type, content = encode_form({**metadata, **(options.get("extra_body") or {})}, files)
    query = {"bindings_inherit": bindings_inherit}
    bare = make(method, path, read, {**options, "extra_body": None}, query=query)
    return Call(
        method=bare.method,
        path=bare.path,
        read=bare.read,
        query=bare.query,
        content=content,
        content_type=content_type,
        headers=bare.headers,
        timeout=bare.timeout,
    )
