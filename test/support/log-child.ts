import { LogOutput, nonBlocking } from "../../src/log-output.ts";

// Writes a megabyte of log to a pipe that nobody reads, says that this took no time, and ends as it is told by its standard input.
const output = new LogOutput({ fd: nonBlocking(1), onLost: () => process.exit(3) });
process.once("exit", () => output.flushSync());
for (let n = 0; n < 1_000; n++) output.write(`${n} ${"x".repeat(1_000)}\n`);
setImmediate(() => process.stderr.write("goes on\n"));
process.stdin.once("data", (how) => {
  output.write("last\n");
  if (String(how).startsWith("throw")) throw new Error("nobody catches this");
  process.exit(0);
});
