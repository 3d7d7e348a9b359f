const IPV4_IN_IPV6 = "::ffff:";
const IPV6_GROUPS = 8;

/** Whose an address is: all of IPv4, the first 64 bits of IPv6, for a customer of an internet provider has all that share them. */
export function networkOf(address = ""): string {
  if (!address.includes(":")) return address;
  // The address of an IPv4 client on a dual-stack socket.
  if (address.startsWith(IPV4_IN_IPV6) && address.includes(".")) return address.slice(IPV4_IN_IPV6.length);
  const [head = [], tail] = address.split("::").map((part) => (part === "" ? [] : part.split(":")));
  const zeros = tail === undefined ? [] : new Array<string>(IPV6_GROUPS - head.length - tail.length).fill("0");
  return [...head, ...zeros, ...(tail ?? [])].slice(0, IPV6_GROUPS / 2).join(":");
}
