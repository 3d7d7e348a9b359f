import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { networkOf } from "./network.ts";

/**
 * Why this side closed a connection. `full`, `address`: idle for longest when a new one came and all, or all of one address, were in use.
 * `refused`: new, and none was idle. `unread`: an answer was not taken in. `slow`: a request came too slowly.
 */
export const CLOSE_REASONS = ["full", "address", "refused", "unread", "slow"] as const;
export type CloseReason = (typeof CLOSE_REASONS)[number];

export interface ConnectionLimits {
  /** Connections at one time. */
  readonly max: number;
  /** Of these for one IPv4 address, or for the first 64 bits of an IPv6 address. Unlimited when absent. */
  readonly maxPerAddress?: number | undefined;
  /** How long a client may take to take in an answer, all of it. Unlimited when absent. */
  readonly unreadMs?: number | undefined;
}

/** The connections of one client address. */
interface Address {
  readonly key: string;
  readonly idle: LinkedList<Connection>;
  open: number;
}

interface Connection {
  readonly socket: Socket;
  readonly address: Address | undefined;
  readonly inAll: Link<Connection>;
  readonly inAddress: Link<Connection>;
  /** The number of the check before it became idle. */
  idleSince: number;
}

/** On a socket: its connection, until that is closed. */
const CONNECTION = Symbol("connection");

type Socketed = Socket & { [CONNECTION]?: Connection | undefined };

// Each check walks over the connections that have been idle for longer than an answer may stay unread.
const CHECK_EVERY_MS = 1_000;

/**
 * The open connections of a listener. Where there are too many, the one goes that has waited longest for its client: for a request, for the
 * rest of one, or for an answer to be taken in. So who holds connections without using them loses them, and an order that runs is never cut
 * off.
 *
 * An event costs the same however many there are: a connection becomes idle or busy by being put into or taken out of two linked lists.
 */
export class OpenConnections {
  /** Every answer ends its connection from now on. */
  ending = false;
  readonly #limits: ConnectionLimits;
  readonly #onTooMany: (reason: CloseReason, address: string | undefined) => void;
  readonly #idle = new LinkedList<Connection>();
  readonly #addresses = new Map<string, Address>();
  readonly #closed = new Map<CloseReason, number>(CLOSE_REASONS.map((reason) => [reason, 0]));
  readonly #unreadChecks: number;
  readonly #timer: NodeJS.Timeout | undefined;
  #open = 0;
  // Time in checks, so that a stall of the process, in which no client could be heard, counts as one of them.
  #checks = 0;
  readonly #onAnswered: (this: ServerResponse) => void;

