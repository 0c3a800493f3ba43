# The same, for development: scripts may also fetch from this machine and from private networks.
using Workerd = import "/workerd/workerd.capnp";
using Base = import "runtime.capnp";

const main :Workerd.Config = (services = .mainServices, sockets = Base.mainSockets, logging = Base.logging);
const mainBehindProxies :Workerd.Config = (
  services = .mainServices,
  sockets = Base.behindSockets,
  logging = Base.logging,
);

const mainServices :List(Workerd.Service) = [
  (name = "router", worker = Base.mainRouter),
  (name = "cp", external = (http = ())),
  (name = "cell1", external = (http = Base.inner)),
  (name = "cell2", external = (http = Base.inner)),
  (name = "cell3", external = (http = Base.inner)),
  (name = "cell4", external = (http = Base.inner)),
  (name = "cell5", external = (http = Base.inner)),
  (name = "cell6", external = (http = Base.inner)),
  (name = "internet", network = .private),
];

const cell :Workerd.Config = (
  services = [
    (name = "router", worker = Base.cellRouter),
    (name = "cp", external = (http = ())),
    (name = "internet", network = .private),
  ],
  sockets = Base.cellSockets,
  logging = Base.logging,
);

const private :Workerd.Network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true));
