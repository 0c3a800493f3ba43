"""The use cases, each over the same store, safe and limits."""

from nightsafe.store.interfaces import Store
from nightsafe.workers.beta import Beta
from nightsafe.workers.checking import Checking
from nightsafe.workers.contents import Contents
from nightsafe.workers.deployments import Deployments
from nightsafe.workers.door import Delivered, Door
from nightsafe.workers.following import Following
from nightsafe.workers.limits import Limits
from nightsafe.workers.namespaces import Namespaces
from nightsafe.workers.origins import Origins
from nightsafe.workers.previews import Previews
from nightsafe.workers.processes import Processes
from nightsafe.workers.projects import Projects
from nightsafe.workers.references import References
from nightsafe.workers.resealing import Resealing
from nightsafe.workers.scripts import Scripts
from nightsafe.workers.seal import Safe
from nightsafe.workers.secrets import Secrets
from nightsafe.workers.serving import Serving
from nightsafe.workers.settings import Settings
from nightsafe.workers.standing import Standing
from nightsafe.workers.stores import Stores
from nightsafe.workers.tokens import Tokens
from nightsafe.workers.users import Users
from nightsafe.workers.versions import Versions


class UseCases:
    """What the API's pages call.

    Args:
        store: where everything is kept.
        safe: what seals values.
        limits: what requests must keep to.
        delivered: what the operator says about delivery.
    """

    def __init__(self, store: Store, safe: Safe, limits: Limits, delivered: Delivered) -> None:
        self.serving = Serving(store, safe)
        self.following = Following(store, self.serving)
        self.delivered = delivered
        self.checking = Checking()
        self.door = door = Door(store, self.following, self.checking, delivered)
        self.secrets = Secrets(store, safe, limits)
        self.origins = Origins(store)
        self.scripts = Scripts(store, safe, limits, door)
        self.contents = Contents(store)
        self.versions = Versions(store, safe, limits, door)
        self.settings = Settings(store, safe, limits, door)
        self.deployments = Deployments(store, door)
        self.standing = Standing(store)
        self.references = References(store)
        self.namespaces = Namespaces(store)
        self.projects = Projects(store, safe, limits)
        self.stores = Stores(store, safe, limits)
        self.beta = Beta(store, safe, limits)
        self.previews = Previews(store, safe, limits)
        self.resealing = Resealing(store, safe)
        self.processes = Processes(self.following)
        self.tokens = Tokens(store)
        self.users = Users(store)
