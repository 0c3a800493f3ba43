// Makes the runtime load code, and reports its answer. Each load begins with a module of ours that throws a word that
// cannot be guessed: so the runtime compiles and links everything, and runs none of it.
import { unpack } from "loads.js";

export default {
  async test(_, env) {
    for (const load of [env.COMPILED, env.LINKED].filter(Boolean)) {
      const said = await tried(env.LOADER, load);
      if (!said.includes(env.WORD)) return console.log(env.WORD + JSON.stringify(said));
    }
  },
};

async function tried(loader, load) {
  try {
    const code = { ...unpack(load, {}), globalOutbound: null };
    await loader.load(code).getEntrypoint().fetch("http://check/");
    return "";
  } catch (error) {
    return error.cause ? `Uncaught ${error.cause}\n  at ${error.module}` : error.message;
  }
}
