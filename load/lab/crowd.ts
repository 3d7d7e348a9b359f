import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * A process of its own: connections that hold what they get, from several addresses of this machine. Of twenty, thirteen send one request and
 * then nothing, six send headers a byte a second, and one sends a hundred requests and reads no answer (which costs the kernel some 760 KB, so
 * there are not more of them). One that the server ends comes again half a minute later.
 *
 * Arguments: port, connections, and how the last number of the addresses begins and how many there are (2 10: 127.0.0.2 to 127.0.0.11).
 * Prints each second how many are open, how often the server has ended one, and how many have come at all.
 */
const [port = 0, count = 0, firstAddress = 0, addresses = 1] = process.argv.slice(2).map(Number);

const AGAIN_MS = 30_000;
// Two crowds together then fit into the queue of those that Node has yet to accept (511). Whoever finds it full is heard seconds later.
const COMING = 200;
const LOOK_EVERY_MS = 5;
const SLOW_TICKS = 10;
const HEAD = "Host: localhost\r\n";
const HEALTH = `GET /healthz HTTP/1.1\r\n${HEAD}\r\n`;
const MUCH = `GET /openapi.json HTTP/1.1\r\n${HEAD}\r\n`.repeat(100);
const SLOW = `GET /healthz HTTP/1.1\r\n${HEAD}X-Slow: ${"a".repeat(1_000)}`;

interface Slow {
  readonly socket: Socket;
  sent: number;
}
/** By when in a second their byte is due: clients who know nothing of each other do not send together. */
const slowOnes = Array.from({ length: SLOW_TICKS }, () => new Set<Slow>());
let open = 0;
let ended = 0;
/** Whose first connection has been accepted or refused. */
const came = new Set<number>();

function come(n: number): void {
  const socket = connect({ port, host: "127.0.0.1", localAddress: `127.0.0.${firstAddress + (n % addresses)}` });
  // The addresses take turns, so each has connections of all kinds.
  const kind = Math.floor(n / addresses) % 20;
  const slow = kind >= 13 && kind < 19 ? { socket, sent: 0 } : undefined;
  if (slow !== undefined) slowOnes[n % SLOW_TICKS]?.add(slow);
  else socket.write(kind === 19 ? MUCH : HEALTH);
  if (kind === 19) socket.pause();
  else socket.resume();
  let counted = 0;
  socket.once("connect", () => {
    counted = 1;
    open++;
    came.add(n);
  });
  // Being reset is one of the ways to be sent away.
  socket.on("error", () => {});
  socket.once("close", () => {
    open -= counted;
    ended++;
    came.add(n);
    if (slow !== undefined) slowOnes[n % SLOW_TICKS]?.delete(slow);
    setTimeout(come, AGAIN_MS, n);
  });
}

let tick = 0;
setInterval(() => {
  for (const slow of slowOnes[++tick % SLOW_TICKS] ?? []) slow.socket.write(SLOW.charAt(slow.sent++));
}, 1_000 / SLOW_TICKS);
setInterval(() => process.stdout.write(`${open} open, ${ended} ended, ${came.size} came\n`), 1_000);

for (let n = 0; n < count; n++) {
  while (n - came.size >= COMING) await sleep(LOOK_EVERY_MS);
  come(n);
}
