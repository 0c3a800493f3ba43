// Counts the work that a script goes on with after it has answered: what it gave to `waitUntil`. The first module of
// all, for it has to be there before the runtime's module `cloudflare:workers` makes its own `waitUntil`.
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

// How many promises are still to settle. One whose request was torn down never does.
export function pending() {
  return count;
}

function counted(native) {
  return {
    waitUntil(...given) {
      if (given.length === 0) return apply(native, this, given); // which says what is wrong
      const promise = new Settling((resolve) => resolve(given[0]));
      apply(native, this, [promise]);
      count++;
      apply(then, promise, [done, done]);
    },
  }.waitUntil;
}

// Lets every `ctx.waitUntil` be counted, by the prototype that each `ctx` has.
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

countOn(ExtendableEvent.prototype); // what classic scripts are given

// `import { waitUntil } from "cloudflare:workers"` is a method that the runtime binds when that module is evaluated.
Function.prototype.bind = function (...given) {
  return apply(bind, this.name === "waitUntil" ? counted(this) : this, given);
};

export function letBind() {
  Function.prototype.bind = bind;
}
