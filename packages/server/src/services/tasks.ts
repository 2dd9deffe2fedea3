// What runs in the background, at intervals: a registry. What a task does is its owner's.

export interface Task {
  /** As the metrics and the log show it. */
  readonly name: string;
  readonly everyMs: number;
  /** `each`: every instance runs it. `one`: of the instances on a database, only the first does. */
  readonly runs: 'each' | 'one';
  run(): Promise<void>;
}

/** What a task has done since this process started. */
interface TaskFigures {
  readonly name: string;
  readonly runs: number;
  readonly failures: number;
  /** How long the last run took; 0 before the first. */
  readonly lastSeconds: number;
}

export interface Tasks {
  /** Runs a task at its interval from now on. A run that is still going on when the next is due takes its place. */
  add(task: Task): void;
  /** Runs a task now, if it is this instance's to run. */
  run(name: string): Promise<void>;
  figures(): TaskFigures[];
  /** Starts nothing any more, and waits for what is running. */
  [Symbol.asyncDispose](): Promise<void>;
}

interface Scheduled {
  readonly task: Task;
  readonly timer: NodeJS.Timeout;
  running: Promise<void> | null;
  runs: number;
  failures: number;
  lastSeconds: number;
}

/** `onError` hears of each run that failed. The task runs again at its next turn. */
export function createTasks(options: {
  isFirst: () => Promise<boolean>;
  onError: (error: unknown, task: Task) => void;
}): Tasks {
  const { isFirst, onError } = options;
  const scheduled = new Map<string, Scheduled>();

  const runOnce = async (entry: Scheduled): Promise<void> => {
    const { task } = entry;
    if (task.runs === 'one' && !(await isFirst())) return;
    const startedAt = performance.now();
    entry.runs++;
    try {
      await task.run();
    } catch (error) {
      entry.failures++;
      throw error;
    } finally {
      entry.lastSeconds = (performance.now() - startedAt) / 1000;
    }
  };

  const start = (entry: Scheduled): Promise<void> => {
    entry.running ??= runOnce(entry).finally(() => {
      entry.running = null;
    });
    return entry.running;
  };

  return {
    add: (task) => {
      const run = () => start(entry).catch((error: unknown) => onError(error, task));
      const timer = setInterval(run, task.everyMs).unref();
      const entry: Scheduled = { task, timer, running: null, runs: 0, failures: 0, lastSeconds: 0 };
      scheduled.set(task.name, entry);
    },
    run: async (name) => {
      const entry = scheduled.get(name);
      if (!entry) throw new RangeError(`There is no task ${name}.`);
      await start(entry);
    },
    figures: () =>
      [...scheduled.values()].map(({ task: { name }, runs, failures, lastSeconds }) => ({
        name,
        runs,
        failures,
        lastSeconds,
      })),
    [Symbol.asyncDispose]: async () => {
      for (const { timer } of scheduled.values()) clearInterval(timer);
      for (const { running, task } of scheduled.values()) {
        await running?.catch((error: unknown) => onError(error, task));
      }
    },
  };
}
