import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { StatefulSet } from "kubernetes-types/apps/v1.d.ts";
import type { ConfigMap, PodSpec, Service } from "kubernetes-types/core/v1.d.ts";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { readConfig } from "../../src/config.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const FILE = join(PROJECT, "deploy/kubernetes/order-pipeline.yaml");
const TYPES: Readonly<Record<string, string>> = {
  ConfigMap: "core/v1",
  Service: "core/v1",
  StatefulSet: "apps/v1",
  NetworkPolicy: "networking/v1",
};

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
}

const manifests = parseAllDocuments(readFileSync(FILE, "utf8"), { version: "1.1" }).map((document) => {
  if (document.errors.length > 0) throw document.errors[0];
  return document.toJS() as Manifest;
});
const one = <T>(kind: string) => manifests.find((manifest) => manifest.kind === kind) as T;

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
    const options = [
      "--noEmit",
      "--strict",
      "--skipLibCheck",
      "--module",
      "nodenext",
      "--target",
      "esnext",
      "--allowImportingTsExtensions",
    ];
    const { stdout, stderr } = spawnSync(
      join(PROJECT, "node_modules/.bin/tsc"),
      ["--ignoreConfig", ...options, join(directory, "manifests.ts")],
      {
        encoding: "utf8",
      },
    );
    return stdout + stderr;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe("deploy/kubernetes/order-pipeline.yaml", () => {
  test("obeys the API's published types, which know what is wrong", () => {
    expect(manifests.map(({ kind }) => kind).sort()).toEqual(Object.keys(TYPES).sort());
    expect(complaints(manifests)).toBe("");
    const wrong = structuredClone(one<unknown>("StatefulSet")) as { spec: { template: { spec: Record<string, unknown> } } };
    wrong.spec.template.spec.terminationGraceSeconds = 30;
    expect(complaints([wrong as unknown as Manifest])).toContain("terminationGraceSeconds");
  });

  const { spec } = one<StatefulSet>("StatefulSet");
  const pod = spec?.template.spec as PodSpec;
  const container = pod.containers[0] as PodSpec["containers"][0];
  const settings = Object.fromEntries([
    ...Object.entries(one<ConfigMap>("ConfigMap").data ?? {}),
    ...(container.env ?? []).map(({ name, value }) => [name, value]),
  ]) as Record<string, string>;
  const config = readConfig(settings);

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

  test("runs one process, on volumes of its own, with secrets from files", () => {
    expect(spec?.replicas).toBe(1);
    const mounts = container.volumeMounts?.map(({ name, mountPath }) => ({ name, mountPath })) ?? [];
    const claims = spec?.volumeClaimTemplates?.map(({ metadata }) => metadata?.name) ?? [];
    expect(mounts.map(({ name }) => name).sort()).toEqual([...claims, ...(pod.volumes ?? []).map(({ name }) => name)].sort());
    const under = (path: string) => mounts.find(({ mountPath }) => path === mountPath || path.startsWith(`${mountPath}/`))?.name;
    expect([config.JOURNAL, config.BACKUP_DIR ?? "", config.ADMIN_KEYS_FILE ?? ""].map(under)).toEqual(["journal", "backups", "secrets"]);
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 10001 });
    expect(container.securityContext).toMatchObject({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true });
  });
});
