import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Deployment, StatefulSet } from "kubernetes-types/apps/v1.d.ts";
import type { ConfigMap, PodSpec, Service } from "kubernetes-types/core/v1.d.ts";
import type { PodDisruptionBudget } from "kubernetes-types/policy/v1.d.ts";
import { describe, expect, onTestFinished, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { requireMemory } from "../../src/composition/memory.ts";
import { readConfig } from "../../src/config.ts";
import { parseAddress } from "../../src/journal/postgres/address.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const FILE_ON_VOLUME = "order-pipeline.yaml";
const NODES = "order-pipeline-nodes.yaml";
const TYPES: Readonly<Record<string, string>> = {
  ConfigMap: "core/v1",
  Service: "core/v1",
  StatefulSet: "apps/v1",
  Deployment: "apps/v1",
  PodDisruptionBudget: "policy/v1",
  NetworkPolicy: "networking/v1",
};

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
}

/** The manifests of a file, and what its pods run with. */
function read(file: string) {
  const manifests = parseAllDocuments(readFileSync(join(PROJECT, "deploy/kubernetes", file), "utf8"), { version: "1.1" }).map(
    (document) => {
      if (document.errors.length > 0) throw document.errors[0];
      return document.toJS() as Manifest;
    },
  );
  const one = <T>(kind: string) => manifests.find((manifest) => manifest.kind === kind) as T;
  const { spec } = one<StatefulSet | undefined>("StatefulSet") ?? one<Deployment>("Deployment");
  const pod = spec?.template.spec as PodSpec;
  const container = pod.containers[0] as PodSpec["containers"][0];
  const settings = Object.fromEntries([
    ...Object.entries(one<ConfigMap>("ConfigMap").data ?? {}),
    ...(container.env ?? []).map(({ name, value }) => [name, value]),
  ]) as Record<string, string>;
  const mounts = container.volumeMounts?.map(({ name, mountPath }) => ({ name, mountPath })) ?? [];
  /** The volume that a path is on. */
  const volumeOf = (path: string) => mounts.find(({ mountPath }) => path === mountPath || path.startsWith(`${mountPath}/`))?.name;
  return { manifests, one, pod, container, settings, config: readConfig(settings), mounts, volumeOf };
}

