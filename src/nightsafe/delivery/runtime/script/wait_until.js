// Counts the work of a script after its answers: the promises that it gave to `waitUntil`. This is the first module
// to run, because it must run before the runtime's module `cloudflare:workers` makes its own `waitUntil`.
const { apply } = Reflect;
const { bind } = Function.prototype;
const { defineProperty, getOwnPropertyDescriptor, getPrototypeOf } = Object;
const { then } = Promise.prototype;
const { add, has } = WeakSet.prototype;
const Settling = Promise;

let count = 0;
const done = () => {
  count--;
};

// Returns how many promises have not settled yet. A promise whose request was torn down never settles.
export function pending() {
  return count;
}

function counted(native) {
  return {
    waitUntil(...given) {
      if (given.length === 0) return apply(native, this, given); // it throws the right error
      const promise = new Settling((resolve) => resolve(given[0]));
      apply(native, this, [promise]);
      count++;
      apply(then, promise, [done, done]);
    },
  }.waitUntil;
}

// Counts every call of `ctx.waitUntil`, by a change to the prototype that all `ctx` objects share.
export function watch(ctx) {
  countOn(getPrototypeOf(ctx));
}

function countOn(prototype) {
  const described = getOwnPropertyDescriptor(prototype, "waitUntil");
  if (apply(has, watched, [described.value])) return;
  const value = counted(described.value);
  apply(add, watched, [value]);
  defineProperty(prototype, "waitUntil", { __proto__: null, ...described, value });
}

const watched = new WeakSet();

countOn(ExtendableEvent.prototype); // classic scripts call `waitUntil` on events

// The runtime makes the export `waitUntil` of "cloudflare:workers" by binding a method when it evaluates that module.
Function.prototype.bind = function (...given) {
  return apply(bind, this.name === "waitUntil" ? counted(this) : this, given);
};

export function letBind() {
  Function.prototype.bind = bind;
}
