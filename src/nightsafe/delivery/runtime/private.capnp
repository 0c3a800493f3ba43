# The same, for development: scripts may also fetch from this machine and from private networks.
using Workerd = import "/workerd/workerd.capnp";
using Base = import "runtime.capnp";

const config :Workerd.Config = (
  services = [
    (name = "router", worker = Base.router),
    (name = "cp", external = (http = ())),
    (name = "internet", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true))),
  ],
  sockets = Base.sockets,
);
