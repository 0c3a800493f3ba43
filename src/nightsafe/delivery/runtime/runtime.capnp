# The Workers runtime's configuration. It holds no secret: code and values come over the socket `cp`.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "router", worker = .router),
    (name = "cp", external = (http = ())),
    (name = "internet", network = (allow = ["public"], tlsOptions = (trustBrowserCas = true))),
  ],
  sockets = .sockets,
);

const sockets :List(Workerd.Socket) = [
  (name = "http", http = (), service = "router"),
  (name = "admin", http = (), service = (name = "router", entrypoint = "Admin")),
];

const router :Workerd.Worker = (
  modules = [
    (name = "router.js", esModule = embed "router.js"),
    (name = "entries.js", esModule = embed "entries.js"),
    (name = "loads.js", esModule = embed "loads.js"),
    (name = "names.js", esModule = embed "names.js"),
    (name = "reasons.js", esModule = embed "reasons.js"),
  ],
  compatibilityDate = "2026-04-01",
  bindings = [
    (name = "LOADER", workerLoader = (id = "scripts")),
    (name = "CP", service = "cp"),
  ],
);
