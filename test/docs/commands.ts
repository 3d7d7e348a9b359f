import { readFileSync } from "node:fs";
import { join } from "node:path";
import { codesOf } from "../support/markdown.ts";
import { CODE_BLOCKS, PAGES, PROJECT } from "./pages.ts";

/** A command of a page, with what the page shows of its output. */
export interface Command {
  readonly page: string;
  readonly text: string;
  readonly prints?: string;
}

/** Files outside the pages whose heads say how to install them. */
const WITH_HEADS = [
  "Dockerfile",
  "deploy/kubernetes/order-pipeline.yaml",
  "deploy/kubernetes/order-pipeline-nodes.yaml",
  "deploy/compose.yaml",
];

/** What commands begin with, between backquotes; in a block of its own a command may begin with anything. */
const PROGRAMS = [
  ...["npm", "npx", "node", "vitest", "git", "sh", "bash", "sudo", "kill", "mkdir", "curl", "wget", "openssl", "sqlite3", "apt", "apt-get"],
  ...["docker", "useradd", "kubectl", "systemctl", "journalctl", "systemd-analyze", "promtool", "go", "cp", "install"],
];
const IS_COMMAND = new RegExp(`^(?:[A-Z_]+=\\S* )*(?:${PROGRAMS.join("|")}) \\S`);

/** Commands of blocks marked `console`, which stand behind a `$` and before their output. */
const shown = CODE_BLOCKS.filter(({ language }) => language === "console").flatMap(({ page, text }) =>
  [...text.matchAll(/^\$ (.+)\n((?:(?!\$ ).*\n)*)/gm)].map(([, command = "", prints = ""]) => ({
    page,
    text: command,
    ...(prints !== "" && { prints }),
  })),
);

/** Blocks marked `sh`, a command a line. */
const listed = CODE_BLOCKS.filter(({ language }) => language === "sh").flatMap(({ page, text }) =>
  text
    .trim()
    .split("\n")
    .map((line) => ({ page, text: line })),
);

/** Commands between backquotes, which may go over the end of a line. */
export function inlineCommandsOf(markdown: string): string[] {
  return codesOf(markdown)
    .map((code) => code.replaceAll(/\s+/g, " "))
    .filter((code) => IS_COMMAND.test(code));
}

const inline = [...PAGES].flatMap(([page, markdown]) => inlineCommandsOf(markdown).map((text) => ({ page, text })));

