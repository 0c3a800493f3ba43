"""The deployments of a script: the versions that are served now, and the earlier ones.

Source: `workers/scripts/{script_name}/deployments` in the Cloudflare v4 API's specification.
"""

import re
import uuid
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from nightsafe.bindings.json_fields import need_array, need_object, need_string, optional_string, pointer_to
from nightsafe.bindings.unknown_members import refuse_misspelt
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.caller import Caller, script_change
from nightsafe.services.commit import commit
from nightsafe.services.delivery.admission import Admission
from nightsafe.services.limits import Limits
from nightsafe.services.lookup import find_script
from nightsafe.services.notices import Notices
from nightsafe.services.target_access import TargetAccess
from nightsafe.services.versions.annotations import annotation_notices, parse_annotations
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import NewDeployment, ScriptEdit
from nightsafe.store.scripts import ALWAYS, Deployment, Period, ScriptRef

WITHOUT_NEW_VERSION = frozenset({"deployment", "rollback"})
"""Values of `Deployment.triggered_by` for deployments of versions that already existed."""

_MAX_VERSIONS = 2
_FULL_PERCENTAGE = 100
_ROUNDING_ERROR = 1e-6
_UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


_MEMBERS = ("annotations", "code_update_strategy", "strategy", "versions")


class DeploymentPlan(Struct, frozen=True):
    """A deployment that a client requests.

    Attributes:
        versions: UUIDs of versions with percentages.
        annotations: JSON object.
        notices: unknown members of the request.
    """

    versions: tuple[tuple[bytes, float], ...]
    annotations: bytes
    notices: Notices = ()


