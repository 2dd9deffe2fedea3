// Deletes what has ended, in small steps, so that nobody waits for it.
import { type Clock, DAY_MS } from '../clock.ts';
import type { Config } from '../config/config.ts';
import type { Devices } from './devices.ts';
import type { Events } from './events.ts';
import type { Sessions } from './sessions/sessions.ts';
import type { Throttle } from './throttle.ts';
import type { Tokens } from './tokens.ts';

/** How many rows one step deletes. Each step is a transaction. */
const BATCH = 500;

export interface Cleanup {
  /** Deletes ended sessions and tokens, old events, stale counts and devices, batch by batch, until nothing is left. */
  run(): Promise<void>;
  /** Stops between two batches. Nothing is deleted from then on. */
  stop(): void;
}

export function createCleanup(options: {
  config: Pick<Config, 'eventRetentionDays'>;
  sessions: Pick<Sessions, 'deleteEnded'>;
  tokens: Pick<Tokens, 'deleteEnded'>;
  events: Pick<Events, 'deleteBefore'>;
  throttle: Pick<Throttle, 'deleteStale'>;
  devices: Pick<Devices, 'deleteStale'>;
  clock: Clock;
}): Cleanup {
  const { config, sessions, tokens, events, throttle, devices, clock } = options;
  const steps: (() => Promise<number>)[] = [
    () => sessions.deleteEnded(BATCH),
    () => tokens.deleteEnded(BATCH),
    () => events.deleteBefore(clock() - config.eventRetentionDays * DAY_MS, BATCH),
    () => throttle.deleteStale(BATCH),
    () => devices.deleteStale(BATCH),
  ];
  let isStopped = false;
  let running: Promise<void> | null = null;

  const runAll = async () => {
    for (const step of steps) while (!isStopped && (await step()) === BATCH);
  };
  return {
    run: () => {
      running ??= runAll().finally(() => {
        running = null;
      });
      return running;
    },
    stop: () => {
      isStopped = true;
    },
  };
}
