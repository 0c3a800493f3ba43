// `node tools/draw.mjs [--check]`: renders docs/architecture.dot to an SVG for light pages and one for dark pages.
// With --check it writes nothing, and exits with 1 when a file is out of date.
// Graphviz, as WebAssembly, is installed with the Node clients of the tests (`make node`).
import { createRequire } from "node:module";
import { readFileSync, writeFileSync } from "node:fs";

const root = new URL("../", import.meta.url);
const { instance } = await import(
  createRequire(new URL("tests/clients/node/package.json", root)).resolve("@viz-js/viz")
);

const THEMES = {
  light: { ink: "#1f2328", line: "#59636e", room: "#f6f8fa", key: "#fff1c2", disk: "#ddf4ff" },
  dark: { ink: "#e6edf3", line: "#9198a1", room: "#21262d", key: "#5c4813", disk: "#11365c" },
};

const source = readFileSync(new URL("docs/architecture.dot", root), "utf8");
const viz = await instance();
let stale = false;
for (const [theme, colours] of Object.entries(THEMES)) {
  const file = new URL(`docs/architecture-${theme}.svg`, root);
  const dot = source.replace(/"@(\w+)"/g, (_, name) => JSON.stringify(colours[name]));
  const svg = viz.renderString(dot, { format: "svg", engine: "dot" });
  if (!process.argv.includes("--check")) {
    writeFileSync(file, svg);
  } else if (readFileSync(file, "utf8") !== svg) {
    console.error(`${file.pathname} is out of date: docs/architecture.dot has changed; run: make drawing`);
    stale = true;
  }
}
process.exit(stale ? 1 : 0);
