// Fills `request.cf` with the facts that are known here, and invents none. The runtime's own `cf` has the address
// that the connection came from, and is replaced. A `cf` that a script or the dispatcher gives to a `Request` stays
// as it is.
const { apply } = Reflect;
const { defineProperty, getOwnPropertyDescriptor, hasOwn } = Object;
const { get: headerOf } = Headers.prototype;
const { get: found, set: remember } = WeakMap.prototype;
const cf = getOwnPropertyDescriptor(Request.prototype, "cf");
const headers = getOwnPropertyDescriptor(Request.prototype, "headers");
const cfOf = new WeakMap(); // by request: its `cf`, so that it is the same object each time

function makeCf(request) {
  const clientAcceptEncoding = apply(headerOf, apply(headers.get, request, []), ["accept-encoding"]) ?? undefined;
  const made = { colo: "LOCAL", clientAcceptEncoding, httpProtocol: "HTTP/1.1" };
  apply(remember, cfOf, [request, made]);
  return made;
}

// Before the compatibility date 2022-01-31, `cf` is an own property of each request; then the dispatcher passes it
// in.
if (cf) {
  const own = {
    get cf() {
      const runtimeCf = apply(cf.get, this, []);
      return runtimeCf && hasOwn(runtimeCf, "clientIp") ? (apply(found, cfOf, [this]) ?? makeCf(this)) : runtimeCf;
    },
  };
  defineProperty(Request.prototype, "cf", { ...cf, get: getOwnPropertyDescriptor(own, "cf").get });
}
