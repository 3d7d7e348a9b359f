import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { readConfig } from "../../src/config.ts";
import { parseAddress } from "../../src/journal/postgres/address.ts";

const FILE = new URL("../../deploy/compose.yaml", import.meta.url);

test("the nodes of deploy/compose.yaml find its database, as its user, with the password of both", () => {
  const { services, secrets, volumes } = parse(readFileSync(FILE, "utf8"));
  const { node, postgres } = services;
  const config = readConfig(node.environment);
  expect(Object.keys(node.environment).filter((name) => !(name in config))).toEqual([]);
  expect(parseAddress(config.JOURNAL)).toMatchObject({
    hosts: [{ host: "postgres", port: 5432 }],
    user: postgres.environment.POSTGRES_USER,
    database: postgres.environment.POSTGRES_DB,
  });
  const [name] = Object.keys(secrets);
  const file = `/run/secrets/${name}`;
  expect([config.JOURNAL_PASSWORD_FILE, postgres.environment.POSTGRES_PASSWORD_FILE]).toEqual([file, file]);
  expect([node.secrets, postgres.secrets]).toEqual([[name], [name]]);
  expect(postgres.volumes.map((volume: string) => volume.split(":")[0])).toEqual(Object.keys(volumes));
});

test("its nodes are as many as their ports, on this machine only, and have time to drain", () => {
  const { node } = parse(readFileSync(FILE, "utf8")).services;
  const config = readConfig(node.environment);
  const [, first, last, port] = /^127\.0\.0\.1:(\d+)-(\d+):(\d+)$/.exec(node.ports[0]) ?? [];
  expect([Number(last) - Number(first) + 1, Number(port)]).toEqual([node.deploy.replicas, config.PORT]);
  expect(Number.parseInt(node.stop_grace_period, 10) * 1_000).toBeGreaterThanOrEqual(config.SHUTDOWN_TIMEOUT_MS + 5_000);
});
