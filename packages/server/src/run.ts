// Starts the server as a process and ends it on signals. Everything a person reads on a terminal is written here.
import { type Config, ConfigError, loadConfig } from './config.ts';
import { createLog, type Log } from './log.ts';
import { ListenError, openServer, type RunningServer } from './server.ts';
import { SecretKeyError } from './services/keys.ts';
import { startBlock } from './start-block.ts';
import { DataFolderError } from './store/data-folder.ts';

/** Runs until a signal; exits 0 after a clean end, 1 when it could not start. */
export async function run(args: readonly string[]): Promise<void> {
  const start = await open();
  if (!start) {
    process.exitCode = 1;
    return;
  }
  const { config, log, server } = start;
  console.log(startBlock({ config, url: server.url, password: server.services.password }));
  endOnSignals({ server, log, withParent: args.includes('--exit-with-parent') });
}

async function open(): Promise<{ config: Config; log: Log; server: RunningServer } | null> {
  try {
    const config = loadConfig();
    const log = createLog(config);
    return { config, log, server: await openServer({ config, log }) };
  } catch (error) {
    // What the operator can mend is told in words; anything else is a fault of ours and shows its stack.
    const isTold = [ConfigError, DataFolderError, SecretKeyError, ListenError].some((kind) => error instanceof kind);
    console.error(isTold && error instanceof Error ? error.message : error);
    return null;
  }
}

function endOnSignals(options: { server: RunningServer; log: Log; withParent: boolean }): void {
  const { server, log, withParent } = options;
  let endingSince = 0;
  const end = async (reason: string) => {
    // One Ctrl-C may arrive twice, from the terminal and from the package manager: within half a second it is one.
    if (endingSince > 0 && performance.now() - endingSince > 500) process.exit(1);
    if (endingSince > 0) return;
    endingSince = performance.now();
    log.info(`${reason}: closing`);
    await server[Symbol.asyncDispose]();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => end(signal));
  if (withParent) {
    const parent = process.ppid;
    setInterval(() => process.ppid !== parent && end('parent ended'), 500).unref();
  }
}
