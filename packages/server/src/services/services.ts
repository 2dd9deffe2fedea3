// Wires the services together. What each of them does is in its own file.
import { type Clock, MINUTE_MS } from '../clock.ts';
import type { Config } from '../config/config.ts';
import type { Log } from '../log.ts';
import type { Store } from '../store/database.ts';
import { type Activity, createActivity } from './access/activity.ts';
import { createGate, type Gate } from './access/gate.ts';
import { type Cleanup, createCleanup } from './cleanup.ts';
import { createDevices, type Devices } from './devices.ts';
import { createEvents, type Events } from './events.ts';
import { correctFutureTimes } from './future-times.ts';
import { createInstances, HEARTBEAT_MS, type Instances } from './instances.ts';
import { loadSecretKey, makeSecretKey } from './key-file.ts';
import { createKeyRing } from './keys.ts';
import { createHashingQueue, type HashingQueue } from './password/hashing.ts';
import { openPassword, type Password } from './password/password.ts';
import { createPasswordChange, type PasswordChange } from './password-change.ts';
import { createSessions, type Sessions } from './sessions/sessions.ts';
import { type Attempt, type Attempts, createAttempts } from './sign-in/attempts.ts';
import { createSignIn, type SignIn } from './sign-in/sign-in.ts';
import { createTasks, type Tasks } from './tasks.ts';
import { createThrottle, type Throttle } from './throttle.ts';
import { createTokens, type Tokens } from './tokens.ts';

/** How often last use and request counts are written, in milliseconds: a crash loses no more. */
const USAGE_FLUSH_MS = 5000;
const CLEANUP_MS = MINUTE_MS;

export interface Services {
  readonly activity: Activity;
  readonly attempts: Attempts;
  readonly cleanup: Pick<Cleanup, 'run'>;
  readonly devices: Devices;
  readonly events: Events;
  readonly gate: Gate;
  readonly hashing: Pick<HashingQueue, 'figures'>;
  readonly instances: Instances;
  readonly password: Password;
  readonly passwordChange: PasswordChange;
  readonly sessions: Sessions;
  readonly signIn: SignIn;
  readonly tasks: Tasks;
  readonly throttle: Throttle;
  readonly tokens: Tokens;
  /** What a server does before its first request: corrects times in the future, ends sessions of another password, starts the cleanup. */
  start(): Promise<void>;
  /** When these services started, in milliseconds since 1970. */
  readonly startedAt: number;
  readonly clock: Clock;
  /** Finishes background tasks and writes what memory has gathered. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Opens the services on a store. A `server` creates what is missing (a password, a key). A `tool` beside it creates nothing
 * and opens no session.
 */
export async function openServices(options: {
  config: Config;
  store: Store;
  log: Log;
  role?: 'server' | 'tool';
  clock?: Clock;
}): Promise<Services> {
  const { config, store, log, role = 'server', clock = Date.now } = options;
  await using opened = new AsyncDisposableStack();
  // A tool signs nothing, and a key file that it creates could belong to another user.
  const secretKeys = config.secretKeys ?? [role === 'server' ? loadSecretKey(config.dataDir) : makeSecretKey()];
  const keys = createKeyRing(secretKeys, clock);
  const events = createEvents(store, clock);
  const throttle = createThrottle({ config, store, events, clock });
  const onError = (error: unknown, action: string) => log.error({ err: error }, `${action} failed`);
  const instances = opened.use(
    createInstances({ store, config, onError: (error) => onError(error, 'leaving the instances on the database') }),
  );
  const tasks = opened.use(
    createTasks({
      isFirst: instances.isFirst,
      onError: (error, { name, everyMs }) =>
        log.error({ err: error, task: name }, `background task failed; it runs again within ${everyMs / 1000} s`),
    }),
  );
  // Added before the password is opened, because an instance must show that it is alive from the moment it joins.
  tasks.add({ name: 'heartbeat', everyMs: HEARTBEAT_MS, runs: 'each', run: instances.beat });
  if (role === 'server') await instances.agreeOnKeys(keys.ids);
  // For programs such as fail2ban, which read logs and block addresses.
  const onWrong = ({ purpose, caller: { ip, requestId } }: Attempt) =>
    log.info({ requestId, ip }, `${purpose}: wrong password`);
  const queue = createHashingQueue({ threadPoolSize: config.threadPoolSize });
  const mayCreate = role === 'server';
  const password = await openPassword({ config, store, queue, instances, clock, mayCreate });
  const activity = createActivity(store, clock);
  tasks.add({ name: 'usage', everyMs: USAGE_FLUSH_MS, runs: 'each', run: activity.flush });
  const gate = createGate({ config, store, keys, password, activity, clock });
  const devices = createDevices({ store, keys, clock });
  const sessions = createSessions({ config, store, gate, password, events, keys, devices, activity, clock });
  const tokens = createTokens({ store, gate, events, activity, clock });
  const attempts = createAttempts({ store, gate, password, queue, throttle, events, onWrong });
  const signIn = createSignIn({ attempts, sessions });
  const passwordChange = createPasswordChange({ gate, attempts, password, sessions, tokens, events });
  const cleanup = createCleanup({ config, sessions, tokens, events, throttle, devices, clock });
  const correctTimes = async () => {
    const count = await correctFutureTimes({ store, config, clock });
    if (count === 0) return;
    log.warn(
      `${count} row(s) in the database had times in the future, so a clock was or is wrong; they now count from now`,
    );
  };
  const closing = opened.move();

  return {
    activity,
    attempts,
    cleanup,
    devices,
    events,
    gate,
    hashing: queue,
    instances,
    password,
    passwordChange,
    sessions,
    signIn,
    tasks,
    throttle,
    tokens,
    start: async () => {
      await correctTimes();
      const ended = await sessions.revokeThoseOfOtherPasswords();
      if (ended > 0) log.info(`ended ${ended} session(s) that were opened with another password`);
      await events.recordNow({ type: 'server.started' });
      tasks.add({ name: 'future-times', everyMs: CLEANUP_MS, runs: 'one', run: correctTimes });
      tasks.add({ name: 'cleanup', everyMs: CLEANUP_MS, runs: 'one', run: cleanup.run });
    },
    startedAt: clock(),
    clock,
    [Symbol.asyncDispose]: async () => {
      cleanup.stop();
      await tasks[Symbol.asyncDispose]();
      await activity.flush().catch((error: unknown) => onError(error, 'writing the last use of sessions and tokens'));
      await closing.disposeAsync();
    },
  };
}