/** What the compiler says of the manifests as values of the API's published types: an unknown field is an error, a missing one too. */
function complaints(checked: readonly Manifest[]): string {
  const directory = mkdtempSync(join(PROJECT, "node_modules/.manifests-"));
  try {
    const lines = checked.map(({ kind, ...rest }, n) => {
      const module = TYPES[kind];
      return `import type { ${kind} as Kind${n} } from "kubernetes-types/${module}.d.ts";
        export const manifest${n}: Kind${n} = ${JSON.stringify({ kind, ...rest }, null, 1)};`;
    });
    writeFileSync(join(directory, "manifests.ts"), lines.join("\n"));
    const options = "--ignoreConfig --noEmit --strict --skipLibCheck --module nodenext --target esnext --allowImportingTsExtensions".split(
      " ",
    );
    const { stdout, stderr } = spawnSync(join(PROJECT, "node_modules/.bin/tsc"), [...options, join(directory, "manifests.ts")], {
      encoding: "utf8",
    });
    return stdout + stderr;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe.each([
  { file: FILE_ON_VOLUME, kinds: ["ConfigMap", "Service", "StatefulSet", "NetworkPolicy"] },
  { file: NODES, kinds: ["ConfigMap", "Service", "Deployment", "PodDisruptionBudget", "NetworkPolicy"] },
])("deploy/kubernetes/$file", ({ file, kinds }) => {
  const { manifests, one, pod, container, settings, config, volumeOf } = read(file);

  test("obeys the API's published types, which know what is wrong", () => {
    expect(manifests.map(({ kind }) => kind)).toEqual(kinds);
    expect(complaints(manifests)).toBe("");
    const [, , workload] = structuredClone(manifests) as unknown as { spec: { template: { spec: Record<string, unknown> } } }[];
    if (workload !== undefined) workload.spec.template.spec.terminationGraceSeconds = 30;
    expect(complaints([workload as unknown as Manifest])).toContain("terminationGraceSeconds");
  });

  test("sets what exists, and what the image listens on", () => {
    expect(Object.keys(settings).filter((name) => !(name in config))).toEqual([]);
    expect(container.ports?.map(({ name, containerPort }) => [name, containerPort])).toEqual([
      ["http", config.PORT],
      ["admin", config.ADMIN_PORT],
    ]);
    expect(one<Service>("Service").spec?.ports?.map(({ targetPort }) => targetPort)).toEqual(["http"]);
  });

  test("gives the drain its time", () => {
    const preStopMs = (container.lifecycle?.preStop?.sleep?.seconds ?? 0) * 1_000;
    // Beside the drain itself: the cancel of what is left, its last writes, and the connections.
    expect((pod.terminationGracePeriodSeconds ?? 0) * 1_000).toBeGreaterThanOrEqual(preStopMs + config.SHUTDOWN_TIMEOUT_MS + 5_000);
  });

  test("takes secrets from files, and may do little", () => {
    const files = [config.ADMIN_KEYS_FILE, config.JOURNAL_PASSWORD_FILE, parseAddress(config.JOURNAL)?.sslrootcert];
    expect(files.filter((path) => path !== undefined).map(volumeOf)).toEqual(Array(file === NODES ? 3 : 1).fill("secrets"));
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 10001 });
    expect(container.securityContext).toMatchObject({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true });
  });

  test("probes where no client can be in the way, and asks the database's readiness of no probe but the one that takes the pod out", () => {
    const probes = [container.startupProbe, container.livenessProbe, container.readinessProbe].map((probe) => probe?.httpGet);
    expect(probes.map((get) => get?.path)).toEqual(["/healthz", "/healthz", "/readyz"]);
    expect(probes.map((get) => get?.port)).toEqual(["admin", "admin", "admin"]);
    expect([settings.ADMIN_HOST, config.MAX_CONNECTIONS_PER_ADDRESS]).toEqual(["0.0.0.0", undefined]);
  });

  test("has threads that fit into its memory, whatever machine it comes to", () => {
    expect([settings.THREADS, settings.CPU_THREADS]).toEqual([String(config.THREADS), String(config.CPU_THREADS)]);
    const [, mib, gib] = /^(\d+)(?:Mi|(Gi))$/.exec(String(container.resources?.limits?.memory)) ?? [];
    const bytes = Number(mib) * 1024 ** (gib === undefined ? 2 : 3);
    expect(bytes).toBeGreaterThan(0);
    requireMemory(config, bytes);
    // Half of it is for orders and connections.
    requireMemory(config, bytes / 2);
  });
});

test("a journal in a file is served by one process, on volumes of its own", () => {
  const { one, pod, config, mounts, volumeOf } = read(FILE_ON_VOLUME);
  const { spec } = one<StatefulSet>("StatefulSet");
  expect(spec?.replicas).toBe(1);
  const claims = spec?.volumeClaimTemplates?.map(({ metadata }) => metadata?.name) ?? [];
  expect(mounts.map(({ name }) => name).sort()).toEqual([...claims, ...(pod.volumes ?? []).map(({ name }) => name)].sort());
  expect([config.JOURNAL, config.BACKUP_DIR ?? ""].map(volumeOf)).toEqual(["journal", "backups"]);
});

test("nodes on PostgreSQL keep nothing, and go one at a time", () => {
  const { one, pod, config, mounts } = read(NODES);
  const { spec } = one<Deployment>("Deployment");
  expect(spec?.replicas).toBeGreaterThan(1);
  expect(spec?.strategy?.rollingUpdate).toEqual({ maxSurge: 1, maxUnavailable: 0 });
  const budget = one<PodDisruptionBudget>("PodDisruptionBudget").spec;
  expect([budget?.maxUnavailable, budget?.selector]).toEqual([1, spec?.selector]);
  expect([mounts, pod.volumes?.map(({ name }) => name)].flat()).toEqual([expect.objectContaining({ name: "secrets" }), "secrets"]);
  expect(parseAddress(config.JOURNAL)).toMatchObject({ sslmode: "verify-full" });
  expect(parseAddress(config.JOURNAL)?.hosts.length).toBeGreaterThan(1);
});

