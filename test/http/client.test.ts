import { describe, expect, test } from "vitest";
import { ANYONE, type Client, clientAt } from "../../src/http/client.ts";

const bitsOf = ({ high, low }: Client) => (BigInt(high) << 32n) | BigInt(low);

describe("the client at an address", () => {
  test.each([
    ["127.0.0.1", 0x7f000001n],
    ["0.0.0.0", 0n],
    ["255.255.255.255", 0xffffffffn],
    ["192.0.2.1", 0xc0000201n],
    ["::ffff:192.0.2.1", 0xc0000201n],
    ["2001:db8::1", 0x2001_0db8_0000_0000n],
    ["2001:db8:1:2:3:4:5:6", 0x2001_0db8_0001_0002n],
    ["2001:db8:0:2::", 0x2001_0db8_0000_0002n],
    ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0xffff_ffff_ffff_ffffn],
    ["::1", 0n],
    ["::2:3:4:5:6:7:8", 0x0000_0002_0003_0004n],
    ["1::5:6:7:8", 0x0001_0000_0000_0000n],
    ["1::3:4:5:6:7:8", 0x0001_0000_0003_0004n],
    ["fe80::1%eth0", 0xfe80_0000_0000_0000n],
    ["64:ff9b::192.0.2.1", 0x0064_ff9b_0000_0000n],
  ])("%s", (address, bits) => {
    const client = clientAt(address);
    expect(bitsOf(client).toString(16)).toBe(bits.toString(16));
    expect(client.name).toBe(ANYONE);
  });

  test("is the same for all of an IPv6 network of 64 bits, and another beside it", () => {
    expect(clientAt("2001:db8:1:2::1")).toEqual(clientAt("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    expect(clientAt("2001:db8:1:2::1")).not.toEqual(clientAt("2001:db8:1:3::1"));
    expect(clientAt("192.0.2.1")).not.toEqual(clientAt("192.0.2.2"));
  });

  test("that is gone already is one as well", () => {
    expect(clientAt(undefined)).toEqual({ name: ANYONE, high: 0, low: 0 });
  });
});
