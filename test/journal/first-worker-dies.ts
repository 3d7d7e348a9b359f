/** Preloaded into the service: a signal ends its first thread, which is the one that writes the journal. */
process.once("worker", (worker) => process.on("SIGUSR2", () => void worker.terminate()));
