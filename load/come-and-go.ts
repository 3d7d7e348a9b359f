import { connect } from "node:net";

/** Opens a connection to 127.0.0.1, sends `bytes`, and closes it in one of four ways (0 to 3). Resolves when it is closed. */
export function comeAndGo(port: number, bytes: string, way: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      if (bytes !== "") socket.write(bytes);
      if (way === 0) socket.end();
      else if (way === 1) socket.resetAndDestroy();
      else if (way === 2) socket.destroy();
      else setImmediate(() => socket.end());
    });
    // Being reset is one of the ways to go.
    socket.on("error", () => {});
    socket.once("close", () => resolve());
    socket.resume();
  });
}
