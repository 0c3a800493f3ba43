"""Maps Nightsafe's error codes to Cloudflare's: HTTP status, numeric code, message, documentation link.

Source of statuses, codes and messages: public traffic and the specification of the Cloudflare v4 API. A code that is
not in the table becomes a 500 without detail.
"""

from msgspec import Struct

from nightsafe.errors import Code, Problem

_MAX_DETAIL = 3000
"""The most characters of a refusal's detail. The longest binding name fits; a longer name from a path is cut."""

_DOCS = "https://developers.cloudflare.com"
_REFERENCE = f"{_DOCS}/api/resources"
_SCRIPT = f"{_REFERENCE}/workers/subresources/scripts"
_CALLS = f"{_DOCS}/fundamentals/api/how-to/make-api-calls/"
_TROUBLES = f"{_DOCS}/fundamentals/api/troubleshooting/"
_RATES = f"{_DOCS}/fundamentals/api/reference/limits/"
_TOKENS = f"{_DOCS}/fundamentals/api/how-to/create-via-api/"
_AUTH = f"{_DOCS}/fundamentals/api/get-started/create-token/"
_PERMISSIONS = f"{_DOCS}/fundamentals/api/reference/permissions/"
_RESTRICTIONS = f"{_DOCS}/fundamentals/api/how-to/restrict-tokens/"
_KEYS = f"{_DOCS}/fundamentals/api/get-started/keys/"
_ERRORS = f"{_DOCS}/workers/observability/errors/"
_INVALID = f"{_ERRORS}#validation-errors-10021"
_SECRETS = f"{_DOCS}/workers/configuration/secrets/"
_SECRET = f"{_SCRIPT}/subresources/secrets/"
_SETTINGS = f"{_SCRIPT}/subresources/script_and_version_settings/methods/edit/"
_UPLOADS = f"{_DOCS}/workers/configuration/multipart-upload-metadata/"
_DELETION = f"{_SCRIPT}/methods/delete/"
_SCRIPTS = f"{_SCRIPT}/methods/list/"
_NAMES = f"{_DOCS}/workers/wrangler/configuration/#inheritable-keys"
_BINDINGS = f"{_DOCS}/workers/runtime-apis/bindings/"
_VARIABLES = f"{_DOCS}/workers/configuration/environment-variables/"
_SERVICES = f"{_DOCS}/workers/runtime-apis/bindings/service-bindings/"
_ENVIRONMENTS = f"{_DOCS}/workers/wrangler/environments/"
_STORED = f"{_DOCS}/secrets-store/integrations/workers/"
_LIMITS = f"{_DOCS}/workers/platform/limits/"
_SIZE = f"{_LIMITS}#worker-size"
_VARIABLE_LIMITS = f"{_LIMITS}#environment-variables"
_VERSIONS = f"{_DOCS}/workers/configuration/versions-and-deployments/"
_VERSION = f"{_SCRIPT}/subresources/versions/"
_DEPLOYMENT = f"{_SCRIPT}/subresources/deployments/"
_SHARES = f"{_VERSIONS}gradual-deployments/"
_MIGRATIONS = f"{_DOCS}/durable-objects/reference/durable-objects-migrations/"
_NAMESPACES = f"{_REFERENCE}/workers_for_platforms/subresources/dispatch/subresources/namespaces/"
_DISPATCHED = f"{_NAMESPACES}subresources/scripts/"
_PAGES = f"{_REFERENCE}/pages/subresources/projects/"
_NEW_PAGES = f"{_PAGES}methods/create/"
_STORES = f"{_REFERENCE}/secrets_store/subresources/stores/"
_STORE_SECRETS = f"{_STORES}subresources/secrets/"
_STORE_LIMITS = f"{_DOCS}/secrets-store/manage-secrets/"
_PRODUCTS = f"{_DOCS}/products/"


class Row(Struct, frozen=True):
    """The form that one of Nightsafe's codes takes in an answer.

    Attributes:
        status: HTTP status.
        code: Cloudflare's numeric code.
        message: with `{detail}` in place of the problem's detail, and `{kind}` in place of its kind of binding.
        documentation_url: the page to read; "" where a client would take a link for a part of the message.
        chain: the specific code and message that Cloudflare nests below a general one.
    """

    status: int
    code: int
    message: str
    documentation_url: str
    chain: tuple[int, str] | None = None


