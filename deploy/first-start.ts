/**
 * Starts the service of the current directory once, with nothing to keep, and stops it: it shows that the installation works, and
 * leaves the compile cache behind for the user that runs it. Exits as the service does.
 */
import { spawn } from "node:child_process";

const IS_UP = " is up";

const env = { ...process.env, HOST: "127.0.0.1", PORT: "0", ADMIN_PORT: "0", JOURNAL: "memory" };
const service = spawn(process.execPath, ["src/start.js"], { env, stdio: ["ignore", "pipe", "inherit"] });
let told = "";
// A start that takes long says so before.
service.stdout.on("data", (text) => {
  const wasUp = told.includes(IS_UP);
  told += text;
  // A second signal would make it drop what it is doing.
  if (!wasUp && told.includes(IS_UP)) service.kill("SIGTERM");
});
service.once("exit", (code) => process.exit(code ?? 1));
