/** Arguments with which test/docs/slow.ts runs each experiment: as small as it can be and still do all it does. */
export const EXPERIMENTS: Readonly<Record<string, string>> = {
  cancel: "--rounds 1 --orders 60",
  classes: "--seconds 2",
  connections: "--crowd 40 --rounds 1 --seconds 1 --opened 500",
  contrast: "--rounds 1 --seconds 1 --orders 4",
  express: "--warmup 1 --seconds 1 --rounds 1",
  "failing-provider": "--seconds 2 --rate 20",
  "hung-vendor": "--seconds 3 --rate 20",
  journal: "--warmup 1 --seconds 1 --rounds 1",
  "journal-scale": "--rounds 1 --orders 2000 --keys 1",
  load: "--duration 1 --connections 16",
  memory: "--rounds 1",
  nodes: "--warmup 1 --seconds 1 --rounds 1 --connections 6 --ended 2000",
  overload: "--seconds 2",
  pages: "--warmup 1 --pages 3 --rounds 1 --seconds 1",
  peers: "--seconds 2 --rounds 1",
  postgres: "--warmup 1 --seconds 1 --rounds 1 --connections 8",
  stages: "--warmup 1 --seconds 1 --rounds 1",
  start: "--rounds 1",
  starvation: "--seconds 3",
  storm: "--seconds 1 --rounds 1",
  telemetry: "--warmup 1 --seconds 1 --rounds 1",
  waiting: "--rounds 1 --orders 200 --cancels 30",
};

/** The same for what ends with targets that are not about speed, so each must be met. */
export const CAMPAIGNS: Readonly<Record<string, string>> = {
  "campaign:ledger": "--minutes 1 --orders 2000",
  "campaign:nodes": "--orders 600 --kills 2 --freezes 1 --database-kills 1 --cuts 1",
  "demo:cluster": "",
};

/** The same for scripts that have a test of their own in there. */
export const OTHERS: Readonly<Record<string, string>> = {
  lab: "--only cancel",
  load: "--duration 1 --connections 16",
  fuzz: "--requests 3000",
  "fuzz:threads": "--seconds 5",
  demo: "--once",
  "test:add-step": "test/orders/order-map.property.test.ts",
  "test:one-core": "--repeat 2 test/resilience/backoff.test.ts",
  "test:mutants": "--lines 1 --seed 3 --in src/http/network.ts",
  "test:schedules": '-t "grant against cancel"',
  screenshots: "--to DIRECTORY",
};

/** Every script that test/docs/slow.ts runs, but for the experiments. */
export const SMALL_RUNS: Readonly<Record<string, string>> = { ...CAMPAIGNS, ...OTHERS };