class Deployments:
    """The use cases of deployments."""

    def __init__(self, store: Store, admission: Admission) -> None:
        self._store = store
        self._admission = admission
        self._targets = TargetAccess(store)

    async def list(
        self, ref: ScriptRef, offset: int, limit: int, period: Period = ALWAYS
    ) -> tuple[Sequence[Deployment], int]:
        """Return a page of the deployments of a period, newest first, and their total number.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        await self._need_script(ref)
        part = await self._store.deployments(ref, offset=offset, limit=limit, period=period)
        return part, await self._store.count_deployments(ref, period)

    async def get(self, ref: ScriptRef, deployment_id: str) -> Deployment:
        """Return one deployment by its UUID.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND or DEPLOYMENT_NOT_FOUND.
        """
        await self._need_script(ref)
        deployment_uuid = _uuid(deployment_id)
        deployment = None if deployment_uuid is None else await self._store.deployment(ref, deployment_uuid)
        if deployment is None:
            raise NightsafeError(Code.DEPLOYMENT_NOT_FOUND, deployment_id)
        return deployment

    async def create(
        self, caller: Caller, ref: ScriptRef, plan: DeploymentPlan, *, force: bool
    ) -> tuple[Deployment, Notices]:
        """Deploy versions that already exist.

        Args:
            caller: the caller.
            ref: the script.
            plan: the versions to deploy.
            force: go back to older versions even if secrets have changed since.

        Returns:
            The deployment, and notices of what cannot be served.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, DEPLOYMENT_INVALID for a missing version, SECRETS_CHANGED,
                TARGET_NOT_GRANTED, or any error that `Admission.check_deployment` raises.
        """
        await self._targets.check_versions(caller, ref, (version_id for version_id, _ in plan.versions))
        notices = await self._admission.check_deployment(ref, (version_id for version_id, _ in plan.versions))
        new = NewDeployment(
            id=uuid.uuid4().bytes,
            versions=plan.versions,
            source=caller.source,
            author_id=caller.principal.user_id,
            author_email=caller.principal.email,
            annotations=plan.annotations,
            force=force,
        )
        try:
            outcome = await commit(
                self._store, script_change(caller, "deployments.create", ScriptEdit(ref=ref, deploy=new))
            )
        except NightsafeError as error:
            if error.code is not Code.VERSION_NOT_FOUND:
                raise
            missing = f"Version not found: {error.problems[0].detail}"
            raise NightsafeError(Code.DEPLOYMENT_INVALID, missing, "/versions") from None
        if outcome.deployment is None:
            raise NightsafeError(Code.STORE, "the store did not return the deployment")
        return outcome.deployment, (*notices, *plan.notices)

    async def roll_back(  # noqa: PLR0913 - a rollback has many parts
        self, caller: Caller, ref: ScriptRef, target: str, message: str, limits: Limits, *, force: bool
    ) -> tuple[Deployment, Notices]:
        """Deploy the versions of an earlier deployment again, or one version alone.

        Args:
            caller: the caller.
            ref: the script.
            target: the UUID of the deployment or the version, with or without dashes.
            message: the message for the annotations, or "".
            limits: the limits on annotations.
            force: go back even if secrets have changed since.

        Returns:
            Like `create`.

        Raises:
            NightsafeError: like `create`.
        """
        await self._need_script(ref)
        target_id = _uuid(target)
        if target_id is None:
            raise NightsafeError(Code.MALFORMED_PARAMETER, "rollback_to")
        before = await self._store.deployment(ref, target_id)
        versions = ((target_id, float(_FULL_PERCENTAGE)),) if before is None else before.versions
        annotations = parse_annotations({"workers/message": message} if message else None, limits)
        return await self.create(caller, ref, DeploymentPlan(versions, annotations), force=force)

    async def refuse_delete(self, ref: ScriptRef, deployment_id: str) -> None:
        """Refuse to delete a deployment, and say why: deployments stay on record until the script is deleted.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND, DEPLOYMENT_NOT_FOUND, DEPLOYMENT_INVALID for the current deployment,
                otherwise UNSUPPORTED.
        """
        deployment = await self.get(ref, deployment_id)
        if [deployment] == await self._store.deployments(ref, limit=1):
            raise NightsafeError(
                Code.DEPLOYMENT_INVALID, "the current deployment cannot be deleted; deploy another version first"
            )
        raise NightsafeError(Code.UNSUPPORTED, "delete deployments: they stay on record until the Worker is deleted")

    async def _need_script(self, ref: ScriptRef) -> None:
        """Refuse a missing script.

        Raises:
            NightsafeError: SCRIPT_NOT_FOUND.
        """
        await find_script(self._store, ref)


def parse_deployment_plan(raw: object, limits: Limits) -> DeploymentPlan:
    """Parse a deployment in a request body.

    Raises:
        NightsafeError: INVALID or DEPLOYMENT_INVALID, pointing at the member at fault.
    """
    body = need_object(raw, "", "the body")
    refuse_misspelt(body, _MEMBERS, "")
    if (optional_string(body, "strategy", "") or "percentage") != "percentage":
        raise NightsafeError(Code.DEPLOYMENT_INVALID, "'strategy' must be \"percentage\"", "/strategy")
    shares = need_array(body, "versions", "")
    if not 1 <= len(shares) <= _MAX_VERSIONS:
        raise NightsafeError(
            Code.DEPLOYMENT_INVALID,
            f"'versions' must have one version, or two that share the traffic, not {len(shares)}",
            "/versions",
        )
    versions = tuple(_share(share, pointer_to("/versions", index)) for index, share in enumerate(shares))
    if len({version_id for version_id, _ in versions}) != len(versions):
        raise NightsafeError(Code.DEPLOYMENT_INVALID, "the same version is named twice", "/versions/1/version_id")
    if abs(sum(percentage for _, percentage in versions) - _FULL_PERCENTAGE) > _ROUNDING_ERROR:
        raise NightsafeError(Code.DEPLOYMENT_INVALID, "the percentages must sum to 100", "/versions")
    annotations = body.get("annotations")
    return DeploymentPlan(versions, parse_annotations(annotations, limits), annotation_notices(annotations))


def _share(raw: object, at: str) -> tuple[bytes, float]:
    """Return a version's UUID and its percentage."""
    fields = need_object(raw, at, "a version")
    text = need_string(fields, "version_id", at)
    version_id = _uuid(text)
    if version_id is None:
        raise NightsafeError(Code.DEPLOYMENT_INVALID, "'version_id' is not a UUID", pointer_to(at, "version_id"))
    return version_id, _percentage(fields, at)


def _percentage(fields: dict[str, Any], at: str) -> float:
    """Return a version's share of the traffic. A version with 0 serves only requests that name it."""
    percentage = fields.get("percentage")
    if isinstance(percentage, (int, float)) and not isinstance(percentage, bool):
        if 0 <= percentage <= _FULL_PERCENTAGE:
            return float(percentage)
        wrong = f"'percentage' must be between 0 and {_FULL_PERCENTAGE}"
    else:
        wrong = "'percentage' must be a number"
    raise NightsafeError(Code.DEPLOYMENT_INVALID, wrong, pointer_to(at, "percentage"))


def _uuid(text: str) -> bytes | None:
    """Return the 16 bytes of a UUID, or None if the text is not a UUID."""
    return uuid.UUID(text).bytes if _UUID.fullmatch(text) else None
