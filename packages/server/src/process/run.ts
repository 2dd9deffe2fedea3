// Starts the server as a process and ends it on signals. It writes everything that a person reads on the terminal.

import { type Config, ConfigError, findRoot, isRunByNpx, isStartedByNpx, loadConfig } from '../config/config.ts';
import { ListenError } from '../http/listener/listen.ts';
import { createLog, type Log } from '../log.ts';
import { openServer, type RunningServer } from '../server.ts';
import { PasswordConflictError } from '../services/instances.ts';
import { SecretKeyError } from '../services/key-file.ts';
import { DataFolderError } from '../store/data-folder.ts';
import { DatabaseUrlError, StoreUnavailableError, UpgradeError } from '../store/unavailable.ts';
import { readArguments } from './arguments.ts';
import { onOrphaned, onSignal } from './lifetime.ts';
import { startBlock } from './start-block.ts';
import { lowerWorkerPriority } from './worker-priority.ts';

/** Runs until a signal. The exit code is 0 after a clean end, 1 if the server could not start, 2 for bad usage. */
export async function run(args: readonly string[]): Promise<void> {
  const asked = readArguments(args);
  if ('answer' in asked) return console.log(asked.answer);
  if ('refusal' in asked) {
    console.error(asked.refusal);
    process.exitCode = 2;
    return;
  }
  let started: Awaited<ReturnType<typeof open>> = null;
  let isStopping = false;
  const stop = async (reason: string) => {
    if (isStopping) return;
    isStopping = true;
    started?.log.info(`${reason}: closing`);
    await started?.server.drain();
    await started?.server[Symbol.asyncDispose]();
    process.exit(0);
  };
  // Set up before the start, which may take a while on a slow disk and can be interrupted.
  onSignal(stop);
  if (asked.exitWithParent) onOrphaned(isStartedByNpx(), stop);
  else if (isRunByNpx()) onOrphaned(true, stop);

  started = await open();
  if (!started) {
    process.exitCode = 1;
    return;
  }
  const { config, server } = started;
  console.log(
    startBlock({
      config,
      root: findRoot(),
      url: server.url,
      metricsUrl: server.metricsUrl,
      password: server.services.password,
    }),
  );
  await lowerWorkerPriority();
}

/** Errors that the operator can fix. Their messages are fit to be shown. */
const operatorErrors = [
  ConfigError,
  DatabaseUrlError,
  DataFolderError,
  SecretKeyError,
  PasswordConflictError,
  ListenError,
  UpgradeError,
];

async function open(): Promise<{ config: Config; log: Log; server: RunningServer } | null> {
  try {
    const config = loadConfig();
    const log = createLog(config);
    return { config, log, server: await openServer({ config, log }) };
  } catch (error) {
    console.error(inWords(error) ?? error);
    return null;
  }
}

/** The message of an error that the operator can fix. Any other error is ours, and its stack is shown. */
function inWords(error: unknown): string | null {
  if (error instanceof Error && operatorErrors.some((kind) => error instanceof kind)) return error.message;
  if (!(error instanceof StoreUnavailableError)) return null;
  const { cause } = error;
  return `DATABASE_URL: the database cannot be used: ${cause instanceof Error ? cause.message : error.message}`;
}
