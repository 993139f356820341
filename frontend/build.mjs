// Bundles what the pages bring along: `node build.mjs FOLDER STAMP`, after `npm ci`.
import { readdir, readFile, mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";

const [folder, stamp] = process.argv.slice(2);
const here = import.meta.dirname ?? new URL(".", import.meta.url).pathname;

const made = await build({
  entryPoints: [join(here, "niivue.js")],
  alias: { zarrita: join(here, "no_zarr.js") },
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  metafile: true,
  write: false,
  logLevel: "warning",
});
const [file] = made.outputFiles;

// Whose code is in it, with the licences that have to go with it.
const bundled = new Set();
for (const path of Object.keys(made.metafile.inputs)) {
  const found = path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//);
  if (found) bundled.add(found[1]);
}
const notices = [];
for (const name of [...bundled].sort()) {
  const place = join(here, "node_modules", name);
  const about = JSON.parse(await readFile(join(place, "package.json"), "utf8"));
  const text = await licenceOf(name, place);
  notices.push(`${name} ${about.version} (${about.license})\n\n${text.trim()}\n`);
}

async function licenceOf(name, place) {
  const own = (await readdir(place)).find((each) => /^licen[cs]e/i.test(each));
  if (own) return readFile(join(place, own), "utf8");
  // A package without a file of its own has it here.
  return readFile(join(here, "licences", `${name.replace("/", "__")}.txt`), "utf8");
}

await mkdir(folder, { recursive: true });
await whole("niivue.licences.txt", notices.join(`\n${"-".repeat(80)}\n\n`));
await whole("niivue.js", `/*! ${stamp} Licences: niivue.licences.txt */\n${file.text}`);

async function whole(name, text) {
  const temporary = join(folder, `.${name}.${process.pid}`);
  await writeFile(temporary, text);
  await rename(temporary, join(folder, name));
}