  /** `onTooMany` is told of each connection that is closed because there are too many, with the client's address. */
  constructor(limits: ConnectionLimits, onTooMany: (reason: CloseReason, address: string | undefined) => void = () => {}) {
    this.#limits = limits;
    this.#onTooMany = onTooMany;
    const update = this.#update.bind(this);
    // One function for all responses, because every order has one.
    this.#onAnswered = function (this: ServerResponse) {
      update(this.req.socket, undefined);
    };
    const { unreadMs } = limits;
    if (unreadMs === undefined) {
      this.#unreadChecks = Number.POSITIVE_INFINITY;
      return;
    }
    const everyMs = Math.min(CHECK_EVERY_MS, unreadMs);
    this.#unreadChecks = Math.ceil(unreadMs / everyMs);
    this.#timer = setInterval(() => this.#cutUnread(), everyMs).unref();
  }

  get open(): number {
    return this.#open;
  }

  /** How many this side has closed, by reason; it has every reason from the start. */
  get closed(): ReadonlyMap<CloseReason, number> {
    return this.#closed;
  }

  /** A client has connected. Where that is one too many, this closes the connection that was idle for longest, or else the new one. */
  opened(socket: Socket): void {
    const address = this.#addressOf(socket);
    if (!this.#makeRoom(socket, address)) return;
    const connection = { socket, address, idleSince: this.#checks } as Connection & {
      inAll: Link<Connection>;
      inAddress: Link<Connection>;
    };
    connection.inAll = new Link(connection);
    connection.inAddress = new Link(connection);
    (socket as Socketed)[CONNECTION] = connection;
    this.#open++;
    if (address !== undefined && address.open++ === 0) this.#addresses.set(address.key, address);
    this.#addToIdle(connection);
    socket.once("close", () => this.#forget(socket));
  }

  /** The headers of a request have come, and it is its turn: once all of it is there, its connection is busy until its answer is written. */
  requested(request: IncomingMessage, response: ServerResponse): void {
    // Emitted when all of the answer has been written to the socket.
    response.on("prefinish", this.#onAnswered);
    this.#update(request.socket, hasBody(request) ? undefined : response);
  }

  /** The whole body of a request has come. */
  received(request: IncomingMessage, response: ServerResponse): void {
    this.#update(request.socket, response);
  }

  /** Also for a connection that Node itself closes. */
  countClosed(reason: CloseReason): void {
    this.#closed.set(reason, (this.#closed.get(reason) ?? 0) + 1);
  }

  /** Checks no more. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** `current`: the response that this side works on; none where the client has to send or to read. */
  #update(socket: Socketed, current: ServerResponse | undefined): void {
    const connection = socket[CONNECTION];
    if (connection === undefined) return;
    if (current === undefined || current.writableEnded) this.#addToIdle(connection);
    else this.#removeFromIdle(connection);
  }

  #addToIdle(connection: Connection): void {
    connection.idleSince = this.#checks;
    this.#idle.add(connection.inAll);
    connection.address?.idle.add(connection.inAddress);
  }

  #removeFromIdle({ address, inAll, inAddress }: Connection): void {
    this.#idle.remove(inAll);
    address?.idle.remove(inAddress);
  }

  #addressOf(socket: Socket): Address | undefined {
    if (this.#limits.maxPerAddress === undefined) return undefined;
    const key = networkOf(socket.remoteAddress);
    return this.#addresses.get(key) ?? { key, idle: new LinkedList(), open: 0 };
  }

  /** Whether there is room for a new connection now; if not, the new one is closed. */
  #makeRoom(socket: Socket, address: Address | undefined): boolean {
    const { max, maxPerAddress } = this.#limits;
    const isAddressFull = address !== undefined && maxPerAddress !== undefined && address.open >= maxPerAddress;
    if (!isAddressFull && this.#open < max) return true;
    const idlest = (isAddressFull ? address.idle : this.#idle).first?.item;
    const reason = idlest === undefined ? "refused" : isAddressFull ? "address" : "full";
    this.#onTooMany(reason, socket.remoteAddress);
    this.#close(idlest?.socket ?? socket, reason);
    return idlest !== undefined;
  }

  #cutUnread(): void {
    const before = this.#checks++ - this.#unreadChecks;
    for (let link = this.#idle.first; link !== undefined && link.item.idleSince <= before; ) {
      const { socket } = link.item;
      link = link.after;
      if (socket.writableLength > 0) this.#close(socket, "unread");
    }
  }

  #close(socket: Socket, reason: CloseReason): void {
    this.countClosed(reason);
    this.#forget(socket);
    socket.destroy();
  }

  #forget(socket: Socketed): void {
    const connection = socket[CONNECTION];
    if (connection === undefined) return;
    socket[CONNECTION] = undefined;
    this.#removeFromIdle(connection);
    this.#open--;
    const { address } = connection;
    if (address !== undefined && --address.open === 0) this.#addresses.delete(address.key);
  }
}

/** Whether a request announces a body. */
export function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers["content-length"];
  return headers["transfer-encoding"] !== undefined || (length !== undefined && length !== "0");
}

/** An item's place in a `LinkedList`. An item that may be in several lists has a link for each. */
class Link<T> {
  readonly item: T;
  before: Link<T> | undefined;
  after: Link<T> | undefined;
  isLinked = false;

  constructor(item: T) {
    this.item = item;
  }
}

/** Items in the order in which they were added. Any of them can be taken out, at the same small cost however many there are. */
class LinkedList<T> {
  first: Link<T> | undefined;
  #last: Link<T> | undefined;

  /** Puts an item behind all others, also one that is in the list already. */
  add(link: Link<T>): void {
    this.remove(link);
    link.before = this.#last;
    if (this.#last === undefined) this.first = link;
    else this.#last.after = link;
    this.#last = link;
    link.isLinked = true;
  }

  /** Does nothing where the item is not in the list. */
  remove(link: Link<T>): void {
    if (!link.isLinked) return;
    const { before, after } = link;
    if (before === undefined) this.first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    link.before = undefined;
    link.after = undefined;
    link.isLinked = false;
  }
}
