// Wires the services to one another. What they are is in the files beside this one.
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Log } from '../log.ts';
import type { Store } from '../store/database.ts';
import { type Activity, createActivity } from './activity.ts';
import { createEvents, type Events } from './events.ts';
import { createGate, type Gate } from './gate.ts';
import { createKeyRing, loadSecretKey } from './keys.ts';
import { openPassword, type Password } from './password.ts';
import { createSessions, type Sessions } from './sessions.ts';

export interface Services {
  readonly activity: Activity;
  readonly events: Events;
  readonly gate: Gate;
  readonly password: Password;
  readonly sessions: Sessions;
  /** When these services began, in milliseconds since 1970. */
  readonly startedAt: number;
  readonly clock: Clock;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Opens the services on a store: finds the password and the keys, and ends sessions of another password. */
export async function openServices(options: {
  config: Config;
  store: Store;
  log: Log;
  clock?: Clock;
}): Promise<Services> {
  const { config, store, log, clock = Date.now } = options;
  const keys = createKeyRing(config.secretKeys ?? [loadSecretKey(config.dataDir)], clock);
  const events = createEvents(store, clock);
  const password = await openPassword({ config, store, events, clock });
  const activity = createActivity(store, clock, (error) => log.error({ err: error }, 'use could not be written'));
  const gate = createGate({ config, store, keys, password, activity, clock });
  const sessions = createSessions({ config, store, gate, password, events, keys, activity, clock });
  const ended = await sessions.endThoseOfOtherPasswords();
  if (ended > 0) log.info(`${ended} session(s) of another password ended`);
  await events.recordNow({ type: 'server.started' });

  return {
    activity,
    events,
    gate,
    password,
    sessions,
    startedAt: clock(),
    clock,
    [Symbol.asyncDispose]: () => activity[Symbol.asyncDispose](),
  };
}
