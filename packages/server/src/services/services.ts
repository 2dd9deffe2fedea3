// Wires the services to one another. What they are is in the files beside this one.
import type { Clock } from '../clock.ts';
import type { Config } from '../config/config.ts';
import type { Log } from '../log.ts';
import type { Store } from '../store/database.ts';
import { type Activity, createActivity } from './access/activity.ts';
import { createGate, type Gate } from './access/gate.ts';
import { createDevices, type Devices } from './devices.ts';
import { createEvents, type Events } from './events.ts';
import { createInstances, type Instances } from './instances.ts';
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

export interface Services {
  readonly activity: Activity;
  readonly attempts: Attempts;
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
  /** What a server does before its first request: ends sessions of another password, tidies up from now on, says so. */
  start(): Promise<void>;
  /** When these services began, in milliseconds since 1970. */
  readonly startedAt: number;
  readonly clock: Clock;
  /** Finishes what runs in the background and writes what memory has gathered. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Opens the services on a store. `role` tells the server, which makes what is missing (a password, a key), from a tool
 * beside it, which makes nothing and opens no session.
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
  // A tool signs nothing: a key of its own would only be left behind, perhaps by another user.
  const secretKeys = config.secretKeys ?? [role === 'server' ? loadSecretKey(config.dataDir) : makeSecretKey()];
  const keys = createKeyRing(secretKeys, clock);
  const events = createEvents(store, clock);
  const throttle = createThrottle({ config, store, events, clock });
  const instances = opened.use(
    createInstances({ store, config, onError: (error) => log.warn({ err: error }, 'could not tell that I am alive') }),
  );
  if (role === 'server') await instances.agreeOnKeys(keys.ids);
  // For programs that read logs and bar addresses, such as fail2ban.
  const onWrong = ({ purpose, caller: { ip, requestId } }: Attempt) =>
    log.info({ requestId, ip }, `${purpose}: wrong password`);
  const queue = createHashingQueue({ threadPoolSize: config.threadPoolSize });
  const mayCreate = role === 'server';
  const password = await openPassword({ config, store, queue, instances, clock, mayCreate });
  const activity = createActivity(store, clock, (error) => log.error({ err: error }, 'use could not be written'));
  const gate = createGate({ config, store, keys, password, activity, clock });
  const devices = createDevices({ store, keys, clock });
  const sessions = createSessions({ config, store, gate, password, events, keys, devices, activity, clock });
  const tokens = createTokens({ store, gate, events, activity, clock });
  const attempts = createAttempts({ store, gate, password, queue, throttle, events, onWrong });
  const signIn = createSignIn({ attempts, sessions });
  const passwordChange = createPasswordChange({ gate, attempts, password, sessions, tokens, events });
  const onError = (error: unknown) => log.error({ err: error }, 'tidying up failed; it is tried again in a minute');
  const tasks = createTasks({ config, sessions, tokens, events, throttle, devices, instances, clock, onError });
  const closing = opened.move();

  return {
    activity,
    attempts,
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
      const ended = await sessions.revokeThoseOfOtherPasswords();
      if (ended > 0) log.info(`${ended} session(s) of another password ended`);
      await events.recordNow({ type: 'server.started' });
      tasks.start();
    },
    startedAt: clock(),
    clock,
    [Symbol.asyncDispose]: async () => {
      await tasks[Symbol.asyncDispose]();
      await activity[Symbol.asyncDispose]();
      await closing.disposeAsync();
    },
  };
}
