import type { Worker } from "node:worker_threads";

/** To be loaded before the server: its first thread, which is the one that writes the journal, dies at SIGUSR2. */
const threads: Worker[] = [];
process.on("worker", (thread) => void threads.push(thread));
process.on("SIGUSR2", () => void threads[0]?.terminate());
