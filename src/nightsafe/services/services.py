"""All use cases together, on one store, one safe and one set of limits."""

from nightsafe.services.audit.logs import AuditLogs
from nightsafe.services.audit.transparency_log import TransparencyLog
from nightsafe.services.delivery.admission import Admission, DeliveryOptions
from nightsafe.services.delivery.approvals import Approvals
from nightsafe.services.delivery.bundles import Bundles
from nightsafe.services.delivery.change_feed import ChangeFeed
from nightsafe.services.delivery.code_checks import CodeChecks
from nightsafe.services.delivery.processes import Processes
from nightsafe.services.delivery.siblings import Siblings
from nightsafe.services.dispatch.namespaces import Namespaces
from nightsafe.services.identity.accounts import Accounts
from nightsafe.services.identity.tokens import Tokens
from nightsafe.services.identity.users import Users
from nightsafe.services.key_rotation.resealing import Resealing
from nightsafe.services.limits import Limits
from nightsafe.services.pages.projects import Projects
from nightsafe.services.scripts.content import Contents
from nightsafe.services.scripts.references import References
from nightsafe.services.scripts.scripts import Scripts
from nightsafe.services.scripts.settings import ScriptSettings
from nightsafe.services.scripts.triggers import Triggers
from nightsafe.services.secrets.seal import Safe
from nightsafe.services.secrets.secret_versions import SecretVersions
from nightsafe.services.secrets.secrets import Secrets
from nightsafe.services.secrets_store.stores import Stores
from nightsafe.services.versions.deployments import Deployments
from nightsafe.services.versions.versions import Versions
from nightsafe.services.workers.previews import Previews
from nightsafe.services.workers.workers import Workers
from nightsafe.store.interface import Store


class Services:
    """The use cases that the API's routes call.

    Args:
        store: the store.
        safe: seals values and signs bundles.
        limits: the limits on requests.
        delivery_options: the operator's delivery options.
        siblings: the other API processes of this server.
    """

    def __init__(
        self, store: Store, safe: Safe, limits: Limits, delivery_options: DeliveryOptions, siblings: Siblings
    ) -> None:
        self.approvals = Approvals(store)
        self.bundles = Bundles(store, safe)
        self.change_feed = ChangeFeed(store, self.bundles, siblings=siblings)
        self.delivery_options = delivery_options
        self.code_checks = CodeChecks(siblings=siblings)
        self.admission = admission = Admission(store, self.change_feed, self.code_checks, delivery_options)
        self.secrets = Secrets(store, safe, limits)
        self.secret_versions = SecretVersions(store)
        self.scripts = Scripts(store, safe, limits, admission)
        self.contents = Contents(store)
        self.versions = Versions(store, safe, limits, admission)
        self.settings = ScriptSettings(store, safe, limits, admission)
        self.deployments = Deployments(store, admission)
        self.triggers = Triggers(store)
        self.references = References(store)
        self.namespaces = Namespaces(store)
        self.projects = Projects(store, safe, limits)
        self.stores = Stores(store, safe, limits)
        self.workers = Workers(store, safe, limits)
        self.previews = Previews(store, safe, limits)
        self.resealing = Resealing(store, safe)
        self.processes = Processes(self.change_feed, siblings=siblings)
        self.transparency_log = TransparencyLog(store, siblings)
        self.tokens = Tokens(store)
        self.users = Users(store)
        self.accounts = Accounts(store)
        self.audit_logs = AuditLogs(store)
