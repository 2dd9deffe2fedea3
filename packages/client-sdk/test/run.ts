// Runs a program to its end and keeps its output.
import { spawn } from 'node:child_process';

export interface Run {
  exitCode: number | null;
  stdout: string;
  /** Both streams as a terminal shows them. */
  output: string;
}

interface RunOptions {
  cwd: string;
  /** Variables in addition to those of this process. */
  env?: Record<string, string>;
}

export function run(command: string, args: readonly string[], { cwd, env = {} }: RunOptions): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.on('error', reject);
    child.on('close', (exitCode) => resolve({ exitCode, stdout, output }));
  });
}
