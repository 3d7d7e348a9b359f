/** The sender of a request, to whom rate limits and Idempotency-Keys belong. Two numbers identify it: they are a cheap key. */
export interface Client {
  /** Its Idempotency-Keys are stored under this name, which lasts over restarts. */
  readonly name: string;
  /** The upper and the lower half of 64 bits, as unsigned integers. */
  readonly high: number;
  readonly low: number;
}

/** The one name of all clients without an API key. */
export const ANYONE = "";

const IPV4_IN_IPV6 = "::ffff:";
const IPV6_GROUPS = 8;

/**
 * The client at an address, as a socket gives it. It is the whole IPv4 address, or the first 64 bits of an IPv6 address: a customer of an
 * internet provider has all addresses that share these bits. Its name is `ANYONE`, because an address changes hands.
 */
export function clientAt(address = ""): Client {
  if (!address.includes(":")) return { name: ANYONE, high: 0, low: ipv4Bits(address) };
  // The address of an IPv4 client on a dual-stack socket.
  if (address.startsWith(IPV4_IN_IPV6) && address.includes(".")) {
    return { name: ANYONE, high: 0, low: ipv4Bits(address.slice(IPV4_IN_IPV6.length)) };
  }
  const [a = 0, b = 0, c = 0, d = 0] = ipv6Groups(address);
  return { name: ANYONE, high: bitsOf(a, b), low: bitsOf(c, d) };
}

function ipv4Bits(address: string): number {
  let bits = 0;
  for (const part of address.split(".")) bits = (bits << 8) | Number(part);
  return bits >>> 0;
}

/** The address may end with an interface (`fe80::1%eth0`): it spoils the last group only, which is not part of the client's 64 bits. */
function ipv6Groups(address: string): number[] {
  const [before = "", after] = address.split("::");
  const head = parseGroups(before);
  if (after === undefined) return head;
  const tail = parseGroups(after);
  return [...head, ...new Array<number>(IPV6_GROUPS - head.length - tail.length).fill(0), ...tail];
}

function parseGroups(text: string): number[] {
  return text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
}

function bitsOf(upper: number, lower: number): number {
  return ((upper << 16) | lower) >>> 0;
}
