/** Arguments with which test/docs/slow.ts runs what measures: as small as it can be and still do all it does. */
export const BENCHMARKS: Readonly<Record<string, string>> = {
  "bench:storm": "--seconds 1 --rounds 1",
  "bench:cancel": "--orders 60",
  "bench:waiting": "--orders 200 --processes 1",
  "bench:express": "--warmup 1 --seconds 1 --pairs 1 --processes 1",
  "bench:goroutines": "--seconds 1 --rounds 1",
  "bench:journal": "--seconds 1 --rounds 1",
  "bench:journal-scale": "--orders 2000 --keys",
  "bench:postgres": "--warmup 1 --seconds 1 --pairs 1 --connections 8",
  "bench:failing-provider": "--seconds 2 --rate 20",
  "bench:hung-vendor": "--seconds 3 --rate 20",
  "bench:backlog": "--compensations 12000 --events 500 --rate 20 --seconds 2",
  "bench:hot-order": "--attempts 500 --seconds 2",
  "bench:retention": "--orders 3000 --rate 10 --seconds 2",
  "bench:telemetry": "--pairs 1",
  "bench:readers": "--seconds 2",
  "bench:overload": "--seconds 3",
  "bench:classes": "--seconds 2",
  "bench:start": "--pairs 1",
  "bench:pages": "--pages 3 --pairs 1 --seconds 1",
  "bench:page-heap": "--minutes 1 --connections 2",
  "bench:tricks": "--processes 1 --pairs 1 --seconds 1 --warmup 1 --orders 200",
  "bench:connections": "--crowd 40 --rounds 1 --seconds 1 --opened 500",
  "bench:peers": "--seconds 2 --rounds 1",
};

/** The same for what ends with targets that are not about speed, so each must be met. */
export const CAMPAIGNS: Readonly<Record<string, string>> = {
  "test:starvation": "--seconds 3",
  "campaign:ledger": "--minutes 1 --orders 2000",
  "campaign:nodes": "--orders 600 --kills 2 --freezes 1 --database-kills 1 --cuts 1",
  "demo:cluster": "",
};

/** The same for scripts that have a test of their own in there. */
export const OTHERS: Readonly<Record<string, string>> = {
  load: "--duration 1 --connections 16",
  fuzz: "--requests 3000",
  "fuzz:threads": "--seconds 5",
  demo: "--once",
  "test:add-step": "test/orders/order-map.property.test.ts",
  "test:one-core": "--repeat 2 test/resilience/backoff.test.ts",
  "test:mutants": "--lines 1 --seed 3 --in src/resilience/backoff.ts",
  "test:schedules": '-t "grant against cancel"',
  screenshots: "DIRECTORY",
};

/** Every script that test/docs/slow.ts runs. */
export const SMALL_RUNS: Readonly<Record<string, string>> = { ...BENCHMARKS, ...CAMPAIGNS, ...OTHERS };
