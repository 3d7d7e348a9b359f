/**
 * Makes this process leave at its end although a thread is in a native call, which nothing can terminate: Node waits for it otherwise, be
 * it at the natural end or in `process.exit`. For an application's main thread, once its threads are closed and `alive` is not 0; from then
 * on the end keeps its exit code, but on Windows and before Node 22.15 the process is killed and the code is lost. Does nothing twice.
 */
export function exitDespiteThreads(): void {
  if (isSet) return;
  isSet = true;
  process.on("exit", (code) => {
    const { execve } = process;
    // The process becomes another program, whose only act is to exit: no thread survives that. Node 22.15 and later, not on Windows.
    try {
      execve?.call(process, process.execPath, [process.execPath, "-e", `process.exit(${code})`], {});
    } catch {}
    process.kill(process.pid, "SIGKILL");
  });
}

let isSet = false;
