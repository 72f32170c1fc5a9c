import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { selectCases } from "../../bench/cases.js";
import { formatReport } from "../../bench/lib/report.js";
import { agree, evened, evenedContests, summarize } from "../../bench/lib/stats.js";
import { matches, TARGETS, verdictsOf } from "../../bench/targets.js";
import { growthOf } from "../../bench/workloads/growth.js";
import { readResults, readTargetsPage, section, targetsPage, update } from "../../scripts/bench-readme.js";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

describe("the README's figures are those of docs/bench/results.json; if they are not: node scripts/bench-readme.js", () => {
  it("between the marks", async () => {
    expect(readme).toBe(await update(readme, readResults()));
  });

  it("on the page of targets", async () => {
    const results = readResults() as Run | undefined;
    expect(readTargetsPage()).toBe(results && (await targetsPage(results)));
  });

  it("and nowhere else", () => {
    const typed = readme.replace(/<!-- (bench(?::compression)?) -->[^]*?<!-- \/\1 -->/g, "");
    expect(typed).not.toMatch(/\d ?×/);
  });

  it("the report is committed beside the results", () => {
    const beside = ["results.json", "report.html"].map((name) =>
      existsSync(new URL(`../../docs/bench/${name}`, import.meta.url)),
    );
    expect(beside[0]).toBe(beside[1]);
  });
});

describe("the machine's slow seconds", () => {
  const costs = [10, 25, 40];
  /** Each contestant's samples where the machine takes so many times the time in each round. */
  const table = (machine: readonly number[]): number[][] =>
    costs.map((cost) => machine.map((times) => cost * times));

  it.each([[[1, 1, 1, 2, 2, 2, 2]], [[1, 2, 1, 2, 1]], [[1, 1.1, 0.9, 2.2, 1.8, 4, 1]]])(
    "%j: are taken out, whoever they hit",
    (machine) => {
      const medians = evened(table(machine)).map((row) => summarize(row));
      for (const { median, q1, q3 } of medians) expect((q3 - q1) / median).toBeCloseTo(0, 10);
      const ratios = medians.map(({ median }) => median / (medians[0]?.median ?? NaN));
      ratios.forEach((ratio, i) => {
        expect(ratio).toBeCloseTo((costs[i] ?? NaN) / 10, 10);
      });
      expect(medians[0]?.median).toBeCloseTo(10 * summarize(machine).median, 0);
    },
  );

  it("what only one contestant does stays its own", () => {
    const samples = table([1, 2, 1, 2, 1]);
    (samples[1] ?? [])[2] = 100;
    const [, second = []] = evened(samples);
    expect(Math.max(...second) / summarize(second).median).toBeCloseTo(4, 5);
  });

  it.each([
    [[[3, 6]]],
    [
      [
        [0, 1],
        [2, 3],
      ],
    ],
  ])("%j: nothing is known, nothing changes", (samples) => {
    expect(evened(samples)).toEqual(samples);
  });

  it("over several contests, for each key by itself", () => {
    const contest = (cpu: number, wall: number): Map<string, Record<string, number>[]> =>
      new Map(["a", "b", "c"].map((name, i) => [name, [{ cpu: cpu * (i + 1), wall: wall * (i + 2) }]]));
    const told = evenedContests([contest(1, 1), contest(2, 1), contest(2, 1)]);
    const all = (name: string, key: string): number[] =>
      told.map((one) => Math.round((one.get(name)?.[0]?.[key] ?? NaN) * 1e6) / 1e6);
    expect([all("a", "cpu"), all("b", "cpu")]).toEqual([
      [2, 2, 2],
      [4, 4, 4],
    ]);
    expect(all("b", "wall")).toEqual([3, 3, 3]);
  });
});

describe("processes agree", () => {
  const samples = (...values: number[]): { cpu: number }[] => values.map((cpu) => ({ cpu }));

  it.each([
    [true, [samples(1, 10, 100)]],
    [true, [samples(10), samples(11)]],
    [false, [samples(10), samples(12)]],
    [false, [samples(12, 12, 10), samples(10, 12, 10)]],
    [true, [samples(10, 10, 12), samples(10, 12, 10)]],
  ])("%s: by their medians", (expected, processes) => {
    expect(agree(processes, "cpu", 1.15)).toBe(expected);
  });
});

