// What is tidied up in the background, in small steps, so that nobody waits for it.
import { type Clock, DAY_MS } from '../clock.ts';
import type { Config } from '../config/config.ts';
import type { Devices } from './devices.ts';
import type { Events } from './events.ts';
import type { Instances } from './instances.ts';
import type { Sessions } from './sessions/sessions.ts';
import type { Throttle } from './throttle.ts';
import type { Tokens } from './tokens.ts';

const INTERVAL_MS = 60_000;
const BATCH = 500;
export interface Tasks {
  /** Tidies up once a minute from now on, where this instance is the one that does. */
  start(): void;
  /** Deletes ended sessions and tokens, old events, stale counts and devices, batch by batch, until nothing is left. */
  run(): Promise<void>;
  /** The same, but nothing where another instance does it. */
  runWhereFirst(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Nothing runs by itself until `start`. */
export function createTasks(options: {
  config: Pick<Config, 'eventRetentionDays'>;
  sessions: Pick<Sessions, 'deleteEnded'>;
  tokens: Pick<Tokens, 'deleteEnded'>;
  events: Pick<Events, 'deleteBefore'>;
  throttle: Pick<Throttle, 'deleteStale'>;
  devices: Pick<Devices, 'deleteStale'>;
  instances: Pick<Instances, 'isFirst'>;
  clock: Clock;
  onError: (error: unknown) => void;
}): Tasks {
  const { config, sessions, tokens, events, throttle, devices, instances, clock, onError } = options;
  const steps: (() => Promise<number>)[] = [
    () => sessions.deleteEnded(BATCH),
    () => tokens.deleteEnded(BATCH),
    () => events.deleteBefore(clock() - config.eventRetentionDays * DAY_MS, BATCH),
    () => throttle.deleteStale(BATCH),
    () => devices.deleteStale(BATCH),
  ];
  let isClosing = false;
  let running: Promise<void> | null = null;

  const runAll = async () => {
    for (const step of steps) while (!isClosing && (await step()) === BATCH);
  };
  const run = () => {
    running ??= runAll().finally(() => {
      running = null;
    });
    return running;
  };
  const runWhereFirst = async () => {
    if (await instances.isFirst()) await run();
  };
  let timer: NodeJS.Timeout | undefined;

  return {
    start: () => {
      timer ??= setInterval(() => runWhereFirst().catch(onError), INTERVAL_MS).unref();
    },
    run,
    runWhereFirst,
    [Symbol.asyncDispose]: async () => {
      isClosing = true;
      clearInterval(timer);
      await running?.catch(onError);
    },
  };
}
