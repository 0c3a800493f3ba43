// What `request.cf` tells: what is known here, and nothing that is made up. The runtime's own is the address that the
// connection came from; what a script or the dispatcher gives to a `Request` is left as it is.
const { apply } = Reflect;
const { defineProperty, getOwnPropertyDescriptor, hasOwn } = Object;
const { get: headerOf } = Headers.prototype;
const { get: found, set: remember } = WeakMap.prototype;
const cf = getOwnPropertyDescriptor(Request.prototype, "cf");
const headers = getOwnPropertyDescriptor(Request.prototype, "headers");
const shown = new WeakMap(); // by request: the same object each time

function known(request) {
  const clientAcceptEncoding = apply(headerOf, apply(headers.get, request, []), ["accept-encoding"]) ?? undefined;
  const told = { colo: "LOCAL", clientAcceptEncoding, httpProtocol: "HTTP/1.1" };
  apply(remember, shown, [request, told]);
  return told;
}

// Before 2022-01-31 each request has a property of its own: there the dispatcher hands over what is told.
if (cf) {
  const own = {
    get cf() {
      const told = apply(cf.get, this, []);
      return told && hasOwn(told, "clientIp") ? (apply(found, shown, [this]) ?? known(this)) : told;
    },
  };
  defineProperty(Request.prototype, "cf", { ...cf, get: getOwnPropertyDescriptor(own, "cf").get });
}
