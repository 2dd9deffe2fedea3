// The process: the one file with effects on import. Configuration, server, start block, signals, exit codes.
import { enableCompileCache } from 'node:module';

enableCompileCache?.();
const { run } = await import('./run.ts');
await run(process.argv.slice(2));