test("the nodes of deploy/compose.yaml find its database with the password of both, are as many as their ports, and have time to drain", () => {
  const { services, secrets, volumes } = parse(readFileSync(join(PROJECT, "deploy/compose.yaml"), "utf8"));
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
  // On this machine only.
  const [, first, last, port] = /^127\.0\.0\.1:(\d+)-(\d+):(\d+)$/.exec(node.ports[0]) ?? [];
  expect([Number(last) - Number(first) + 1, Number(port)]).toEqual([node.deploy.replicas, config.PORT]);
  expect(Number.parseInt(node.stop_grace_period, 10) * 1_000).toBeGreaterThanOrEqual(config.SHUTDOWN_TIMEOUT_MS + 5_000);
});

const UNIT = readFileSync(join(PROJECT, "deploy/systemd/order-pipeline.service"), "utf8");
// Of 10 tenths each; what is left is what an HTTP server on V8 needs: the network, the host's file system, executable memory.
const MAX_EXPOSURE = 20;

const WITHOUT_SYSTEMD = spawnSync("systemd-analyze", ["--version"]).status === 0 ? undefined : "systemd-analyze is not installed";
if (WITHOUT_SYSTEMD !== undefined) console.warn(`the systemd unit is not verified: ${WITHOUT_SYSTEMD}`);

function analyze(text: string, ...args: string[]): { status: number | null; output: string } {
  const directory = mkdtempSync(join(tmpdir(), "unit-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, "order-pipeline.service");
  // Its command has to be there.
  writeFileSync(file, text.replaceAll("/opt/order-pipeline", PROJECT.replace(/\/$/, "")));
  const { status, stdout, stderr } = spawnSync("systemd-analyze", [...args, file], { encoding: "utf8" });
  // It also says what is wrong with other units of the machine.
  const lines = (stdout + stderr).split("\n").filter((line) => line.includes("order-pipeline"));
  return { status, output: lines.join("\n") };
}

/** The values of a directive, in order. */
const valuesOf = (name: string) => [...UNIT.matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].map(([, value]) => value ?? "");

describe("deploy/systemd/order-pipeline.service", () => {
  test.skipIf(WITHOUT_SYSTEMD !== undefined)("is verified by systemd-analyze, which knows what is wrong", () => {
    expect(analyze(UNIT, "verify")).toEqual({ status: 0, output: "" });
    expect(analyze(UNIT.replace("ProtectHome=", "ProtectHomes="), "verify").output).toContain("ProtectHomes");
  });

  test.skipIf(WITHOUT_SYSTEMD !== undefined)("leaves little exposed", () => {
    const { status, output } = analyze(UNIT, "security", "--offline=true", `--threshold=${MAX_EXPOSURE}`);
    expect(output).toContain("Overall exposure level");
    expect([status, status === 0 ? "" : output]).toEqual([0, ""]);
  });

  test("sets what exists, in places that the service may write to", () => {
    const settings = Object.fromEntries(valuesOf("Environment").map((pair) => pair.split("=") as [string, string]));
    const { NODE_COMPILE_CACHE, ...own } = settings;
    const config = readConfig(own);
    expect(Object.keys(own).filter((name) => !(name in config))).toEqual([]);
    const [state, backups] = valuesOf("StateDirectory")[0]?.split(" ") ?? [];
    expect([own.JOURNAL, own.BACKUP_DIR, NODE_COMPILE_CACHE]).toEqual([
      `%S/${state}/orders.db`,
      `%S/${backups}`,
      `%C/${valuesOf("CacheDirectory")[0]}`,
    ]);
    // Without a file to read again a SIGHUP would end the process.
    expect(own.ADMIN_KEYS_FILE).toMatch(/^\/etc\//);
  });

  test("gives the drain its time and the connections their descriptors, and starts again whatever happens", () => {
    const { SHUTDOWN_TIMEOUT_MS, MAX_CONNECTIONS, PAYMENT_CAPACITY, VENDOR_CAPACITY, COURIER_CAPACITY } = readConfig({});
    expect(Number(valuesOf("TimeoutStopSec")[0]) * 1_000).toBeGreaterThanOrEqual(SHUTDOWN_TIMEOUT_MS + 5_000);
    const sockets = MAX_CONNECTIONS + PAYMENT_CAPACITY + VENDOR_CAPACITY + COURIER_CAPACITY;
    expect(Number(valuesOf("LimitNOFILE")[0])).toBeGreaterThan(2 * sockets);
    expect(valuesOf("Restart")).toEqual(["always"]);
  });
});
