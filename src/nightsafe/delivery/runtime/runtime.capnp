# The Workers runtime's configuration. It holds no secret: code and values come over the socket `cp`.
#
# `main` takes the requests. `cell` is a process beside it, for scripts that might hold others up; the main process
# hands requests to it over a unix socket. Both run the same dispatcher.
using Workerd = import "/workerd/workerd.capnp";
using Reach = import "/reach.capnp"; # written by `egress.py`: the addresses that scripts may connect to

const main :Workerd.Config = (services = .mainServices, sockets = .mainSockets, logging = .logging);
const mainBehindProxies :Workerd.Config = (services = .mainServices, sockets = .behindSockets, logging = .logging);

const mainServices :List(Workerd.Service) = [
  (name = "router", worker = .mainRouter),
  (name = "cp", external = (http = ())),
  (name = "cell1", external = (http = .inner)),
  (name = "cell2", external = (http = .inner)),
  (name = "cell3", external = (http = .inner)),
  (name = "cell4", external = (http = .inner)),
  (name = "cell5", external = (http = .inner)),
  (name = "cell6", external = (http = .inner)),
  (name = "internet", network = Reach.network),
];

const cell :Workerd.Config = (
  services = [
    (name = "router", worker = .cellRouter),
    (name = "cp", external = (http = ())),
    (name = "internet", network = Reach.network),
  ],
  sockets = .cellSockets,
  logging = .logging,
);

# The output of scripts goes to stdout, which is discarded; `reports.js` gets it too. So stderr has only the runtime's
# lines.
const logging :Workerd.LoggingOptions = (structuredLogging = true);

# Keeps the scheme and the `cf` of a request on its way to a cell. The main process sets both headers itself.
const inner :Workerd.HttpOptions = (forwardedProtoHeader = "nightsafe-proto", cfBlobHeader = "nightsafe-cf");

const admin :Workerd.Socket = (name = "admin", http = (), service = (name = "router", entrypoint = "Admin"));

# When no proxy is trusted: removes the headers that only the platform may set. `front.js` adds those that are known.
# Each header costs a request some microseconds, so the list is short.
const outside :Workerd.HttpOptions = (injectRequestHeaders = [
  (name = "x-forwarded-proto"),
  (name = "cf-visitor"),
  (name = "x-forwarded-for"),
  (name = "x-forwarded-host"),
  (name = "x-real-ip"),
  (name = "true-client-ip"),
  (name = "cf-connecting-ipv6"),
  (name = "cf-connecting-o2o"),
  (name = "cf-pseudo-ipv4"),
  (name = "cf-ew-via"),
  (name = "cf-worker"),
  (name = "cf-ipcountry"),
  (name = "cf-ipcontinent"),
  (name = "cf-ipcity"),
  (name = "cf-iplatitude"),
  (name = "cf-iplongitude"),
  (name = "cf-region"),
  (name = "cf-region-code"),
  (name = "cf-metro-code"),
  (name = "cf-postal-code"),
  (name = "cf-timezone"),
  (name = "x-forwarded-port"),
  (name = "x-forwarded-server"),
]);

# The same when proxies are trusted: `front.js` reads the headers of proxies, and removes them when another peer sends
# them.
const behind :Workerd.HttpOptions = (injectRequestHeaders = [
  (name = "true-client-ip"),
  (name = "cf-connecting-ipv6"),
  (name = "cf-connecting-o2o"),
  (name = "cf-pseudo-ipv4"),
  (name = "cf-ew-via"),
  (name = "cf-worker"),
  (name = "cf-ipcountry"),
  (name = "cf-ipcontinent"),
  (name = "cf-ipcity"),
  (name = "cf-iplatitude"),
  (name = "cf-iplongitude"),
  (name = "cf-region"),
  (name = "cf-region-code"),
  (name = "cf-metro-code"),
  (name = "cf-postal-code"),
  (name = "cf-timezone"),
  (name = "x-forwarded-port"),
  (name = "x-forwarded-server"),
]);

const mainSockets :List(Workerd.Socket) = [
  (name = "http", http = .outside, service = "router"),
  .admin,
];

const behindSockets :List(Workerd.Socket) = [
  (name = "http", http = .behind, service = "router"),
  .admin,
];

const cellSockets :List(Workerd.Socket) = [
  (name = "http", http = .inner, service = (name = "router", entrypoint = "Inner")),
  .admin,
];

const modules :List(Workerd.Worker.Module) = [
  (name = "router.js", esModule = embed "dispatcher/router.js"),
  (name = "bodies.js", esModule = embed "dispatcher/bodies.js"),
  (name = "callee.js", esModule = embed "dispatcher/callee.js"),
  (name = "cell.js", esModule = embed "cells/cell.js"),
  (name = "cells.js", esModule = embed "cells/cells.js"),
  (name = "entries.js", esModule = embed "dispatcher/entries.js"),
  (name = "front.js", esModule = embed "dispatcher/front.js"),
  (name = "invocations.js", esModule = embed "dispatcher/invocations.js"),
  (name = "loads.js", esModule = embed "dispatcher/loads.js"),
  (name = "names.js", esModule = embed "dispatcher/names.js"),
  (name = "outbound.js", esModule = embed "dispatcher/outbound.js"),
  (name = "overrides.js", esModule = embed "dispatcher/overrides.js"),
  (name = "reasons.js", esModule = embed "dispatcher/reasons.js"),
  (name = "reports.js", esModule = embed "dispatcher/reports.js"),
  (name = "sent_header.js", esModule = embed "cells/sent_header.js"),
];

const date :Text = "2026-04-01";

# A script's `connect()` goes out through `Outbound` unchanged, and its exceptions keep their name and members on
# their way through the dispatcher.
const flags :List(Text) = ["connect_pass_through", "enhanced_error_serialization"];
const loader :Workerd.Worker.Binding = (name = "LOADER", workerLoader = (id = "scripts"));
const cp :Workerd.Worker.Binding = (name = "CP", service = "cp");

const mainRouter :Workerd.Worker = (
  modules = .modules,
  compatibilityDate = .date,
  compatibilityFlags = .flags,
  bindings = [
    .loader,
    .cp,
    (name = "CELL1", service = "cell1"),
    (name = "CELL2", service = "cell2"),
    (name = "CELL3", service = "cell3"),
    (name = "CELL4", service = "cell4"),
    (name = "CELL5", service = "cell5"),
    (name = "CELL6", service = "cell6"),
  ],
);

const cellRouter :Workerd.Worker = (
  modules = .modules,
  compatibilityDate = .date,
  compatibilityFlags = .flags,
  bindings = [.loader, .cp],
);