describe("a run covers the targets", () => {
  const runs = TARGETS.flatMap((target) => target.runtimes.map((runtime) => ({ ...target, runtime })));

  it.each(runs)("$says, against $against on $runtime", ({ workload, where, runtime }) => {
    for (const full of [false, true]) {
      const cases = selectCases({ full, runtime, workloads: [workload] });
      // Text for clients is measured by full runs only.
      const isFullOnly =
        workload === "parse" && "kind" in where && Array.isArray(where.kind) && where.role === "client";
      const isUntouchedClient = "touched" in where && !where.touched && where.role === "client";
      if (!full && (isFullOnly || isUntouchedClient)) continue;
      expect(cases.filter(({ spec }) => matches(where, spec))).not.toEqual([]);
    }
  });
});

type Run = Parameters<typeof verdictsOf>[0];

/** Cases that are all of one commit, or of several. */
const ofCommits = (one: Run, ...commits: string[]): Run => ({
  ...one,
  cases: one.cases.flatMap((row) => commits.map((commit) => ({ ...row, run: { commit } }))),
});

/** One case of a run on Node, with these medians. */
function run(
  workload: string,
  spec: object,
  measure: string,
  medians: Record<string, number>,
  spread = 0,
): Run {
  const results = Object.fromEntries(
    Object.entries(medians).map(([name, median]) => {
      const summary = { median, q1: median * (1 - spread), q3: median * (1 + spread), n: 9 };
      return [name, { status: "ok", measures: { [measure]: summary } }];
    }),
  );
  const made = {
    machine: { cpu: "a processor", system: "linux" },
    runtimes: { node: { version: "20.20.0", peers: { ws: "8.0.0" } } },
    cases: [{ runtime: "node", workload, id: "a", spec, results }],
  };
  return made;
}

const SMALL = { role: "server", kind: "binary", touched: true, fragments: 1, chunks: 65536, size: 16 };
const ECHO = { connections: 64, inFlight: 16, size: 125 };

describe("verdicts", () => {
  const parse = (own: number, spread?: number): Run =>
    run("parse", SMALL, "cpu", { sansocket: own, ws: 500, limit: 10 }, spread);

  it.each([
    ["reached", parse(100), "0–125 B, touched", { value: 5, limit: 50, of: 1, worst: "a" }],
    ["missed", parse(101), "0–125 B, touched", { value: 500 / 101 }],
    ["open", parse(101, 0.1), "0–125 B, touched", { value: 500 / 101 }],
    ["reached", run("echo", ECHO, "cpu", { sansocket: 130, net: 100 }), "16 in flight", { value: 1.3 }],
    ["missed", run("echo", ECHO, "cpu", { sansocket: 150, net: 100 }), "16 in flight", { value: 1.5 }],
    ["reached", run("memory", { place: "core" }, "heap", { sansocket: 500 }), "idle", { value: 500 }],
    ["missed", run("memory", { place: "core" }, "heap", { sansocket: 501 }), "idle", { value: 501 }],
    [
      "missed",
      run("growth", { axis: "size" }, "doubling", { sansocket: 2.3 }),
      "twice as large",
      { value: 2.3 },
    ],
  ] as const)("%s: %#", (status, results, says, rest) => {
    const measured = verdictsOf(results).filter((one) => one.status !== "not measured");
    expect(measured.find((one) => one.says.includes(says))).toMatchObject({ status, ...rest });
  });

  it("a peer that fails misses it", () => {
    const results = { sansocket: { status: "failed", error: "3 of 4 messages were delivered" } };
    const cases = [{ runtime: "node", workload: "parse", id: "a", spec: SMALL, results }];
    const failed = verdictsOf({ runtimes: { node: {} }, cases }).filter(
      ({ status }) => status !== "not measured",
    );
    expect(failed.length).toBeGreaterThan(0);
    expect(failed.every(({ status }) => status === "failed")).toBe(true);
  });

  it("tell how far one can get", () => {
    const results = run("parse", SMALL, "cpu", { sansocket: 101, ws: 500, limit: 10, least: 50 });
    const told = verdictsOf(results).find(({ status }) => status === "missed");
    expect(told).toMatchObject({ limit: 50, least: 10 });
  });

  it("tell it of what goes over sockets, too", () => {
    const results = run("broadcast", { burst: 16 }, "cpu", { sansocket: 30, ws: 100, net: 40 });
    const told = verdictsOf(results).find(({ status }) => status === "missed");
    expect(told).toMatchObject({ limit: 2.5, least: 2.5, leastReachesIn: 0 });
  });

  it("the page of targets has the worst case of each, and nothing that was not measured", async () => {
    const results = run("parse", SMALL, "cpu", { sansocket: 101, ws: 500, least: 50 });
    const page = await targetsPage(ofCommits(results, "a"));
    expect(page).not.toContain("several commits");
    expect(await targetsPage(ofCommits(results, "a", "b"))).toContain("several commits");
    const rows = page.split("\n").filter((line) => line.startsWith("| "));
    expect(rows.map((row) => row.replace(/ +/g, " ").replace(/-+/g, "-"))).toEqual([
      "| | target | node 20.20.0 | _least_ |",
      "| - | - | - | - |",
      "| parse binary, masked, 0–125 B, touched | ≥ 5× ws | 4.95× (missed) | 10× |",
    ]);
  });
});

