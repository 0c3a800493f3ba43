"""Serves `…/{script_name}/references` and `/workers/tails/by-consumer/{script_name}`, asked before a deletion."""

from collections.abc import Iterable
from typing import Any

from nightsafe.api.http.envelope import Reply, success
from nightsafe.api.http.path import ACCOUNT, DEFAULT_ENVIRONMENT, SCRIPT
from nightsafe.api.http.request import Call
from nightsafe.api.http.routing import Resource
from nightsafe.api.scripts.visibility import visibility_of
from nightsafe.identity.permissions import Action
from nightsafe.services.scripts.references import Reference
from nightsafe.services.services import Services
from nightsafe.store.scripts import Script


def resources(services: Services) -> list[Resource]:
    """Return the routes of this module with their handlers."""

    async def references(call: Call) -> Reply:
        """GET …/references."""
        return success(_references(*await services.references.references_both_ways(call.script, visibility_of(call))))

    async def by_consumer(call: Call) -> Reply:
        """GET /workers/tails/by-consumer/{script_name}."""
        producers = await services.references.producers(call.script, visibility_of(call))
        return success([_tail(call.script.name, producer) for producer in producers])

    return [
        Resource("GET", f"{SCRIPT}/references", Action.READ_SCRIPTS, references),
        Resource("GET", f"{ACCOUNT}/workers/tails/by-consumer/{{script_name}}", Action.READ_SCRIPTS, by_consumer),
    ]


def _references(incoming: Iterable[Reference], outgoing: Iterable[Reference]) -> dict[str, Any]:
    """Return the references of a script in the form that wrangler reads."""
    incoming_references = list(incoming)
    return {
        "services": {
            "incoming": [
                _script_side(reference.script.name) | {"name": reference.name}
                for reference in incoming_references
                if reference.kind == "service"
            ],
            "outgoing": [
                _script_side(reference.target.name) | {"name": reference.name}
                for reference in outgoing
                if reference.kind == "service" and reference.target is not None
            ],
            "pages_function": False,
        },
        "durable_objects": [
            _script_side(reference.script.name)
            | {
                "name": reference.name,
                "durable_object_namespace_id": reference.fields.get("namespace_id", ""),
                "durable_object_namespace_name": reference.fields.get("class_name", ""),
            }
            for reference in incoming_references
            if reference.kind == "durable_object_namespace"
        ],
        "dispatch_outbounds": [
            _script_side(reference.script.name)
            | {"name": reference.name, "namespace": reference.fields.get("namespace", "")}
            for reference in incoming_references
            if reference.kind == "dispatch_namespace"
        ],
    }


def _script_side(script: str) -> dict[str, str]:
    """Return the script on one side of a reference."""
    return {"service": script, "environment": DEFAULT_ENVIRONMENT}


def _tail(consumer: str, producer: Script) -> dict[str, Any]:
    """Return a script together with its tail consumer."""
    return {"tag": producer.id, "producer": {"script": producer.ref.name}, "consumer": {"script": consumer}}