const heads = WITH_HEADS.flatMap((page) => {
  const [head = ""] = readFileSync(join(PROJECT, page), "utf8").split(/^(?!#|$)/m);
  const lines = [...head.matchAll(/^# +(.+)$/gm)].map(([, line = ""]) => line);
  return lines.filter((line) => IS_COMMAND.test(line)).map((text) => ({ page, text }));
});

/** Every command of every page, and of the heads. */
export const COMMANDS: readonly Command[] = [...shown, ...listed, ...inline, ...heads];

/** Those that test/docs/try-it.test.ts runs one after another. */
export const GUIDE: readonly Command[] = listed.filter(({ page }) => page === "docs/providers-and-events.md");

/** Who runs a command: a file of this project, and the text in there that shows it. */
interface RunBy {
  readonly file: string;
  readonly shows: string;
  /** What stands for the command, or why no test runs it, where `shows` is not the command itself. */
  readonly note?: string;
}

const INSTALLED = { file: "test/deploy/installed.test.ts", shows: 'command.startsWith("npm ci ")' };
const SYSTEMD = {
  file: "test/deploy/installed.test.ts",
  shows: "deploy/systemd/install.sh",
  note: "into a directory instead of the machine",
};
const MANIFESTS = { note: "it needs a cluster; the test checks the manifests against the types of Kubernetes" };

const COMPOSE = {
  file: "test/deploy/manifests.test.ts",
  shows: "deploy/compose.yaml",
  note: "it needs Docker and images from the network; the test checks the file against the settings",
};

const EXAMPLES = { file: "test/threads/examples.test.ts", shows: "linesOf(" };

const RESTORE = { file: "test/restore/pages.test.ts", shows: "section(page, /^### Restore a backup/)" };

/** Commands that need something of their own. Every other one is run by what test/docs/commands.test.ts says. */
export const ELSEWHERE: Readonly<Record<string, RunBy>> = {
  "npm ci": { file: ".ci/run", shows: "npm ci " },
  "npm ci && npm start": { file: ".ci/run", shows: "npm ci ", note: "test/docs/commands.test.ts starts its server with the second" },
  "npm ci && npm test": { file: ".ci/run", shows: "npm test " },
  "npm test": { file: ".ci/run", shows: "npm test " },
  "apt-get install postgresql": {
    file: ".ci/run",
    shows: "apt-get install -y --no-install-recommends postgresql",
    note: "without a cluster of its own",
  },
  "npm start": { file: "test/docs/commands.test.ts", shows: '["npm", "start", ' },
  "npm install cancelable-threads": {
    file: "test/threads/package.test.ts",
    shows: '"install", "--offline"',
    note: "the tarball instead of the name",
  },
  "npm pack -w src/threads": { file: "test/threads/package.test.ts", shows: '"pack", "-w", "src/threads"' },
  "node src/threads/examples/search/main.ts": { ...EXAMPLES, note: "the test runs every example so" },
  "npm run bench": { file: "test/docs/commands.test.ts", shows: "run(process.execPath, [BENCH])" },
  "npm run bench -- NAME": { file: "test/docs/slow.ts", shows: "EXPERIMENTS", note: "each of them" },
  "npm run bench -- express --against REF": {
    file: "test/lab/bench.test.ts",
    shows: "checkOut(",
    note: "the commit of a small repository; the rest of it is as without",
  },
  "npm run contrast": {
    file: "package.json",
    shows: '"contrast": "node load/lab/bench.ts contrast"',
    note: "EXPERIMENTS of slow.ts has it",
  },
  "npm run load": {
    file: "package.json",
    shows: '"load": "node load/lab/bench.ts load"',
    note: "EXPERIMENTS of slow.ts has it",
  },
  "npm run lab -- --gate": { file: ".ci/run", shows: "npm run lab -- --gate" },
  "npx biome check --write .": {
    file: "package.json",
    shows: '"check": "biome check . &&',
    note: "without --write, which would change the tree under the other tests; the rules are the same",
  },
  "npm run check": { file: "package.json", shows: '"test": "npm run check &&' },
  "npm run test:docs": { file: "test/docs/vitest.config.ts", shows: "test/docs/slow.ts", note: "it runs what the others say of it" },
  "npm run providers": { file: "test/docs/try-it.test.ts", shows: "GUIDE" },
  "npx openapi-typescript@7 http://127.0.0.1:8080/openapi.json -o api.ts": {
    file: "test/openapi/client/generate.ts",
    shows: 'import("openapi-typescript")',
    note: "the locked version, from a running server's document; npx would download one",
  },
  "mkdir aside && mv data/orders.db data/orders.db-* aside/": RESTORE,
  "install -m 600 backups/monday.db data/orders.db": RESTORE,
  "curl -s http://127.0.0.1:9090/restore": RESTORE,
  'curl -s -X POST http://127.0.0.1:9090/restore/confirm -d \'{"order_id":"shoes-1"}\'': RESTORE,
  'curl -s -X POST http://127.0.0.1:9090/compensations/4711/settle -d \'{"note":"paid back by bank transfer"}\'': RESTORE,
  "curl -s -X POST http://127.0.0.1:9090/restore/confirm": RESTORE,
  "kill -9": { file: "test/orders/two-commits.test.ts", shows: 'server.signal("SIGKILL")' },
  "kill -USR1 PID": { file: "test/docs/commands.test.ts", shows: 'server.signal("SIGUSR1")' },
  "kill -USR2 PID": { file: "test/docs/commands.test.ts", shows: 'server.signal("SIGUSR2")' },
  "docker build -t order-pipeline .": { ...INSTALLED, note: "the test runs the Dockerfile's own steps in a clean directory" },
  "docker run -p 8080:8080 -v orders:/data --stop-timeout 20 order-pipeline": {
    ...INSTALLED,
    note: "the test starts what these steps made, as the image's user",
  },
  "sh deploy/systemd/install.sh": SYSTEMD,
  "kubectl create secret generic order-pipeline --from-file=admin-keys=FILE [--from-file=payment-key=FILE ...]": {
    file: "test/deploy/manifests.test.ts",
    shows: "kubernetes-types/",
    ...MANIFESTS,
  },
  "kubectl create secret generic order-pipeline --from-file=admin-keys=FILE --from-file=journal-password=FILE --from-file=postgres-ca=FILE [--from-file=payment-key=FILE ...]":
    { file: "test/deploy/manifests.test.ts", shows: "kubernetes-types/", ...MANIFESTS },
  "kubectl apply -f order-pipeline-nodes.yaml": {
    file: "test/deploy/manifests.test.ts",
    shows: "order-pipeline-nodes.yaml",
    ...MANIFESTS,
  },
  "mkdir -p data && openssl rand -hex 32 > data/journal-password": COMPOSE,
  "docker compose -f deploy/compose.yaml up": COMPOSE,
  "kubectl apply -f order-pipeline.yaml": { file: "test/deploy/manifests.test.ts", shows: "order-pipeline.yaml", ...MANIFESTS },
};
