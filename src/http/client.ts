/**
 * Who sends a request, as far as rates and Idempotency-Keys are a client's own. Two numbers are an exact identity, and make a cheap
 * key.
 */
export interface Client {
  /** What its Idempotency-Keys belong to; the same over restarts. */
  readonly name: string;
  /** 64 bits, the upper and the lower half as unsigned integers. */
  readonly high: number;
  readonly low: number;
}

/** The name of clients that nobody tells apart. */
export const ANYONE = "";

const IPV4_IN_IPV6 = "::ffff:";
const IPV6_GROUPS = 8;

/**
 * The client at an address, as a socket names it: an IPv4 address, or the first 64 bits of an IPv6 address, because a customer of a
 * provider has at least all addresses that share them. Its name is `ANYONE`: who has an address changes.
 */
export function clientAt(address = ""): Client {
  if (!address.includes(":")) return { name: ANYONE, high: 0, low: ipv4Bits(address) };
  // What a socket for both kinds says of an IPv4 client.
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

/** An interface may stand behind the address (`fe80::1%eth0`); that is in the last group, which is not looked at. */
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