describe("the README's table", () => {
  it("has what was measured, and says what was not", () => {
    const rows = section(run("parse", SMALL, "cpu", { sansocket: 101, ws: 500 })).split("\n");
    expect(rows[0]).toBe("| times as fast as `ws` | Node 20.20.0 |");
    expect(rows[2]).toBe("| a server receives messages of 16 B | 4.95× |");
    expect(rows[3]).toBe("| … of 125 B | failed |");
    expect(section(undefined)).toContain("No result set");
  });

  it("counts what was slower, and names the worst", () => {
    const told = (own: number): string => section(run("parse", SMALL, "cpu", { sansocket: own, ws: 500 }));
    expect(told(101)).toContain("Slower than `ws` in 0 of 1 cases on Node 20.20.0.");
    expect(told(1000)).toContain(
      "Slower than `ws` in 1 of 1 cases on Node 20.20.0, the worst of them “parse: a” (0.50×).",
    );
  });
});

describe("the report", () => {
  it("tells which run its cases are of, and what the environment said", () => {
    const { cases } = run("parse", SMALL, "cpu", { sansocket: 101, ws: 500 });
    const of = { date: "2026-11-27T12:00:00Z", mode: "short", commit: "abc", changed: false };
    const report = (environment?: readonly string[]): string =>
      formatReport({
        machine: { cpu: "a processor", cores: 2, memory: "1 GiB", system: "linux" },
        runtimes: { node: { version: "20.20.0", peers: {} } },
        cases: cases.map((row) => ({ ...row, run: { ...of, environment } })),
      });
    expect(report()).toContain("<p>2026-11-27, short run, commit abc. </p>");
    expect(report(["MALLOC_X=<1>"])).toContain("commit abc, MALLOC_X=&lt;1&gt;. ");
  });
});

describe("growth", () => {
  const steps = [256, 512, 1024, 2048];
  const rounds = (cost: (step: number) => number): Record<number, number>[] =>
    Array.from({ length: 5 }, (_, round) =>
      Object.fromEntries(steps.map((step) => [step, cost(step) * (1 + round / 100)])),
    );

  it.each([
    ["linear", (step: number) => step, 2, true],
    ["linear, and something beside it", (step: number) => 500 + step, undefined, true],
    ["quadratic", (step: number) => step ** 2, 4, false],
    [
      "quadratic from somewhere on",
      (step: number) => (step < 1024 ? step : step ** 2 / 16),
      undefined,
      false,
    ],
  ] as const)("%s", (_, cost, doubling, linear) => {
    const growth = growthOf({ steps }, rounds(cost));
    expect(growth.linear).toBe(linear);
    if (doubling !== undefined) expect(growth.measures.doubling.median).toBeCloseTo(doubling, 10);
  });

  it("says where a peer had to stop", () => {
    const growth = growthOf(
      { steps: [...steps, 4096] },
      rounds((step) => step),
    );
    expect(growth).toMatchObject({ stopped: 2048, steps: steps.map((step) => ({ step })) });
  });
});