INTERNAL = Row(500, 10002, "workers.api.error.internal_server: the safe's log names the cause.", _TROUBLES)

TABLE: dict[Code, Row] = {
    Code.BODY_UNREADABLE: Row(400, 10026, "Could not parse the request body: {detail}.", _CALLS),
    Code.BODY_TOO_LARGE: Row(413, 10026, "The request body is too large: the limit is {detail} bytes.", _CALLS),
    Code.CONTENT_TYPE: Row(400, 10001, "Unsupported or unexpected Content-Type: {detail}.", _CALLS),
    Code.MALFORMED_HEADER: Row(400, 6003, "Invalid request headers: {detail}.", _CALLS),
    Code.INVALID: Row(400, 10021, "{detail}.", _INVALID),
    Code.NO_ROUTE: Row(400, 7000, "No route for that URI", _TROUBLES),
    Code.BAD_IDENTIFIER: Row(
        404, 7003, "Could not route to {detail}, perhaps your object identifier is invalid?", _TROUBLES
    ),
    Code.MALFORMED_PARAMETER: Row(400, 10004, "The parameter '{detail}' is malformed", _TROUBLES),
    Code.METHOD_NOT_ALLOWED: Row(405, 10405, "Method not allowed for this authentication scheme", _TROUBLES),
    Code.TIMEOUT: Row(408, 10026, "The request body did not arrive in time: {detail}.", _CALLS),
    Code.NO_CREDENTIALS: Row(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers", _AUTH),
    Code.MALFORMED_AUTHORIZATION: Row(
        400, 6003, "Invalid request headers", _AUTH, (6111, "Invalid format for Authorization header")
    ),
    Code.MALFORMED_KEY: Row(
        400, 6003, "Invalid request headers", _KEYS, (6103, "Invalid format for X-Auth-Key header")
    ),
    Code.MALFORMED_EMAIL: Row(
        400, 6003, "Invalid request headers", _KEYS, (6102, "Invalid format for X-Auth-Email header")
    ),
    Code.UNKNOWN_KEY: Row(400, 9103, "Unknown X-Auth-Key or X-Auth-Email", _KEYS),
    Code.UNKNOWN_SERVICE_KEY: Row(400, 9103, "Unknown X-Auth-User-Service-Key", _KEYS),
    Code.UNKNOWN_TOKEN: Row(403, 9109, "Invalid access token", _AUTH),
    Code.INVALID_API_TOKEN: Row(401, 1000, "Invalid API Token", _AUTH),
    Code.AUTHENTICATION_FAILED: Row(400, 9106, "Authentication failed (status: 400)", _AUTH),
    Code.ADDRESS_REFUSED: Row(403, 9109, "Cannot use the access token from location: {detail}", _RESTRICTIONS),
    Code.NOT_PERMITTED: Row(403, 10000, "Authentication error", _PERMISSIONS),
    Code.NOT_AUTHORIZED: Row(403, 9109, "Unauthorized to access requested resource", _PERMISSIONS),
    Code.TOKEN_NOT_FOUND: Row(404, 1003, "Token not found", _TOKENS),
    Code.TOO_MANY_REQUESTS: Row(
        429,
        971,
        "Please wait and consider throttling your request speed",
        _RATES,
    ),
    Code.TOO_MANY_FAILURES: Row(429, 10502, "Too many authentication failures", _RATES),
    Code.TOKEN_EXCEEDS: Row(403, 9109, "Unauthorized to access requested resource: {detail}", _TOKENS),
    Code.SCRIPT_NOT_FOUND: Row(404, 10007, "This Worker does not exist on your account.", _SCRIPTS),
    Code.SCRIPT_NAME: Row(
        400,
        10016,
        "Invalid Worker name: use up to {detail} lower-case letters, digits, - and _, and do not begin with -.",
        _NAMES,
    ),
    Code.SCRIPT_TOO_LARGE: Row(
        413, 10027, "workers.api.error.script_too_large: the limit is {detail} bytes for all parts.", _SIZE
    ),
    Code.NO_SETTINGS: Row(400, 10201, "The settings are missing: {detail}.", _SETTINGS),
    Code.SCRIPT_IN_USE: Row(400, 10142, "Cannot delete this Worker as {detail}.", _DELETION),
    Code.SCRIPT_UNPARSABLE: Row(400, 10006, "Could not parse the script upload: {detail}.", _UPLOADS),
    Code.BINDING_UNNAMED: Row(400, 10052, "Binding at index {detail} must have a name", _BINDINGS),
    Code.BINDING_NAME_TOO_LONG: Row(
        400, 10100, "workers.api.error.binding_name_too_large: the limit is {detail} bytes.", _BINDINGS
    ),
    Code.BINDING_NAME_TAKEN: Row(
        400,
        10053,
        "Binding name '{detail}' already in use. Please use a different name and try again.{kind}",
        _VARIABLES,
    ),
    Code.BINDING_NOT_FOUND: Row(
        404, 10056, "Binding '{detail}' not found. Please use a different name and try again.{kind}", _SECRET
    ),
    Code.BINDING_TOO_LARGE: Row(
        400, 10054, "Text binding '{detail}' is too large. Text bindings must not exceed 5.1 kB.", _VARIABLE_LIMITS
    ),
    Code.TOO_MANY_BINDINGS: Row(400, 10055, "{detail}", _VARIABLE_LIMITS),
    Code.TOO_MANY_OPERATIONS: Row(
        400, 100160, "The request has {detail} operations; at most 100 are allowed. Send them in parts.", _LIMITS
    ),
    Code.INHERIT: Row(
        400,
        10057,
        "inherit binding '{detail}' is invalid: previous version does not have binding named '{detail}'",
        _UPLOADS,
    ),
    Code.INHERIT_RENAMED: Row(
        400,
        10057,
        "inherit binding '{detail}' is invalid: a secret is sealed to its name; set it again under the new name",
        _UPLOADS,
    ),
    Code.INHERIT_VERSION: Row(
        400,
        10057,
        "inherit binding '{detail}' is invalid: only the literal 'latest' is supported as its 'version_id'",
        _UPLOADS,
    ),
    Code.SERVICE_UNBOUND: Row(400, 10143, "Service binding {detail}.", _SERVICES),
    Code.SERVICE_ENVIRONMENT: Row(400, 10144, "Service binding {detail}.", _ENVIRONMENTS),
    Code.STORED_SECRET_UNBOUND: Row(400, 10182, "Secrets Store binding {detail}.", _STORED),
    Code.SECRET_NOT_LIVE: Row(
        400,
        10215,
        "Secret edit failed. You attempted to modify a secret, but the latest version of your Worker isn't currently "
        "deployed. Please ensure that the latest version of your Worker is fully deployed (wrangler versions deploy) "
        "before modifying secrets, or make a version with the secret and deploy that (wrangler versions secret put).",
        _SECRETS,
    ),
    Code.SETTINGS_NOT_LIVE: Row(
        400,
        10214,
        "Script edit failed. You attempted to deploy the latest version with modified settings, but the latest "
        "version isn't currently deployed. Either upload a new version to edit the version settings, or use the "
        'script-level settings API (/workers/scripts/{script_name}/script-settings) to modify the "logpush" and '
        '"tail_consumers" settings.',
        _VERSIONS,
    ),
    Code.VERSION_NOT_FOUND: Row(404, 100146, "This Worker has no version {detail}.", _VERSION),
    Code.DEPLOYMENT_NOT_FOUND: Row(404, 10336, "This Worker has no deployment {detail}.", _DEPLOYMENT),
    Code.DEPLOYMENT_INVALID: Row(400, 10210, "Invalid deployment: {detail}.", _SHARES),
    Code.SECRETS_CHANGED: Row(
        400,
        10220,
        "A secret has changed since this version was active. If you are sure this is ok, add a ?force=true query "
        "parameter to allow the rollback. The following secrets have changed: {detail}",
        "",
    ),
    Code.SERVICE_NOT_FOUND: Row(
        404, 10090, "workers.api.error.service_not_found: there is no Worker {detail}", _SCRIPTS
    ),
    Code.MIGRATION_TAG: Row(400, 10079, "Migration tag precondition failed: {detail}.", _MIGRATIONS),
    Code.NAMESPACE_NOT_FOUND: Row(
        404, 100119, "The dispatch namespace '{detail}' does not exist on your account.", _NAMESPACES
    ),
    Code.NAMESPACE_NOT_EMPTY: Row(
        400, 100123, "The dispatch namespace still holds scripts: {detail}. Delete those first.", _NAMESPACES
    ),
    Code.DISPATCHED_NOT_FOUND: Row(
        404,
        10092,
        "workers.api.error.environment_not_found: there is no Worker {detail} in this dispatch namespace.",
        _DISPATCHED,
    ),
    Code.PROJECT_NOT_FOUND: Row(
        404,
        8000007,
        "Project not found. The specified project name does not match any of your existing projects.",
        _PAGES,
    ),
    Code.PROJECT_TAKEN: Row(
        400, 8000002, "A project with this name already exists. Choose a different project name.", _NEW_PAGES
    ),
    Code.STORE_VALUE_TOO_LONG: Row(400, 1001, "secret_value_too_long: the limit is {detail} bytes.", _STORE_LIMITS),
    Code.STORE_NOT_FOUND: Row(404, 1001, "store_not_found", _STORES),
    Code.COLLECTION_NOT_EMPTY: Row(
        400, 1003, "store_not_empty: it holds {detail} secrets. Delete those first, or ask with ?force=true.", _STORES
    ),
    Code.STORE_SECRET_NOT_FOUND: Row(404, 1001, "secret_not_found", _STORE_SECRETS),
    Code.STORE_SECRET_TAKEN: Row(400, 1003, "secret_name_already_exists: {detail}", _STORE_SECRETS),
    Code.STORE_NOT_GRANTED: Row(
        403,
        10000,
        "Authentication error: binding '{detail}' needs the permission Secrets Store Read on the account",
        _STORED,
    ),
    Code.TARGET_NOT_GRANTED: Row(
        403,
        10000,
        "Authentication error: {detail} leads to a Worker that does not exist or that your token may not read: give "
        "your token the permission Workers Scripts Read on that Worker, or remove the reference",
        _PERMISSIONS,
    ),
    Code.COLLECTION_TAKEN: Row(400, 1003, "The name '{detail}' is already in use. Choose another one.", _STORES),
    Code.TOO_MANY_COLLECTIONS: Row(400, 1003, "maximum_stores_exceeded: the limit is {detail}.", _STORE_LIMITS),
    Code.KEY_IN_USE: Row(400, 10021, "values are sealed to the key {detail}.", _SECRETS),
    Code.TOO_MANY_ITEMS: Row(400, 1003, "maximum_secrets_exceeded: the limit is {detail}.", _STORE_LIMITS),
    Code.UNSUPPORTED: Row(400, 10015, "Nightsafe does not {detail}.", _PRODUCTS),
    Code.DISK_FULL: Row(503, 10701, "{detail}.", _TROUBLES),
    Code.FILE_GONE: Row(503, 10702, "{detail}.", _TROUBLES),
    Code.LOG_FULL: Row(503, 10703, "{detail}.", _TROUBLES),
    Code.NOT_DURABLE: Row(503, 10704, "{detail}.", _TROUBLES),
    Code.OUTCOME_UNKNOWN: Row(503, 10705, "{detail}.", _TROUBLES),
    Code.ENTRIES_ARCHIVED: Row(410, 10707, "{detail}.", _TROUBLES),
    Code.NO_PRIMARY: Row(503, 10708, "{detail}.", _TROUBLES),
    Code.NODE_NOT_TRUSTED: Row(503, 10709, "{detail}.", _TROUBLES),
    Code.HELD: Row(503, 1102, "{detail}.", _ERRORS),
    Code.WAITING: Row(503, 10706, "{detail}.", _TROUBLES),
    Code.UNAVAILABLE: Row(503, 10002, "workers.api.error.internal_server: {detail}.", _TROUBLES),
}


def row_for(code: Code) -> Row:
    """Return the table's row, or the row of an internal error."""
    return TABLE.get(code, INTERNAL)


def as_json(problem: Problem) -> dict[str, object]:
    """Return one member of the envelope's `errors`."""
    row = row_for(problem.code)
    article = "an" if problem.kind.startswith(("a", "e", "i", "o", "u", "mtls")) else "a"
    kind = f" It is the name of {article} {problem.kind} binding." if problem.kind else ""
    error: dict[str, object] = {
        "code": row.code,
        "message": row.message.replace("{kind}", kind).replace("{detail}", problem.detail[:_MAX_DETAIL]),
    }
    if row.documentation_url:
        error["documentation_url"] = row.documentation_url
    if problem.pointer is not None:
        error["source"] = {"pointer": problem.pointer}
    if row.chain is not None:
        error["error_chain"] = [{"code": row.chain[0], "message": row.chain[1]}]
    return error
