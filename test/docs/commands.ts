import { codesOf } from "../support/markdown.ts";
import { CODE_BLOCKS, PAGES } from "./pages.ts";

/** A command that a page tells to run, with what the page shows of its output. */
export interface Command {
  readonly page: string;
  readonly text: string;
  readonly prints?: string;
}

/** Commands of blocks marked `console`, which stand behind a `$` and before their output. */
const shown = CODE_BLOCKS.filter(({ language }) => language === "console").flatMap(({ page, text }) =>
  [...text.matchAll(/^\$ (.+)\n((?:(?!\$ ).*\n)*)/gm)].map(([, command = "", prints = ""]) => ({
    page,
    text: command,
    ...(prints !== "" && { prints }),
  })),
);

/** Blocks marked `sh`, a command a line. */
const told = CODE_BLOCKS.filter(({ language }) => language === "sh").flatMap(({ page, text }) =>
  text
    .trim()
    .split("\n")
    .map((line) => ({ page, text: line })),
);

/** Requests between backquotes, as tables have them. */
const inline = [...PAGES].flatMap(([page, text]) =>
  codesOf(text)
    .filter((code) => /^curl .*http:/.test(code))
    .map((code) => ({ page, text: code })),
);

/** Every command of every page. */
export const COMMANDS: readonly Command[] = [...shown, ...told, ...inline];

/** Commands that need something of their own, and where that is. Every other one is a request, or answers `--help`. */
export const ELSEWHERE: Readonly<Record<string, string>> = {
  "npm ci && npm start": "the first is .ci/run's; test/docs/commands.test.ts starts its server with the second",
  "npm ci && npm test": ".ci/run",
  "npm run engine:register -- --url http://balancer:9080 --admin http://engine:9070": "load/cluster registers the nodes that tests start",
  "npx openapi-typescript@7 http://127.0.0.1:8080/openapi.json -o api.ts": "test/openapi/client",
  "npm run load": "test/docs/slow.ts",
  "npm run fuzz -- --requests 1000000": "test/docs/slow.ts",
};
